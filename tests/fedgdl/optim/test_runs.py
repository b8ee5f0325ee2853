"""Runs: which parameters are changed in one go, and blocks of long ones."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optimizers import Flat, send_gradients

from fedgdl.autograd import Parameter
from fedgdl.optim.runs import Run, blocks, collect_runs, homes_of

SHAPES = {"a": (2, 3), "b": (4,), "c": (), "d": (0,), "e": (2,)}
"""17 - 4 = 13 numbers: a at 0, b at 6, c at 10, d and e at 11."""


def runs_with(flat: Flat, names: str, fills: tuple[float, ...] = ()) -> list[Run]:
    """The runs when these parameters have dense gradients."""
    for name in names:
        flat.by_name[name].receive(np.ones(flat.by_name[name].shape, "float32"))
    return collect_runs(homes_of(flat.parameters, fills))


@pytest.mark.parametrize(
    ("names", "bounds"),
    [
        ("abcde", [(0, 13)]),
        ("acde", [(0, 6), (10, 13)]),
        ("be", [(6, 10), (11, 13)]),
        ("c", [(10, 11)]),
        ("", []),
    ],
)
@pytest.mark.parametrize("num_clients", [None, 1, 3])
def test_neighbours_with_gradients_are_one_run(
    names: str, bounds: list[tuple[int, int]], num_clients: int | None
) -> None:
    flat = Flat(num_clients, shapes=SHAPES)
    runs = runs_with(flat, names, fills=(0.0, 2.0))
    assert [run.data.shape[-1] for run in runs] == [stop - start for start, stop in bounds]
    for run, (start, stop) in zip(runs, bounds, strict=True):
        run.data[...] = start + 1
        assert (flat.vector[..., start:stop] == start + 1).all()
        assert (run.gradient == 1).all()
        assert [(array.shape, array.min()) for array in run.state] == [(run.data.shape, 0), (run.data.shape, 2)]


def test_order_counts_as_neighbours_in_the_list_must_be_those_in_the_vector() -> None:
    flat = Flat(shapes=SHAPES)
    for parameter in flat.parameters:
        parameter.receive(np.ones(parameter.shape, "float32"))
    assert [run.data.size for run in collect_runs(homes_of(flat.parameters[::-1], ()))] == [2, 0, 1, 4, 6]
    a, b, _, _, e = flat.parameters
    e.grad = None
    assert [run.steps.shape for run in collect_runs(homes_of([a, e, b], ()))] == [(1, 1), (1, 1)]


def test_parameters_of_other_numbers_of_clients_are_other_runs() -> None:
    flat = Flat(3, shapes=SHAPES)
    flat.by_name["b"].look_into(flat.whole.leading(2))
    runs = runs_with(flat, "abcde")
    assert [run.data.shape for run in runs] == [(3, 6), (2, 4), (3, 3)]


def test_sparse_gradients_interrupt_a_run() -> None:
    flat = Flat()
    send_gradients(flat, [np.random.default_rng(0)])
    assert [run.data.size for run in collect_runs(homes_of(flat.parameters, ()))] == [70 * 64 + 64, 5 + 1]


def test_parameters_that_took_other_numbers_of_steps_are_other_runs() -> None:
    flat = Flat(3, shapes=SHAPES)
    for parameter in flat.parameters:
        parameter.receive(np.ones(parameter.shape, "float32"))
    (home,) = homes_of(flat.parameters, (0.0,))
    home.steps[:, 2] = 7  # of c
    assert [run.data.shape for run in collect_runs([home])] == [(3, 10), (3, 1), (3, 2)]
    home.steps[:] = [[5], [5], [4]]
    assert [run.data.shape for run in collect_runs([home])] == [(2, 13), (1, 13)]
    assert [run.steps.tolist() for run in collect_runs([home])] == [[[5] * 5] * 2, [[4] * 5]]


def test_parameters_without_a_vector_are_runs_of_their_own() -> None:
    parameters = [Parameter(np.zeros((2, 2))), Parameter(np.zeros(()))]
    for parameter in parameters:
        parameter.receive(np.ones(parameter.shape))
    runs = collect_runs(homes_of(parameters, (0.0,)))
    assert [run.data.shape for run in runs] == [(4,), (1,)]
    for run in runs:
        run.data += run.gradient
    assert all((parameter.data == 1).all() for parameter in parameters)


@given(st.lists(st.integers(0, 9), min_size=1, max_size=2), st.integers(1, 12), st.booleans())
def test_blocks_are_every_element_once_and_never_too_many(shape: list[int], size: int, scattered: bool) -> None:
    array = np.zeros([*shape[:-1], shape[-1] + scattered])[..., : shape[-1]]
    index = np.arange(array.size).reshape(array.shape)
    seen = []
    for block, numbers in blocks((array, index), size):
        assert block.shape == numbers.shape
        assert block.size <= size
        np.add(block, 1, out=block)
        seen += numbers.reshape(-1).tolist()
    assert (array == 1).all()
    assert all(earlier < later for earlier, later in pairwise(seen))
    assert seen == list(range(array.size))
