"""Initialisers: spread, shapes, dtypes, and what they need."""

import math

import numpy as np
import pytest

from fedgdl.autograd import Parameter
from fedgdl.errors import ParameterError
from fedgdl.nn import Conv2d, Embedding, Linear, init
from fedgdl.parameters import DType

SHAPES = [(400, 300), (5, 4, 30, 200)]  # fan_in 400 and 600, fan_out 300 and 4,000

UNIFORM = [
    (init.uniform(0.25), [0.25, 0.25]),
    (init.fan_in_uniform, [1 / math.sqrt(400), 1 / math.sqrt(600)]),
    (init.embedding_uniform, [0.5 / 300, 0.5 / 200]),
    (init.kaiming_uniform, [math.sqrt(6 / 400), math.sqrt(6 / 600)]),
    (init.xavier_uniform, [math.sqrt(6 / 700), math.sqrt(6 / 4_600)]),
]
"""Initialisers with the edges of their ranges for the dense weights and the kernels."""
NORMAL = [
    (init.normal(0.25), [0.25, 0.25]),
    (init.kaiming_normal, [math.sqrt(2 / 400), math.sqrt(2 / 600)]),
    (init.xavier_normal, [math.sqrt(2 / 700), math.sqrt(2 / 4_600)]),
]
"""Initialisers with their standard deviations for the two."""
DRAWING = [initial for initial, _ in UNIFORM] + [initial for initial, _ in NORMAL] + [init.orthogonal]


@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize(("initial", "edges"), UNIFORM)
def test_uniform_values_fill_their_range(initial: init.Initialiser, edges: list[float], which: int) -> None:
    """The mean of n values of U(-b, b) has deviation b / sqrt(3 n), their mean square b^2 2 / (3 sqrt(5 n)).

    Beyond 5 deviations by chance: 6e-7 a comparison.
    """
    shape, edge = SHAPES[which], edges[which]
    values = initial(shape, np.random.default_rng(1), "float64")
    assert values.shape == shape
    assert -edge <= values.min() < -0.999 * edge
    assert 0.999 * edge < values.max() < edge
    assert abs(values.mean()) < 5 * edge / math.sqrt(3 * values.size)
    assert abs((values**2).mean() - edge**2 / 3) < 5 * edge**2 * 2 / (3 * math.sqrt(5 * values.size))


@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize(("initial", "deviations"), NORMAL)
def test_normal_values_have_their_deviation(initial: init.Initialiser, deviations: list[float], which: int) -> None:
    """The mean square of n normal values has deviation s^2 sqrt(2 / n); beyond 5 of them by chance: 6e-7."""
    shape, std = SHAPES[which], deviations[which]
    values = initial(shape, np.random.default_rng(1), "float64")
    assert values.shape == shape
    assert abs(values.mean()) < 5 * std / math.sqrt(values.size)
    assert abs((values**2).mean() - std**2) < 5 * std**2 * math.sqrt(2 / values.size)
    assert (abs(values) > 3 * std).any()  # no uniform value is beyond 1.8 deviations


@pytest.mark.parametrize("shape", [(5, 5), (6, 24), (24, 6), (3, 2, 4, 5), (1, 1)])
def test_orthogonal_matrices_keep_lengths(shape: tuple[int, ...]) -> None:
    values = init.orthogonal(shape, np.random.default_rng(1), "float64")
    assert values.shape == shape
    matrix = values.reshape(-1, shape[-1])
    product = matrix @ matrix.T if len(matrix) < shape[-1] else matrix.T @ matrix
    np.testing.assert_allclose(product, np.eye(len(product)), atol=1e-14)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("initial", [*DRAWING, init.zeros, init.constant(2)])
def test_values_are_new_contiguous_arrays_of_the_dtype_and_follow_the_generator(
    initial: init.Initialiser, dtype: DType
) -> None:
    first, second = (initial((3, 4), np.random.default_rng(7), dtype) for _ in range(2))
    assert first.dtype == dtype
    assert first.flags.c_contiguous
    assert first is not second
    np.testing.assert_array_equal(first, second)


def test_zeros_and_constants_draw_nothing() -> None:
    rng = np.random.default_rng(1)
    state = rng.bit_generator.state
    np.testing.assert_array_equal(init.zeros((2, 3), rng, "float32"), np.zeros((2, 3)))
    np.testing.assert_array_equal(init.constant(1.5)((2,), rng, "float32"), [1.5, 1.5])
    assert rng.bit_generator.state == state
    assert init.zeros((2,), None, "float64").dtype == np.float64


@pytest.mark.parametrize("initial", DRAWING)
def test_to_draw_without_a_generator_is_told(initial: init.Initialiser) -> None:
    with pytest.raises(
        ParameterError, match=r"are drawn: pass rng=np.random.default_rng\(seed\), or initial=init.zero"
    ):
        initial((2, 3), None, "float32")


@pytest.mark.parametrize("initial", [init.fan_in_uniform, init.kaiming_normal, init.xavier_uniform, init.orthogonal])
def test_a_vector_has_no_inputs_and_outputs(initial: init.Initialiser) -> None:
    with pytest.raises(ParameterError, match=r"at least two axes .* got shape \(3,\)"):
        initial((3,), np.random.default_rng(1), "float32")


def test_a_parameter_is_made_of_exactly_what_was_asked_for() -> None:
    made = init.initial_parameter(init.constant(3), (2, 1), None, "float64")
    assert isinstance(made, Parameter)
    np.testing.assert_array_equal(made.data, [[3], [3]])
    with pytest.raises(ParameterError, match=r"a whole number from 1 on, got shape \(0, 2\)"):
        init.initial_parameter(init.zeros, (0, 2), None, "float32")
    for values in (np.zeros(2, "float32"), np.zeros((2, 1))):
        with pytest.raises(ParameterError, match=r"asked for shape \(2, 1\) of float32 and returned"):
            init.initial_parameter(lambda *_, values=values: values, (2, 1), None, "float32")


def test_layers_use_the_initialiser_they_are_given() -> None:
    rng = np.random.default_rng(1)
    dense = Linear(3, 2, rng=rng, initial=init.kaiming_normal, dtype="float64")
    np.testing.assert_array_equal(dense.weight.data, np.random.default_rng(1).standard_normal((3, 2)) * np.sqrt(2 / 3))
    assert dense.bias is not None
    np.testing.assert_array_equal(dense.bias.data, [0, 0])
    kernels = Conv2d(2, 3, (2, 1), initial=init.constant(0.5))
    np.testing.assert_array_equal(kernels.weight.data, np.full((2, 1, 2, 3), 0.5))
    np.testing.assert_array_equal(Embedding(3, 2, initial=init.zeros).weight.data, np.zeros((3, 2)))
