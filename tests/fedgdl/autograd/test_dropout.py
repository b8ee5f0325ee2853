"""Dropout: its mask and scale, forward and backward; its streams; and what it refuses."""

import numpy as np
import pytest
from tensors import Shape, assert_inputs_are_left_alone, assert_stack_equals_alone, dense_gradient, leaf

from fedgdl.autograd import Tensor, dropout, gradcheck
from fedgdl.errors import GraphError


def stream(seed: int = 1) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.mark.parametrize("shape", [(), (1,), (0, 3), (3, 4), (130, 130)])
@pytest.mark.parametrize("p", [0, 0.25, 0.5, 0.9])
def test_gradients(shape: Shape, p: float) -> None:
    rng = stream()
    gradcheck(lambda x: dropout(x, p, stream(2)), [rng.normal(size=shape)], rng)
    assert_inputs_are_left_alone(lambda x: dropout(x, p, stream(2)), rng.normal(size=shape))


@pytest.mark.parametrize("p", [0.25, 0.5, 0.9])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_gradient_has_the_forward_pass_mask_and_scale(p: float, dtype: str) -> None:
    x = Tensor(np.full((50, 40), 3, dtype), requires_grad=True)
    y = dropout(x, p, stream())
    y.backward(3.0)
    np.testing.assert_array_equal(dense_gradient(x), y.data)  # both are 3 times mask times scale
    np.testing.assert_allclose(np.unique(y.data), [0, 3 / (1 - p)], rtol=1e-6)
    assert y.dtype == dense_gradient(x).dtype == dtype


@pytest.mark.parametrize("p", [0.1, 0.5, 0.8])
def test_the_share_and_the_mean(p: float) -> None:
    # n independent elements: the number kept is within 5 standard deviations but in 1 of 1.7 million streams.
    n = 1 << 16
    y = dropout(Tensor(np.ones(n)), p, stream()).data
    deviation = np.sqrt(n * p * (1 - p))
    assert abs(np.count_nonzero(y) - n * (1 - p)) < 5 * deviation
    assert abs(y.mean() - 1) < 5 * deviation / (n * (1 - p))


def test_masks_differ_from_call_to_call_and_agree_between_dtypes() -> None:
    x, rng = np.ones(64), stream()
    first, second = dropout(Tensor(x), 0.5, rng).data, dropout(Tensor(x), 0.5, rng).data
    assert (first != second).any()
    np.testing.assert_array_equal(dropout(Tensor(x.astype("float32")), 0.5, stream()).data, first)


def test_nothing_is_drawn_for_nothing() -> None:
    x, rng = leaf(3), stream()
    assert dropout(x, 0, rng) is x
    assert rng.random() == stream().random()


@pytest.mark.parametrize("num_clients", [1, 2, 5])
@pytest.mark.parametrize("shape", [(), (3,), (7, 13), (130, 31)])
def test_stacked_clients_draw_what_they_draw_alone(shape: Shape, num_clients: int) -> None:
    rng = stream()
    data = rng.normal(size=(num_clients, *shape)).astype("float32")
    assert_stack_equals_alone(
        lambda x: dropout(x, 0.4, [stream(client) for client in range(num_clients)]),
        lambda x, client: dropout(x, 0.4, stream(client)),
        data,
        rng,
    )


def test_streams_go_on_after_a_stack_as_they_do_alone() -> None:
    streams = [stream(1), stream(2)]
    dropout(Tensor(np.ones((2, 5))), 0.5, streams)
    for seed, own in enumerate(streams, 1):
        alone = stream(seed)
        dropout(Tensor(np.ones(5)), 0.5, alone)
        assert own.random() == alone.random()


@pytest.mark.parametrize("p", [1, 1.5, -0.1, float("nan"), "0.5", None])
def test_impossible_shares_are_refused(p: float) -> None:
    with pytest.raises(GraphError, match="dropout: p is a number, at least 0 and below 1, not "):
        dropout(leaf(3), p, stream())


def test_wrong_streams_are_refused() -> None:
    for wrong in (None, 1, np.random.RandomState(1), [stream(), 2], "ab"):
        with pytest.raises(GraphError, match="dropout: rng is a Generator, or a list of one for each client"):
            dropout(leaf(2), 0.5, wrong)
    for shape in ((3, 2), ()):
        with pytest.raises(GraphError, match="dropout: 2 streams do not fit clients stacked to shape"):
            dropout(leaf(*shape), 0.5, [stream(), stream()])
    with pytest.raises(GraphError, match=r"dropout: operands are .*; got list"):
        dropout([1.0], 0.5, stream())
