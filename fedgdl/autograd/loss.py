"""Losses in one operation each, from a model's outputs to what is minimised.

Each is reduced over all its elements to one number, `"mean"` or `"sum"`, or not at all, `"none"`. In a stack
of K clients, `per_client` keeps the first axis: each client has a loss of its own.

Example:
    >>> logits = Tensor([[2.0, 0.0], [0.0, 0.0]], requires_grad=True)
    >>> loss = softmax_cross_entropy(logits, np.array([0, 1]))
    >>> round(loss.item(), 4)
    0.41
    >>> loss.backward()
    >>> logits.grad.round(3)
    array([[-0.06,  0.06],
           [ 0.25, -0.25]])
"""

import math
from typing import Final, Literal, TypeAlias, cast

import numpy as np
import numpy.typing as npt

from fedgdl.autograd import workspace
from fedgdl.autograd.blas import row_sums
from fedgdl.autograd.operands import as_tensor
from fedgdl.autograd.tensor import Array, Tensor, record
from fedgdl.errors import GraphError

__all__ = ["Reduction", "sigmoid_cross_entropy", "softmax_cross_entropy", "squared_error"]

Reduction: TypeAlias = Literal["mean", "sum", "none"]

_INT64: Final = np.dtype(np.int64)
_UINT64: Final = np.dtype(np.uint64)
# Constants are arrays without axes: in a ufunc they cost half of what Python's numbers cost.
_ZERO: Final = {char: np.zeros((), char) for char in "fd"}
_MINUS: Final = {char: np.full((), -1, char) for char in "fd"}


def squared_error(
    prediction: Tensor, target: Tensor | Array, reduction: Reduction = "sum", *, per_client: bool = False
) -> Tensor:
    """(...), (...) -> () or, per client, (K,): the sum, mean or each of (prediction - target)^2.

    Shapes must be equal: a target that was broadcast would be counted several times.

    Raises:
        GraphError: shapes or dtypes differ, the reduction is unknown, or a mean of nothing is asked for.
    """
    t = _fitting("squared_error", prediction, target)
    count = _count("squared_error", t.shape, reduction, per_client=per_client)
    error = prediction.data - t
    if reduction == "none":
        loss = error * error
    elif per_client:
        loss = _dot_rows(error) / count
    else:
        loss = np.vdot(error, error) / count

    def vjp(g: Array) -> None:
        slope = _spread(g, 2, count, t.ndim) * error
        if prediction.requires_grad:
            prediction.receive(slope)
        if isinstance(target, Tensor) and target.requires_grad:
            target.receive(-slope)

    return record(loss, (prediction, target) if isinstance(target, Tensor) else (prediction,), vjp)


def softmax_cross_entropy(
    logits: Tensor, class_ids: npt.NDArray[np.int64], reduction: Reduction = "mean", *, per_client: bool = False
) -> Tensor:
    """(..., C), (...) -> () or, per client, (K,): -log softmax(logits)[class id], averaged, summed or each.

    Stable: the largest logit of each row is subtracted first.

    Args:
        logits: (..., C).
        class_ids: (...) integers, 0 to C - 1.
        reduction: as above.
        per_client: whether the first axis is one of clients, to be kept.

    Raises:
        GraphError: shapes do not fit, an id is out of range, the reduction is unknown, or a mean of nothing is
            asked for.
    """
    x, ids = logits.data, class_ids
    if type(ids) is not np.ndarray or ids.dtype != _INT64 or not isinstance(logits, Tensor):
        ids = _as_classes(logits, class_ids)
    _require_classes(x, ids)
    shape = x.shape
    count = _count("softmax_cross_entropy", ids.shape, reduction, per_client=per_client)
    rows = x if len(shape) == 2 else x.reshape(-1, shape[-1])
    starts = _starts(len(rows), shape[-1])
    picked = starts + ids.reshape(-1)
    largest = rows.take(starts + rows.argmax(1))  # sooner than `max`
    # Row by row in memory, whatever the order of the logits: `picked` counts on it.
    exps = np.subtract(rows, largest[:, np.newaxis], order="C")
    chosen = exps.take(picked)
    np.exp(exps, exps)
    by_client = exps.reshape(shape[0], math.prod(shape[1:-1]), shape[-1]) if per_client else exps
    sums = row_sums(by_client).reshape(-1)
    losses = np.log(sums)
    losses -= chosen

    def vjp(g: Array) -> None:
        scale = _spread(g, 1, count, g.ndim)
        if not isinstance(scale, float):
            scale = scale.reshape(-1).repeat(picked.size // max(scale.size, 1))  # one for each row of logits
        slope = exps  # of this closure alone, which runs once
        slope *= (scale / sums)[:, np.newaxis]
        slope.put(picked, slope.take(picked) - scale)
        logits.receive(slope.reshape(shape))

    return record(_reduced(losses, ids.shape, reduction, count, per_client=per_client), (logits,), vjp)


def sigmoid_cross_entropy(
    logits: Tensor, targets: Tensor | Array, reduction: Reduction = "mean", *, per_client: bool = False
) -> Tensor:
    """(...), (...) -> () or, per client, (K,): the binary cross-entropy of sigmoid(logits), averaged, summed or each.

    Stable: max(x, 0) - x t + log(1 + exp(-|x|)), which neither overflows nor loses small losses.

    Args:
        logits: (...).
        targets: (...) of the logits' dtype, probabilities from 0 to 1; a constant.
        reduction: as above.
        per_client: whether the first axis is one of clients, to be kept.

    Raises:
        GraphError: shapes or dtypes differ, targets require a gradient, the reduction is unknown, or a mean
            of nothing is asked for.
    """
    t = _fitting("sigmoid_cross_entropy", logits, targets)
    if isinstance(targets, Tensor) and targets.requires_grad:
        message = "sigmoid_cross_entropy: targets are constants, this one requires a gradient; `detach()` it"
        raise GraphError(message)
    x, zero = logits.data, _ZERO[t.dtype.char]
    count = _count("sigmoid_cross_entropy", t.shape, reduction, per_client=per_client)
    tail = np.log1p(np.exp(np.copysign(x, _MINUS[t.dtype.char])))
    top = np.maximum(x, zero)
    losses = top - x * t
    losses += tail

    def vjp(g: Array) -> None:
        slope = x - top
        slope -= tail
        slope = np.exp(slope)  # sigmoid(x), as log(sigmoid(x)) is x - log(1 + exp(x))
        slope -= t
        logits.receive(slope * _spread(g, 1, count, t.ndim))

    return record(_reduced(losses, t.shape, reduction, count, per_client=per_client), (logits,), vjp)


def _fitting(operation: str, prediction: object, target: object) -> Array:
    """Returns the target's array.

    Raises:
        GraphError: its shape or dtype is not the prediction's.
    """
    t = target.data if isinstance(target, Tensor) else target
    if isinstance(prediction, Tensor) and isinstance(t, np.ndarray):
        x = prediction.data
        if x.shape == t.shape and x.dtype is t.dtype:
            return t
    goal, x = as_tensor(operation, target), as_tensor(operation, prediction).data
    if not isinstance(prediction, Tensor):
        message = f"{operation}: the prediction must be a tensor, got an array of shape {x.shape}"
        raise GraphError(message)
    if goal.dtype != x.dtype:
        message = (
            f"{operation}: the prediction of shape {x.shape} is {x.dtype}, the target of {goal.shape} {goal.dtype}"
        )
        raise GraphError(message)
    if goal.shape != x.shape:
        message = f"{operation}: the prediction has shape {x.shape}, but the target {goal.shape}"
        raise GraphError(message)
    return goal.data


@workspace.kept
def _starts(num_rows: int, num_classes: int) -> npt.NDArray[np.int64]:
    """(num_rows,): where each row of a contiguous (num_rows, num_classes) begins."""
    return np.arange(0, num_rows * num_classes, num_classes)


def _as_classes(logits: object, class_ids: npt.ArrayLike) -> npt.NDArray[np.int64]:
    """Returns class ids of any integer type as int64.

    Raises:
        GraphError: they are no integers, or the logits no tensor.
    """
    if not isinstance(logits, Tensor):
        message = f"softmax_cross_entropy: the logits must be a tensor, got {type(logits).__name__}"
        raise GraphError(message)
    ids = np.asarray(class_ids)
    if ids.dtype.kind not in "iu":
        message = f"softmax_cross_entropy: class ids must be integers, got {ids.dtype} of shape {ids.shape}"
        raise GraphError(message)
    return ids.astype(np.int64)


def _require_classes(x: Array, ids: npt.NDArray[np.int64]) -> None:
    """Raises GraphError unless the ids name a class for each row of logits."""
    complaint = ""
    if x.shape[:-1] != ids.shape or not x.ndim or not x.shape[-1]:
        complaint = f"needs logits (..., C) and class ids (...), got shapes {x.shape} and {ids.shape}"
        complaint += "; are they one-hot? Then pass labels.argmax(-1)" if x.shape == ids.shape else ""
    elif ids.size and (seen := ids.view(_UINT64)).item(seen.argmax()) >= x.shape[-1]:  # a negative id is a huge one
        complaint = f"class ids must be 0 to {x.shape[-1] - 1}, got {ids.min()} to {ids.max()}"
    if complaint:
        message = f"softmax_cross_entropy: {complaint}"
        raise GraphError(message)


def _count(operation: str, shape: tuple[int, ...], reduction: str, *, per_client: bool) -> int:
    """Returns by how much a sum of losses is divided."""
    if per_client and not shape:
        message = f"{operation}: a loss per client needs an axis of clients, got shape ()"
        raise GraphError(message)
    if reduction in {"sum", "none"}:
        return 1
    if reduction != "mean":
        message = f'{operation}: the reduction is "mean", "sum" or "none", not {reduction!r}'
        raise GraphError(message)
    count = math.prod(shape[1:] if per_client else shape)
    if not count:
        message = f"{operation}: there is no mean of losses of shape {shape}"
        raise GraphError(message)
    return count


def _dot_rows(error: Array) -> Array:
    """(K, ...) -> (K,): the sum of squares of each client, as `vdot` finds it for one."""
    rows = error.reshape(len(error), -1)
    return cast("Array", np.matmul(rows[:, np.newaxis], rows[:, :, np.newaxis]).reshape(-1))


def _reduced(losses: Array, shape: tuple[int, ...], reduction: str, count: int, *, per_client: bool) -> Array:
    """Returns losses of a shape, in any shape, as each, or summed and divided by `count`."""
    if reduction == "none":
        return losses.reshape(shape)
    if per_client:
        losses = losses.reshape(shape[0], math.prod(shape[1:]))
        return cast("Array", np.add.reduce(losses, 1) / count)
    if losses.size == 1:
        return losses.reshape(())
    total = np.add.reduce(losses, None)
    return cast("Array", total if count == 1 else total / count)


def _spread(g: Array, factor: int, count: int, ndim: int) -> Array | float:
    """(), (K,) or (...) -> factor g / count, so that it broadcasts against losses of `ndim` axes from the left."""
    if g.ndim == 0:
        # In float64, and rounded once it meets the losses: the bits are those of a quotient in the losses' dtype.
        return float(factor * g.item() / count)
    scale = factor * g / count
    return scale if scale.ndim == ndim else scale.reshape(*scale.shape, *(1,) * (ndim - scale.ndim))
