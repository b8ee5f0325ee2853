"""Reading tables of vectors: single rows, bags of rows summed or averaged, and rows of a product with the table.

Example:
    >>> table = Tensor([[1.0], [2.0], [4.0]])
    >>> embedding(table, np.array([2, 0]))
    Tensor([[4.],
            [1.]], float64)
    >>> embedding_bag(table, np.array([0, 2, 2]), np.array([0, 1, 3]))
    Tensor([[1.],
            [8.]], float64)
"""

from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from fedgdl.autograd import workspace
from fedgdl.autograd.operands import require_tensor
from fedgdl.autograd.product import linear
from fedgdl.autograd.scatter import add_rows, sum_bags
from fedgdl.autograd.tensor import Array, Tensor, record
from fedgdl.errors import GraphError

__all__ = ["embedding", "embedding_bag", "embedding_linear"]

_INT64: Final = np.dtype(np.int64)
_UINT64: Final = np.dtype(np.uint64)
_LARGE: Final = 1 << 14
"""From this number of elements on, memory is worth reusing."""


def embedding(table: Tensor, ids: npt.NDArray[np.int64]) -> Tensor:
    """(V, D), (...) -> (..., D): the table's row for each id; stacked (K, V, D), (K, ...) -> (K, ..., D).

    The gradient of a parameter is sparse, and refers to `ids` until it is used.

    Args:
        table: (V, D), or those of K clients.
        ids: int64, 0 to V - 1.

    Raises:
        GraphError: a shape, dtype or id is not as said above.
    """
    numbers = np.asarray(ids)
    _check_rows("embedding", table, numbers)

    def vjp(g: Array) -> None:
        table.receive_rows(*_rows_of(table.data.shape, numbers, g))

    return record(_read(table.data, numbers), (table,), vjp)


def embedding_linear(table: Tensor, ids: npt.NDArray[np.int64], weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """(V, D), (...), (D, M), (M,) -> (..., M): `linear(embedding(table, ids), weight, bias)`, with less work.

    The table is multiplied once and rows of the product are read: a text of 512 letters takes a product of 62
    rows, not 512. Where there are fewer ids than rows, their rows are multiplied. Stacked: (K, V, D),
    (K, ...), (K, D, M), (K, M) -> (K, ..., M). The table's gradient is dense.

    Args:
        table: (V, D), or those of K clients.
        ids: int64, 0 to V - 1.
        weight: as above.
        bias: as above, if any.

    Raises:
        GraphError: a shape, dtype or id is not as said above.
    """
    numbers = np.asarray(ids)
    _check_rows("embedding_linear", table, numbers)
    if numbers.size * table.data.shape[-1] < table.data.size:
        return linear(_read_densely(table, numbers), weight, bias)
    return _read_densely(linear(table, weight, bias), numbers)


def embedding_bag(
    table: Tensor,
    token_ids: npt.NDArray[np.int64],
    offsets: npt.NDArray[np.int64],
    mode: Literal["sum", "mean"] = "sum",
) -> Tensor:
    """(V, D), (n,), (b + 1,) -> (b, D): row i is the sum or mean of the table's rows named by bag i.

    Bag i is `token_ids[offsets[i]:offsets[i + 1]]`. An empty bag gives zeros; an id that is repeated
    counts each time. A parameter's gradient is sparse, and refers to `token_ids` until it is used.
    Stacked: (K, V, D), (n,), (K b + 1,) -> (K, b, D), the bags of all clients one after another, b of each.

    Args:
        table: (V, D), or those of K clients.
        token_ids: (n,) int64, the ids of all bags one after another, 0 to V - 1.
        offsets: (b + 1,) int64, from 0 to n, never falling.
        mode: whether a bag's rows are summed or averaged.

    Raises:
        GraphError: a shape, dtype, offset or id is not as said above.
    """
    ids, bounds = np.asarray(token_ids), np.asarray(offsets)
    sizes = _checked_sizes(table, ids, bounds, mode)
    shape = table.data.shape
    y = sum_bags(table.data, ids, bounds) if len(shape) == 2 else _sum_stacked_bags(table.data, ids, bounds)
    divisor = None
    if mode == "mean":
        divisor = np.maximum(sizes, 1).astype(y.dtype).reshape(*y.shape[:-1], 1)
        y /= divisor

    def vjp(g: Array) -> None:
        share = g if divisor is None else g / divisor
        if len(shape) == 2:
            table.receive_rows(ids, share, sizes)
        else:
            firsts = np.arange(shape[0]) * shape[1]
            numbers = ids + firsts.repeat(np.add.reduce(sizes.reshape(shape[0], -1), -1))
            table.receive_rows(numbers, share.reshape(sizes.size, shape[2]), sizes)

    return record(y, (table,), vjp)


def _read(table: Array, ids: npt.NDArray[np.int64]) -> Array:
    """(V, D), (...) -> (..., D), stacked (K, V, D), (K, ...) -> (K, ..., D): the row of each id."""
    y = workspace.empty((*ids.shape, table.shape[-1]), table.dtype)
    # Ids are checked; with any other mode, `take` would go through a buffer for fear of a wrong one.
    if table.ndim == 2:
        table.take(ids, 0, y, "clip")
    else:
        for own_table, own_ids, own_y in zip(table, ids, y, strict=True):
            own_table.take(own_ids, 0, own_y, "clip")
    return y


def _read_densely(source: Tensor, ids: npt.NDArray[np.int64]) -> Tensor:
    """(V, D), (...) -> (..., D), stacked (K, V, D), (K, ...) -> (K, ..., D): `embedding` with a dense gradient."""

    def vjp(g: Array) -> None:
        gradient = _zeros_like(source.data)
        add_rows(gradient, *_rows_of(gradient.shape, ids, g))
        source.receive(gradient)

    return record(_read(source.data, ids), (source,), vjp)


def _zeros_like(array: Array) -> Array:
    """Returns zeros of an array's shape and dtype, in reused memory if they are many."""
    if array.size < _LARGE:
        return np.zeros(array.shape, array.dtype)
    zeros = workspace.empty_like(array)
    zeros.fill(0)
    return zeros


def _rows_of(
    shape: tuple[int, ...], ids: npt.NDArray[np.int64], g: Array
) -> tuple[npt.NDArray[np.int64], npt.NDArray[Any]]:
    """(...), (..., D) -> (n,), (n, D): ids and gradients as rows; in a stack (K, V, D), V is added client by client."""
    if len(shape) == 3:
        firsts = np.arange(shape[0]) * shape[1]
        ids = ids + firsts.reshape(-1, *(1,) * (ids.ndim - 1))
    return ids.reshape(-1), g.reshape(ids.size, shape[-1])


def _sum_stacked_bags(table: Array, ids: npt.NDArray[np.int64], bounds: npt.NDArray[np.int64]) -> Array:
    """(K, V, D), (n,), (K b + 1,) -> (K, b, D): the sum of each bag's rows of its client's table."""
    num_clients, _, width = table.shape
    num_bags = (bounds.size - 1) // num_clients
    sums = np.empty((num_clients, num_bags, width), table.dtype)
    for client, own_table in enumerate(table):
        own = bounds[client * num_bags : (client + 1) * num_bags + 1]
        start, stop = own.item(0), own.item(-1)
        sums[client] = sum_bags(own_table, ids[start:stop], own - start)
    return sums


def _check_rows(operation: str, table: Tensor, ids: npt.NDArray[np.int64]) -> None:
    """Raises GraphError unless the ids name rows of the table, or of each client's table."""
    require_tensor(operation, "table", table)
    shape = table.data.shape
    complaint = ""
    if len(shape) not in {2, 3}:
        complaint = f"the table must have shape (V, D) or, stacked, (K, V, D), got {shape}"
    elif ids.dtype != _INT64:
        complaint = f"ids must be int64, got {ids.dtype} of shape {ids.shape}"
    elif len(shape) == 3 and ids.shape[:1] != shape[:1]:
        complaint = f"a stack of {shape[0]} tables needs ids of shape ({shape[0]}, ...), got {ids.shape}"
    if complaint:
        message = f"{operation}: {complaint}"
        raise GraphError(message)
    _check_range(operation, shape, ids)


def _checked_sizes(
    table: Tensor, ids: npt.NDArray[np.int64], bounds: npt.NDArray[np.int64], mode: str
) -> npt.NDArray[np.int64]:
    """Returns how many ids each bag holds, (b,), once all about the bags is checked."""
    require_tensor("embedding_bag", "table", table)
    shape = table.data.shape
    complaint = ""
    if len(shape) not in {2, 3}:
        complaint = f"the table must have shape (V, D) or, stacked, (K, V, D), got {shape}"
    elif mode not in {"sum", "mean"}:
        complaint = f'mode is "sum" or "mean", not {mode!r}'
    elif ids.dtype != _INT64 or bounds.dtype != _INT64 or ids.ndim != 1 or bounds.ndim != 1:
        complaint = (
            f"token_ids and offsets must be int64 of one axis, got {ids.dtype} of shape {ids.shape} "
            f"and {bounds.dtype} of shape {bounds.shape}"
        )
    elif not bounds.size or bounds.item(0) != 0 or bounds.item(-1) != ids.size:
        complaint = (
            f"offsets must run from 0 to the number of ids, {ids.size}: one for each bag, and the end of the last"
        )
    elif len(shape) == 3 and (shape[0] == 0 or (bounds.size - 1) % shape[0]):
        complaint = f"{bounds.size - 1} bags are not as many for each of {shape[0]} clients"
    if complaint:
        message = f"embedding_bag: {complaint}"
        raise GraphError(message)
    sizes: npt.NDArray[np.int64] = bounds[1:] - bounds[:-1]
    if sizes.size > 1 and sizes.item(sizes.argmin()) < 0:  # a single bag runs from 0 to n, which was seen
        message = "embedding_bag: offsets must never fall"
        raise GraphError(message)
    _check_range("embedding_bag", shape, ids)
    return sizes


def _check_range(operation: str, shape: tuple[int, ...], ids: npt.NDArray[np.int64]) -> None:
    """Raises GraphError unless all ids are rows of a table of this shape."""
    if not ids.size:
        return
    # Seen as unsigned, a negative id is a huge one: a single pass finds both. (`argmax` takes half of a `reduce`.)
    unsigned = ids.view(_UINT64)
    if unsigned.item(unsigned.argmax()) >= shape[-2]:
        span = f"{ids.min()} to {ids.max()}"
        message = f"{operation}: ids must be 0 to {shape[-2] - 1} for a table of shape {shape}, got {span}"
        raise GraphError(message)
