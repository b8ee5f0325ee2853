"""Dropout: where its randomness comes from, what it leaves, and when it does nothing."""

import copy
import pickle

import numpy as np
import pytest
from tensors import dense_gradient, leaf

from fedgdl.autograd import Tensor, dropout
from fedgdl.errors import GraphError, ParameterError
from fedgdl.nn import Dropout, Linear, Sequential

ONES = Tensor(np.ones((100, 50)))


def test_in_training_it_is_the_operation_with_the_stream_it_was_handed() -> None:
    layer = Dropout(0.3).train(np.random.default_rng(1))
    rng = np.random.default_rng(1)
    for _ in range(2):
        np.testing.assert_array_equal(layer(ONES).data, dropout(ONES, 0.3, rng).data)


def test_elements_are_left_out_or_scaled_up_and_gradients_too() -> None:
    """Of n elements n p are left out, with deviation sqrt(n p (1 - p)); beyond 5 of them by chance: 6e-7."""
    x = leaf(100, 50)
    y = Dropout(0.3).train(np.random.default_rng(1))(x)
    kept = y.data != 0
    np.testing.assert_allclose(y.data[kept], x.data[kept] / 0.7, rtol=1e-15)
    assert abs((~kept).sum() - 0.3 * x.size) < 5 * np.sqrt(x.size * 0.3 * 0.7)
    y.backward(1.0)
    np.testing.assert_allclose(dense_gradient(x), kept / 0.7, rtol=1e-15)


def test_in_evaluation_it_is_the_identity() -> None:
    rng = np.random.default_rng(1)
    layer = Dropout(0.3).train(rng)
    state = rng.bit_generator.state
    assert layer.eval()(ONES) is ONES
    assert rng.bit_generator.state == state


def test_with_a_probability_of_zero_nothing_is_drawn() -> None:
    rng = np.random.default_rng(1)
    state = rng.bit_generator.state
    assert Dropout(0).train(rng)(ONES) is ONES
    assert rng.bit_generator.state == state
    assert Dropout(0)(ONES) is ONES


def test_to_train_without_a_stream_is_told() -> None:
    model = Sequential(Linear(2, 2, rng=np.random.default_rng(1)), Dropout())
    x = np.ones((1, 2), "float32")
    for forgetful in (model, model.train(), model.train(np.random.default_rng(1)).train()):
        with pytest.raises(GraphError, match=r"no stream to draw from: call model.train\(rng\) .*, or model.eval\(\)"):
            forgetful(x)
    assert model.eval()(x).shape == (1, 2)


def test_copies_own_no_stream() -> None:
    layer = Dropout().train(np.random.default_rng(1))
    for other in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer)), layer.stack(2)):
        assert other.rng is None
        assert other.training
    assert layer.rng is not None


def test_only_layers_that_draw_get_the_stream() -> None:
    model = Sequential(Linear(2, 2, rng=np.random.default_rng(1)), Dropout())
    rng = np.random.default_rng(1)
    model.train(rng)
    assert [module.rng for module in model.modules()] == [None, None, rng]


def test_a_stack_takes_a_stream_for_each_client() -> None:
    rng = np.random.default_rng(1)
    stack = Sequential(Linear(2, 2, rng=rng), Dropout()).stack(3)
    streams = [np.random.default_rng(index) for index in range(3)]
    for wrong, given in ((rng, "one for all"), (streams[:2], "2"), ([*streams, rng], "4")):
        with pytest.raises(GraphError, match=f"3 clients draws from 3 generators, got {given}"):
            stack.train(wrong)
    with pytest.raises(GraphError, match=r"one client draws from one numpy\.random\.Generator, got list"):
        Dropout().train(streams)
    stack.flatten()
    stack.activate(2).train(streams)  # as many as the whole stack has; those of the first two are used
    states = [stream.bit_generator.state for stream in streams]
    stack(np.ones((2, 5, 2), "float32"))
    assert [state != stream.bit_generator.state for state, stream in zip(states, streams, strict=True)] == [
        True,
        True,
        False,
    ]


@pytest.mark.parametrize("p", [-0.1, 1, 1.5, float("nan")])
def test_an_impossible_probability_is_told(p: float) -> None:
    with pytest.raises(ParameterError, match=f"from 0 to below 1, got {p}"):
        Dropout(p)
