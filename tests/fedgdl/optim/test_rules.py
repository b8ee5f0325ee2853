"""Every rule against its formula, number by number; what all rules do with tables and stacks."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optimizers import OPTIMIZERS, SLOW, Flat, send_gradients

from fedgdl.autograd import Parameter

rules = pytest.mark.parametrize("rule", OPTIMIZERS)


@rules
@pytest.mark.parametrize("shape", [(), (1,), (0,), (2, 3), (70_000,)])
def test_a_dense_parameter_follows_the_formula(rule: str, shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(1)
    start, gradients = rng.normal(size=shape), rng.normal(size=(5, *shape))
    weight = Parameter(start.copy())
    optimizer = OPTIMIZERS[rule]([weight])
    for gradient in gradients:
        weight.receive(gradient)
        optimizer.step()
    for index in list(np.ndindex(shape))[::997]:  # of the long one, some elements of each block
        expected = SLOW[rule](start[index].item(), [gradient[index].item() for gradient in gradients])
        np.testing.assert_allclose(weight.data[index], expected, rtol=1e-12)


Piece = list[tuple[int, float]]


@rules
@given(steps=st.lists(st.lists(st.tuples(st.integers(0, 3), st.floats(-2, 2)), max_size=6), max_size=5))
def test_touched_rows_of_a_table_follow_the_formula_and_others_stay(rule: str, steps: list[Piece]) -> None:
    """Repeated ids are summed first, untouched rows keep values and state, t counts the table's steps."""
    start = np.array([1.0, -2.0, 0.5, 3.0])
    table = Parameter(start[:, np.newaxis].copy())
    optimizer = OPTIMIZERS[rule]([table])
    for piece in steps:
        half = len(piece) // 2
        for part in (piece[:half], piece[half:]):  # a table may be read twice in a step
            ids, rows = np.array([word for word, _ in part], np.int64), np.array([value for _, value in part])
            table.receive_rows(ids, rows.reshape(-1, 1))
        optimizer.step()
    for row in range(4):
        gradients = [[value for word, value in piece if word == row] for piece in steps]
        expected = SLOW[rule](start[row], [sum(values) if values else None for values in gradients])
        np.testing.assert_allclose(table.data[row, 0], expected, rtol=1e-9, atol=1e-12)
        if not any(gradients):
            assert table.data[row, 0] == start[row]


@rules
def test_a_table_touched_everywhere_moves_as_if_its_gradient_were_dense(rule: str) -> None:
    rng = np.random.default_rng(2)
    start = rng.normal(size=(6, 3))
    table, dense = Parameter(start.copy()), Parameter(start.copy())
    sparse_optimizer, dense_optimizer = OPTIMIZERS[rule]([table]), OPTIMIZERS[rule]([dense])
    for _ in range(5):
        ids = rng.permutation(np.concatenate([np.arange(6), rng.integers(6, size=4)]))
        table.receive_rows(ids, rng.normal(size=(10, 3)))
        assert table.grad is not None
        dense.receive(table.grad.to_dense())  # type: ignore[union-attr]
        sparse_optimizer.step()
        dense_optimizer.step()
    np.testing.assert_allclose(table.data, dense.data, rtol=1e-12)


@rules
@pytest.mark.parametrize("num_clients", [1, 2, 5])
def test_each_client_of_a_stack_gets_the_bits_it_gets_alone(rule: str, num_clients: int) -> None:
    """Also when clients stop one after another, and when all go on together with different numbers of steps."""
    active = [num_clients] * 3 + [max(1, num_clients - 1 - stopped) for stopped in range(3)] + [num_clients] * 2
    stack, lone = Flat(num_clients), [Flat() for _ in range(num_clients)]
    start = np.random.default_rng(3).normal(size=stack.vector.shape).astype("float32")
    stack.whole.load(start)
    for client, flat in enumerate(lone):
        flat.whole.load(start[client])
    together, alone = OPTIMIZERS[rule](stack.parameters), [OPTIMIZERS[rule](flat.parameters) for flat in lone]
    for step, num_active in enumerate(active):
        stack.activate(num_active)
        send_gradients(stack, [np.random.default_rng((step, client)) for client in range(num_active)])
        together.step()
        for client in range(num_active):
            send_gradients(lone[client], [np.random.default_rng((step, client))])
            alone[client].step()
    for client, flat in enumerate(lone):
        np.testing.assert_array_equal(stack.vector[client], flat.vector)
        for name, array in alone[client].state_dict().items():
            state = together.state_dict()[name]
            np.testing.assert_array_equal(state if name == "lr" else state[client], array)
    assert (stack.vector != start).mean() > 0.99
    assert stack.vector.dtype == np.float32


@rules
def test_runs_of_a_vector_move_as_its_parameters_would_one_by_one(rule: str) -> None:
    flat = Flat(dtype="float64")
    single = [Parameter(parameter.data.copy()) for parameter in flat.parameters]
    optimizer, one_by_one = OPTIMIZERS[rule](flat.parameters), OPTIMIZERS[rule](single)
    for step in range(4):
        send_gradients(flat, [np.random.default_rng(step)])
        for parameter, other in zip(flat.parameters, single, strict=True):
            gradient = parameter.grad
            other.grad = gradient.copy() if isinstance(gradient, np.ndarray) else gradient
        optimizer.step()
        one_by_one.step()
    for parameter, other in zip(flat.parameters, single, strict=True):
        np.testing.assert_allclose(parameter.data, other.data, rtol=1e-13)
