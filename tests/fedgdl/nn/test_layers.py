"""The layers and losses: values, initial parameters, dtypes, and what they refuse."""

from typing import Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tensors import Bags, bag_lists, dense_gradient, leaf, slow_bags

from fedgdl.autograd import SparseGradient, Tensor, gradcheck, sigmoid
from fedgdl.errors import GraphError, ParameterError
from fedgdl.nn import EmbeddingBag, MSELoss, Sigmoid


@given(bag_lists(num_words=5), st.sampled_from(["sum", "mean"]))
def test_embedding_bag_reads_its_table(bags: Bags, mode: Literal["sum", "mean"]) -> None:
    layer = EmbeddingBag(5, 2, mode, dtype="float64", initial="uniform", rng=np.random.default_rng(1))
    y = layer(bags.token_ids, bags.offsets)
    np.testing.assert_allclose(y.data, slow_bags(layer.weight.data, bags, mode), rtol=1e-13, atol=1e-13)


def test_embedding_bag_gets_a_sparse_gradient_even_in_a_vector() -> None:
    layer = EmbeddingBag(5, 2, dtype="float32")
    layer.flatten()
    layer(np.array([4, 4, 0]), np.array([0, 3])).sum().backward()
    assert isinstance(layer.weight.grad, SparseGradient)
    np.testing.assert_array_equal(dense_gradient(layer.weight)[:, 0], [1, 0, 0, 0, 2])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_embedding_bag_starts_at_zero_or_even_within_half_a_dimension(dtype: Literal["float32", "float64"]) -> None:
    zeros = EmbeddingBag(3, 2, dtype=dtype).weight
    np.testing.assert_array_equal(zeros.data, np.zeros((3, 2), dtype))
    assert zeros.dtype == dtype
    first, second = (
        EmbeddingBag(2_000, 4, dtype=dtype, initial="uniform", rng=np.random.default_rng(7)).weight.data
        for _ in range(2)
    )
    np.testing.assert_array_equal(first, second)
    assert first.dtype == dtype
    assert -0.125 <= first.min() < -0.124
    assert 0.124 < first.max() < 0.125
    # The mean of n values of U(-1/8, 1/8) has variance (1/4)^2 / (12 n); beyond 5 of its deviations by chance: 6e-7.
    assert abs(first.mean()) < 5 * 0.25 / np.sqrt(12 * first.size)


def test_embedding_bag_refuses_impossible_arguments() -> None:
    for sizes in ((0, 1), (1, 0), (-3, 2)):
        with pytest.raises(ParameterError, match="at least one word and one dimension"):
            EmbeddingBag(*sizes, dtype="float32")
    with pytest.raises(ParameterError, match="pass an rng"):
        EmbeddingBag(2, 2, dtype="float32", initial="uniform")


def test_sigmoid_is_the_operation() -> None:
    x = leaf(3)
    np.testing.assert_array_equal(Sigmoid()(x).data, sigmoid(x).data)


def test_losses_sum_or_average_over_all_elements() -> None:
    prediction, target = Tensor(np.zeros((2, 3))), np.full((2, 3), 2.0)
    assert MSELoss()(prediction, target).item() == 4
    assert MSELoss(reduction="sum")(prediction, target).item() == 24


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_gradients_of_losses(reduction: Literal["mean", "sum"]) -> None:
    rng = np.random.default_rng(1)
    for shape in ((), (1,), (4,), (2, 3)):
        gradcheck(MSELoss(reduction), [rng.normal(size=shape), rng.normal(size=shape)], rng)


def test_float32_losses_stay_float32() -> None:
    x = leaf(3, dtype="float32")
    loss = MSELoss()(x, np.ones(3, "float32"))
    loss.backward()
    assert loss.dtype == dense_gradient(x).dtype == np.float32


def test_losses_refuse_what_makes_no_sense() -> None:
    with pytest.raises(GraphError, match="reduction is"):
        MSELoss("median")  # type: ignore[arg-type]
    with pytest.raises(GraphError, match=r"no mean of a prediction of shape \(0,\)"):
        MSELoss()(Tensor(np.zeros(0)), np.zeros(0))
    assert MSELoss("sum")(Tensor(np.zeros(0)), np.zeros(0)).item() == 0
