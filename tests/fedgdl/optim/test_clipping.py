"""Clipping: norms of dense and sparse gradients, of single clients in a stack, and of extreme numbers."""

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optimizers import Array, Flat, send_gradients
from tensors import dense_gradient

from fedgdl.autograd import Parameter
from fedgdl.errors import ConfigError, GraphError
from fedgdl.optim import SGD, clip_grad_norm, clip_grad_value


def gradients(flat: Flat) -> Array:
    """All gradients as one vector, or one a client: (P,) or (A, P)."""
    stacked = flat.vector.ndim == 2
    parts = [dense_gradient(parameter) for parameter in flat.parameters]
    return np.concatenate([part.reshape(len(part), -1) if stacked else part.reshape(-1) for part in parts], axis=-1)


@given(seed=st.integers(0, 2**32), max_norm=st.floats(1e-3, 1e3))
def test_gradients_point_where_they_did_and_are_no_longer_than_allowed(seed: int, max_norm: float) -> None:
    flat = Flat(shapes={"weight": (3, 2), "words": (4, 2), "last": ()}, dtype="float64")
    send_gradients(flat, [np.random.default_rng(seed)])
    before = gradients(flat)
    norm = clip_grad_norm(flat.parameters, max_norm)
    np.testing.assert_allclose(norm, np.linalg.norm(before), rtol=1e-12)
    expected = before * min(1, max_norm / np.linalg.norm(before))
    np.testing.assert_allclose(gradients(flat), expected, rtol=1e-12, atol=1e-15)


def test_rows_that_came_twice_count_as_their_sum() -> None:
    table = Parameter(np.zeros((5, 1)))
    table.receive_rows(np.array([4, 4, 1]), np.array([[1.0], [2.0], [4.0]]))
    assert clip_grad_norm([table], 1.0) == 5.0  # of 3 and 4, not of 1, 2 and 4
    np.testing.assert_allclose(dense_gradient(table).ravel(), [0, 0.8, 0, 0, 0.6])
    SGD([table], lr=1.0).step()
    np.testing.assert_allclose(table.data.ravel(), [0, -0.8, 0, 0, -0.6])


def test_gradients_within_the_norm_keep_their_bits() -> None:
    flat = Flat()
    send_gradients(flat, [np.random.default_rng(0)])
    before, objects = gradients(flat), {name: parameter.grad for name, parameter in flat.by_name.items()}
    norm = clip_grad_norm(flat.parameters, 1e6)
    assert isinstance(norm, float)
    np.testing.assert_array_equal(gradients(flat), before)
    assert all(parameter.grad is objects[name] for name, parameter in flat.by_name.items() if name != "words")


@given(seed=st.integers(0, 2**32), limit=st.sampled_from([1.0, 20.0, 1e6]), num_ids=st.integers(0, 40))
def test_a_step_after_clipping_has_the_same_bits_whether_others_are_clipped_or_not(
    seed: int, limit: float, num_ids: int
) -> None:
    """One client's gradients are small, one's large; rows repeat, and each column of them is rounded on its way."""
    rng = np.random.default_rng(seed)
    ids = rng.integers(0, 4, size=(2, num_ids))
    rows = rng.normal(size=(2, num_ids, 3)).astype("float32") * np.array([1, 100], "float32").reshape(2, 1, 1)
    shapes = {"words": (4, 3)}
    start = rng.normal(size=12).astype("float32")
    stack = Flat(2, shapes=shapes)
    stack.vector[:] = start
    stack.by_name["words"].receive_rows(np.concatenate([ids[0], ids[1] + 4]), rows.reshape(-1, 3))
    clip_grad_norm(stack.parameters, limit)
    SGD(stack.parameters, 0.1).step()
    for client in range(2):
        alone = Flat(shapes=shapes)
        alone.vector[:] = start
        alone.by_name["words"].receive_rows(ids[client], rows[client])
        clip_grad_norm(alone.parameters, limit)
        SGD(alone.parameters, 0.1).step()
        np.testing.assert_array_equal(stack.vector[client], alone.vector)


@pytest.mark.parametrize("clip", [clip_grad_norm, clip_grad_value])
def test_a_parameter_given_twice_is_refused(clip: Callable[[list[Parameter], float], object]) -> None:
    weight = Parameter(np.zeros(2))
    weight.receive(np.array([3.0, 4.0]))
    name = getattr(clip, "__name__", "")
    with pytest.raises(ConfigError, match=rf"{name}: Parameter\(unnamed: \(2,\) float64\) is given twice"):
        clip([weight, weight], 1.0)
    np.testing.assert_array_equal(weight.grad, [3, 4])
    with pytest.raises(ConfigError, match=f"{name}: expected parameters, got ndarray; pass model.parameters"):
        clip([weight, np.zeros(2)], 1.0)  # type: ignore[list-item]


def test_arrays_given_as_a_gradient_are_not_written_to() -> None:
    rows, ids = np.full((2, 3), 9.0), np.array([0, 1])
    table = Parameter(np.zeros((4, 3)))
    for clip in (clip_grad_norm, clip_grad_value):
        table.receive_rows(ids, rows)
        clip([table], 1.0)
        SGD([table], lr=1.0).step()
    np.testing.assert_array_equal(rows, 9.0)
    given = np.broadcast_to(np.array([3.0]), (2,))
    for clip in (clip_grad_norm, clip_grad_value):
        weight = Parameter(np.zeros(2))
        weight.grad = given
        clip([weight], 1.0)
        np.testing.assert_array_equal(given, 3.0)
        assert (dense_gradient(weight) <= 1).all()


def test_parameters_without_gradient_have_norm_zero() -> None:
    assert clip_grad_norm([Parameter([1.0])], 1.0) == 0.0
    assert clip_grad_norm([], 1.0) == 0.0
    zero = Parameter([1.0])
    zero.receive(np.zeros(1))
    assert clip_grad_norm([zero], 1.0) == 0.0
    np.testing.assert_array_equal(zero.grad, [0.0])


@pytest.mark.parametrize("value", [1e-30, 1e-25, 1e25, 3e38])
def test_squares_outside_float32_do_no_harm(value: float) -> None:
    weight, table = Parameter(np.zeros(2, "float32")), Parameter(np.zeros((2, 1), "float32"))
    weight.receive(np.array([value, 0], "float32"))
    table.receive_rows(np.array([1]), np.array([[value]], "float32"))
    norm = clip_grad_norm([weight, table], max_norm=value)
    np.testing.assert_allclose(norm, math.sqrt(2) * float(np.float32(value)), rtol=1e-6)
    np.testing.assert_allclose(weight.grad, np.array([value / math.sqrt(2), 0]), rtol=1e-6)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_norm_that_is_no_number_is_an_error_or_handed_on(bad: float) -> None:
    weight, table = Parameter(np.zeros(2)), Parameter(np.zeros((2, 1)))
    weight.receive(np.array([30.0, 40.0]))
    table.receive_rows(np.array([0]), np.array([[bad]]))
    with pytest.raises(GraphError, match=f"the norm of the gradients is {abs(bad)}; lower the learning rate"):
        clip_grad_norm([weight, table], 1.0)
    norm = clip_grad_norm([weight, table], 1.0, error_if_nonfinite=False)
    np.testing.assert_equal(norm, abs(bad))
    np.testing.assert_array_equal(weight.grad, [30.0, 40.0])


@pytest.mark.parametrize("num_clients", [1, 2, 5])
def test_each_client_of_a_stack_is_clipped_by_its_own_norm_to_the_same_bits(num_clients: int) -> None:
    stack, lone = Flat(num_clients), [Flat() for _ in range(num_clients)]
    for num_active in (num_clients, max(1, num_clients - 1)):
        stack.activate(num_active)
        send_gradients(stack, [np.random.default_rng(client) for client in range(num_active)])
        for client in range(num_active):
            SGD(lone[client].parameters, 1.0).zero_grad()
            send_gradients(lone[client], [np.random.default_rng(client)])
        limit = float(np.median(np.linalg.norm(gradients(stack), axis=1)))  # some are within, some are not
        norms = clip_grad_norm(stack.parameters, limit)
        assert isinstance(norms, np.ndarray)
        assert (norms.shape, norms.dtype) == ((num_active,), np.float64)
        for client in range(num_active):
            assert clip_grad_norm(lone[client].parameters, limit) == norms[client]
            np.testing.assert_array_equal(gradients(stack)[client], gradients(lone[client]))


def test_one_bad_client_is_named_and_the_others_are_clipped_where_it_is_no_error() -> None:
    flat = Flat(3, shapes={"weight": (2,)}, dtype="float64")
    (weight,) = flat.parameters
    weight.receive(np.array([[3.0, 4.0], [math.nan, 9.0], [0.3, 0.4]]))
    with pytest.raises(GraphError, match="of client 1 of the stack is nan"):
        clip_grad_norm([weight], 1.0)
    norms = clip_grad_norm([weight], 1.0, error_if_nonfinite=False)
    np.testing.assert_allclose(norms, [5, math.nan, 0.5])
    np.testing.assert_allclose(weight.grad, [[0.6, 0.8], [math.nan, 9.0], [0.3, 0.4]])


def test_stacks_and_others_are_not_mixed() -> None:
    flat, single = Flat(3, shapes={"weight": (2,)}), Parameter(np.zeros(2, "float32"))
    flat.parameters[0].receive(np.ones((3, 2), "float32"))
    single.receive(np.ones(2, "float32"))
    with pytest.raises(ConfigError, match="cannot be clipped together"):
        clip_grad_norm([*flat.parameters, single], 1.0)


@given(st.lists(st.tuples(st.integers(0, 2), st.floats(-5, 5)), max_size=8), st.floats(0.1, 3))
def test_each_element_is_limited_after_repeated_rows_are_summed(pieces: list[tuple[int, float]], limit: float) -> None:
    table, weight = Parameter(np.zeros((3, 1))), Parameter(np.zeros(3))
    expected = np.zeros(3)
    for row, value in pieces:
        table.receive_rows(np.array([row]), np.array([[value]]))
        expected[row] += value
    weight.receive(expected)
    clip_grad_value([table, weight, Parameter([1.0])], limit)
    if pieces:
        np.testing.assert_array_equal(dense_gradient(table).ravel(), np.clip(expected, -limit, limit))
    np.testing.assert_array_equal(weight.grad, np.clip(expected, -limit, limit))


def test_values_in_a_stack_are_limited_in_each_client() -> None:
    stack, lone = Flat(2), Flat()
    send_gradients(stack, [np.random.default_rng(client) for client in range(2)])
    send_gradients(lone, [np.random.default_rng(1)])
    clip_grad_value(stack.parameters, 0.5)
    clip_grad_value(lone.parameters, 0.5)
    np.testing.assert_array_equal(gradients(stack)[1], gradients(lone))
    assert np.abs(gradients(stack)).max() == 0.5


@pytest.mark.parametrize("limit", [0, -1, math.nan, math.inf, "1"])
def test_impossible_limits_are_refused(limit: float) -> None:
    with pytest.raises(ConfigError, match=f"clip_grad_norm: max_norm must be a positive finite number, got {limit!r}"):
        clip_grad_norm([], limit)
    with pytest.raises(ConfigError, match="clip_grad_value: max_value must be a positive finite number"):
        clip_grad_value([], limit)
