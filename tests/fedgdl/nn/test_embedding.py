"""Tables of words: values, sparse gradients, initial tables, and what they refuse."""

from typing import Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tensors import Bags, bag_lists, dense_gradient, slow_bags

from fedgdl.autograd import SparseGradient, gradcheck
from fedgdl.errors import GraphError, ParameterError
from fedgdl.nn import Embedding, EmbeddingBag, init
from fedgdl.parameters import DType

LAYERS = [Embedding, EmbeddingBag]


@given(bag_lists(num_words=5), st.sampled_from(["sum", "mean"]))
def test_embedding_bag_reads_its_table(bags: Bags, mode: Literal["sum", "mean"]) -> None:
    layer = EmbeddingBag(5, 2, mode, rng=np.random.default_rng(1), dtype="float64")
    y = layer(bags.token_ids, bags.offsets)
    np.testing.assert_allclose(y.data, slow_bags(layer.weight.data, bags, mode), rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("shape", [(), (4,), (2, 3), (0,)])
def test_embedding_reads_a_row_for_each_id(shape: tuple[int, ...]) -> None:
    layer = Embedding(5, 2, rng=np.random.default_rng(1))
    ids = np.random.default_rng(2).integers(0, 5, size=shape)
    np.testing.assert_array_equal(layer(np.asarray(ids)).data, layer.weight.data[ids])


def test_gradients() -> None:
    rng = np.random.default_rng(1)
    words = Embedding(5, 2, rng=rng, dtype="float64")
    gradcheck(lambda _: words(np.array([[4, 4, 0], [1, 4, 0]])), list(words.parameters()), rng)


@pytest.mark.parametrize("mode", ["sum", "mean"])
def test_gradients_of_bags(mode: Literal["sum", "mean"]) -> None:
    rng = np.random.default_rng(1)
    bags = EmbeddingBag(5, 2, mode, rng=rng, dtype="float64")
    token_ids, offsets = np.array([4, 4, 0, 1]), np.array([0, 3, 3, 4])
    gradcheck(lambda _: bags(token_ids, offsets), list(bags.parameters()), rng)


def test_gradients_are_sparse_even_in_a_vector() -> None:
    bags, words = EmbeddingBag(5, 2, initial=init.zeros), Embedding(5, 2, initial=init.zeros)
    bags.flatten()
    words.flatten()
    bags(np.array([4, 4, 0]), np.array([0, 3])).sum().backward()
    words(np.array([[4, 4], [0, 2]])).sum().backward()
    assert isinstance(bags.weight.grad, SparseGradient)
    assert isinstance(words.weight.grad, SparseGradient)
    np.testing.assert_array_equal(dense_gradient(bags.weight)[:, 0], [1, 0, 0, 0, 2])
    np.testing.assert_array_equal(dense_gradient(words.weight)[:, 0], [1, 0, 1, 0, 2])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("layer", LAYERS)
def test_tables_start_even_within_half_a_dimension_or_as_told(
    layer: type[Embedding | EmbeddingBag], dtype: DType
) -> None:
    zeros = layer(3, 2, initial=init.zeros, dtype=dtype).weight
    np.testing.assert_array_equal(zeros.data, np.zeros((3, 2), dtype))
    assert zeros.dtype == dtype
    first, second = (layer(2_000, 4, rng=np.random.default_rng(7), dtype=dtype).weight.data for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert first.dtype == dtype
    assert -0.125 <= first.min() < -0.124
    assert 0.124 < first.max() < 0.125
    # The mean of n values of U(-1/8, 1/8) has variance (1/4)^2 / (12 n); beyond 5 of its deviations by chance: 6e-7.
    assert abs(first.mean()) < 5 * 0.25 / np.sqrt(12 * first.size)


@pytest.mark.parametrize("layer", LAYERS)
def test_impossible_arguments_are_told(layer: type[Embedding | EmbeddingBag]) -> None:
    for sizes in ((0, 1), (1, 0), (-3, 2)):
        with pytest.raises(ParameterError, match="at least one word and one dimension"):
            layer(*sizes, rng=np.random.default_rng(1))
    with pytest.raises(ParameterError, match="pass rng="):
        layer(2, 2)


def test_words_out_of_the_table_are_told() -> None:
    with pytest.raises(GraphError, match=r"embedding: ids must be 0 to 1"):
        Embedding(2, 2, initial=init.zeros)(np.array([2]))
    with pytest.raises(GraphError, match=r"embedding_bag: ids must be 0 to 1"):
        EmbeddingBag(2, 2, initial=init.zeros)(np.array([-1]), np.array([0, 1]))
    with pytest.raises(GraphError, match=r"embedding: .*int64"):
        Embedding(2, 2, initial=init.zeros)(np.array([0.0]))
