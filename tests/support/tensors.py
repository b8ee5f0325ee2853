"""Bags of words and the obvious loops over them, shapes and checks, for tests of tensors, layers and models."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from hypothesis import strategies as st

from fedgdl.autograd import Parameter, SparseGradient, Tensor

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Bags:
    """Bags of word ids as lists, and as the arrays that `embedding_bag` takes."""

    lists: tuple[tuple[int, ...], ...]

    @property
    def token_ids(self) -> npt.NDArray[np.int64]:
        return np.array([word for bag in self.lists for word in bag], dtype=np.int64)

    @property
    def offsets(self) -> npt.NDArray[np.int64]:
        return np.cumsum([0, *map(len, self.lists)], dtype=np.int64)


def bag_lists(num_words: int, max_bags: int = 6, max_words: int = 7) -> st.SearchStrategy[Bags]:
    """Any bags of words 0 to num_words - 1: none at all, empty ones, and with repeats in a bag and across bags."""
    bag = st.lists(st.integers(0, num_words - 1), max_size=max_words)
    return st.lists(bag, max_size=max_bags).map(lambda bags: Bags(tuple(map(tuple, bags))))


def slow_bags(table: npt.NDArray[np.float64], bags: Bags, mode: str) -> npt.NDArray[np.float64]:
    """The rows named by each bag, summed or averaged one by one."""
    result = np.zeros((len(bags.lists), table.shape[1]))
    for index, bag in enumerate(bags.lists):
        for word in bag:
            result[index] += table[word] / (len(bag) if mode == "mean" else 1)
    return result


def slow_table_gradient(
    shape: tuple[int, int], bags: Bags, gradient: npt.NDArray[np.float64], mode: str
) -> npt.NDArray[np.float64]:
    """The gradient by the table of the sum of `gradient` times the bags' values, one word at a time."""
    result = np.zeros(shape)
    for index, bag in enumerate(bags.lists):
        for word in bag:
            result[word] += gradient[index] / (len(bag) if mode == "mean" else 1)
    return result


def dense_gradient(tensor: Tensor) -> npt.NDArray[np.float64]:
    """A leaf's gradient as an array, whether it is kept dense or sparse."""
    assert tensor.grad is not None
    return tensor.grad.to_dense() if isinstance(tensor.grad, SparseGradient) else tensor.grad


def parameter(*shape: int, dtype: str = "float64", seed: int = 0) -> Parameter:
    """A parameter of normal values."""
    return Parameter(np.random.default_rng(seed).normal(size=shape).astype(dtype))


def leaf(*shape: int, dtype: str = "float64", seed: int = 0) -> Tensor:
    """A leaf of normal values that requires a gradient."""
    return Tensor(np.random.default_rng(seed).normal(size=shape).astype(dtype), requires_grad=True)


# Pairs of shapes: equal, broadcast on either side and on both, without axes, of size 0 and of size 1.
PAIRS: list[tuple[Shape, Shape]] = [
    ((3,), (3,)),
    ((2, 3), (3,)),
    ((3,), (2, 3)),
    ((2, 1), (1, 3)),
    ((2, 3), (2, 1)),
    ((4, 1, 3), (2, 1)),
    ((), (2, 2)),
    ((2, 2), ()),
    ((), ()),
    ((1,), (1, 1)),
    ((1,), (5,)),
    ((0,), (0,)),
    ((0, 3), (3,)),
    ((1, 3), (0, 3)),
    ((2, 0), (1,)),
    ((1, 1, 1), (2, 3)),
    ((0, 1), (1, 0)),
]


def shape_ids(cases: Sequence[tuple[Shape, Shape]]) -> list[str]:
    """A name for each pair of shapes."""
    return [f"{a}-{b}" for a, b in cases]


def assert_stack_equals_alone(
    stacked: Callable[[Tensor], Tensor],
    alone: Callable[[Tensor, int], Tensor],
    data: npt.NDArray[np.float32],
    rng: np.random.Generator,
) -> None:
    """Checks that each client of a stack has the bits it has alone, in the result and in its gradient.

    `stacked` takes all clients' data (K, ...), `alone` those of one client (...), and its number.
    """
    together = Tensor(data, requires_grad=True)
    result = stacked(together)
    seed = rng.normal(size=result.shape).astype(result.dtype)
    result.backward(seed)
    for client in range(len(data)):
        single = Tensor(data[client].copy(), requires_grad=True)
        own = alone(single, client)
        own.backward(seed[client, ...])
        assert own.dtype == result.dtype
        np.testing.assert_array_equal(own.data, result.data[client])
        np.testing.assert_array_equal(dense_gradient(single), dense_gradient(together)[client])


def assert_inputs_are_left_alone(operation: Callable[..., Tensor], *arrays: npt.NDArray[np.float64]) -> None:
    """Runs an operation and its gradient on arrays, and on a gradient, that cannot be written to."""
    for array in arrays:
        array.setflags(write=False)
    result = operation(*(Tensor(array, requires_grad=True) for array in arrays))
    seed = np.ones(result.shape)
    seed.setflags(write=False)
    result.backward(seed)
