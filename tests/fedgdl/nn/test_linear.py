"""The dense layer: values, gradients, initial ranges, and what it refuses."""

import numpy as np
import pytest
from tensors import leaf

from fedgdl.autograd import Tensor, gradcheck
from fedgdl.errors import GraphError, ParameterError
from fedgdl.nn import Linear, init


def test_each_output_is_a_weighted_sum_plus_its_bias() -> None:
    layer = Linear(2, 3, initial=init.zeros, dtype="float64")
    layer.weight.data[:] = [[1, 2, 3], [10, 20, 30]]
    assert layer.bias is not None
    layer.bias.data[:] = [0.5, 0, -0.5]
    np.testing.assert_array_equal(layer(np.array([[1.0, 0], [1, 1]])).data, [[1.5, 2, 2.5], [11.5, 22, 32.5]])
    assert layer(np.ones((4, 5, 2))).shape == (4, 5, 3)
    np.testing.assert_array_equal(layer(Tensor([-1.0, 0])[np.newaxis], "relu").data, [[0, 0, 0]])


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(5, 3), (1, 3), (2, 4, 3)])
def test_gradients(shape: tuple[int, ...], *, bias: bool) -> None:
    rng = np.random.default_rng(1)
    layer = Linear(3, 2, bias, rng=rng, dtype="float64")
    gradcheck(lambda x, *_: layer(x), [rng.normal(size=shape), *layer.parameters()], rng)


def test_parameters_have_names_shapes_and_dtype() -> None:
    for dtype in ("float32", "float64"):
        layer = Linear(3, 2, rng=np.random.default_rng(1), dtype=dtype)
        assert [(name, p.shape, p.dtype.name) for name, p in layer.named_parameters()] == [
            ("weight", (3, 2), dtype),
            ("bias", (2,), dtype),
        ]
    plain = Linear(3, 2, False, rng=np.random.default_rng(1))  # noqa: FBT003 (as PyTorch's third argument)
    assert plain.bias is None
    assert [name for name, _ in plain.named_parameters()] == ["weight"]


def test_weights_and_bias_start_even_within_one_over_the_root_of_the_inputs() -> None:
    layer = Linear(100, 2_000, rng=np.random.default_rng(1))
    assert layer.bias is not None
    for values in (layer.weight.data, layer.bias.data):
        assert -0.1 <= values.min() < -0.099
        assert 0.099 < values.max() <= 0.1
        # Of n values of U(-0.1, 0.1) the mean has deviation 0.1 / sqrt(3 n); beyond 5 of them by chance: 6e-7.
        assert abs(values.mean()) < 5 * 0.1 / np.sqrt(3 * values.size)


def test_what_does_not_fit_is_told() -> None:
    layer = Linear(3, 2, rng=np.random.default_rng(1))
    with pytest.raises(GraphError, match=r"linear: .*\(4, 2\)"):
        layer(np.zeros((4, 2), "float32"))
    with pytest.raises(GraphError, match=r"linear: .*float64"):
        layer(leaf(4, 3))
    with pytest.raises(GraphError, match="linear: operands must be float32 or float64, got int64"):
        layer(np.zeros((4, 3), np.int64))
    for sizes in ((0, 2), (2, 0), (-1, 2)):
        with pytest.raises(ParameterError, match="a whole number from 1 on, got shape"):
            Linear(*sizes, rng=np.random.default_rng(1))
    with pytest.raises(ParameterError, match="pass rng="):
        Linear(3, 2)


def test_a_bias_is_true_or_false() -> None:
    rng = np.random.default_rng(1)
    with pytest.raises(ParameterError, match=r"Linear: bias must be True or False, got Generator.*by name: rng=\.\.\."):
        Linear(2, 3, rng)  # type: ignore[arg-type]
    for bias in (None, 0, "no"):
        with pytest.raises(ParameterError, match=f"Linear: bias must be True or False, got {bias!r}$"):
            Linear(2, 3, bias, rng=rng)  # type: ignore[arg-type]
    assert Linear(2, 3, np.False_, rng=rng).bias is None


def test_a_flattened_layer_learns_in_its_vector() -> None:
    layer = Linear(2, 1, initial=init.zeros)
    vector = layer.flatten().vector
    layer(np.array([[3, 4]], "float32")).backward()
    for parameter in layer.parameters():
        assert isinstance(parameter.grad, np.ndarray)
        parameter.data -= parameter.grad
    np.testing.assert_array_equal(vector, [-3, -4, -1])
