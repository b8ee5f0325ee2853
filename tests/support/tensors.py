"""Bags of words and the obvious loops over them, for tests of tensors, layers and models."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from hypothesis import strategies as st

from fedgdl.autograd import Parameter, SparseGradient, Tensor


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
