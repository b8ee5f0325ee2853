"""Matrix products and the linear layer: gradients in odd shapes, values, bits, and what they refuse."""

import itertools
import pickle

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from tensors import Shape, assert_inputs_are_left_alone, dense_gradient, leaf, parameter, shape_ids

from fedgdl.autograd import GradientVector, Parameter, Tensor, gradcheck, linear, matmul, relu, sigmoid, tanh
from fedgdl.errors import GraphError
from fedgdl.parameters import Layout, Parameters

PRODUCTS: list[tuple[Shape, Shape]] = [
    ((2, 3), (3, 4)),
    ((1, 1), (1, 1)),
    ((5, 1), (1, 4)),
    ((0, 3), (3, 2)),
    ((2, 0), (0, 3)),
    ((5, 2, 3), (5, 3, 4)),
    ((5, 2, 3), (3, 4)),
    ((2, 3), (5, 3, 4)),
    ((2, 1, 2, 3), (5, 3, 1)),
    ((0, 2, 3), (0, 3, 1)),
]

# Inputs and widths: without a batch, batch 1, empty batches, and up to four axes before the last.
LINEAR: list[tuple[Shape, int]] = [
    ((3,), 2),
    ((1, 3), 2),
    ((4, 3), 1),
    ((4, 1), 3),
    ((1, 1), 1),
    ((0, 3), 2),
    ((2, 0), 2),
    ((2, 2, 0), 2),
    ((4, 2, 3), 2),
    ((0, 2, 3), 2),
    ((2, 1, 2, 3), 2),
    ((2, 1, 3, 2, 3), 4),
    ((130, 4), 130),  # large enough for memory that is used again
]
ACTIVATIONS = {None: lambda x: x, "relu": relu, "tanh": tanh, "sigmoid": sigmoid}


# Matrix products


@pytest.mark.parametrize(("a", "b"), PRODUCTS, ids=shape_ids(PRODUCTS))
def test_gradients_of_matrix_products(a: Shape, b: Shape) -> None:
    rng = np.random.default_rng(3)
    gradcheck(matmul, [rng.normal(size=a), rng.normal(size=b)], rng)
    constant = rng.normal(size=b)
    gradcheck(lambda x: x @ constant, [rng.normal(size=a)], rng)
    other = rng.normal(size=a)
    gradcheck(lambda x: other @ x, [constant], rng)


def test_the_gradient_of_a_product_with_itself() -> None:
    rng = np.random.default_rng(5)
    gradcheck(lambda x: x @ x, [rng.normal(size=(3, 3))], rng)


@given(
    hnp.mutually_broadcastable_shapes(num_shapes=2, max_dims=2, min_side=0, max_side=3),
    st.tuples(*[st.integers(0, 3)] * 3),
    st.integers(0, 2**32),
)
def test_products_of_any_stacks_that_broadcast(
    leading: hnp.BroadcastableShapes, sides: tuple[int, int, int], seed: int
) -> None:
    rng, (n, k, m) = np.random.default_rng(seed), sides
    a = rng.normal(size=(*leading.input_shapes[0], n, k))
    b = rng.normal(size=(*leading.input_shapes[1], k, m))
    np.testing.assert_allclose(matmul(Tensor(a), Tensor(b)).data, np.einsum("...nk,...km->...nm", a, b), atol=1e-13)
    gradcheck(matmul, [a, b], rng)


def test_values() -> None:
    x = np.arange(6.0).reshape(2, 3)
    np.testing.assert_array_equal(matmul(Tensor(x), Tensor(x.T.copy())).data, [[5, 14], [14, 50]])


def test_float32_stays_float32() -> None:
    x = leaf(3, 3, dtype="float32")
    y = x @ x
    assert y.dtype == np.float32
    y.backward(np.float64(0.5))
    assert dense_gradient(x).dtype == np.float32


def test_inputs_and_incoming_gradients_are_left_alone() -> None:
    rng = np.random.default_rng(6)
    assert_inputs_are_left_alone(matmul, rng.normal(size=(3, 3)), rng.normal(size=(3, 3)))
    for name in ACTIVATIONS:
        arrays = rng.normal(size=(5, 3)), rng.normal(size=(3, 4)), rng.normal(size=4)
        assert_inputs_are_left_alone(lambda x, w, b, name=name: linear(x, w, b, name), *arrays)


@pytest.mark.parametrize("num_clients", [1, 2, 5])
@pytest.mark.parametrize("sides", [(1, 3, 2), (4, 1, 3), (10, 37, 5), (3, 3, 1), (130, 4, 140)])
def test_matrix_products_of_a_stack_have_the_bits_of_each(num_clients: int, sides: tuple[int, int, int]) -> None:
    n, k, m = sides
    a, b = leaf(num_clients, n, k, dtype="float32", seed=1), leaf(num_clients, k, m, dtype="float32", seed=2)
    y, g = a @ b, leaf(num_clients, n, m, dtype="float32", seed=3).data
    y.backward(g)
    for client in range(num_clients):
        one, other = (Tensor(t.data[client].copy(), requires_grad=True) for t in (a, b))
        alone = one @ other
        alone.backward(g[client])
        np.testing.assert_array_equal(alone.data, y.data[client])
        np.testing.assert_array_equal(one.grad, dense_gradient(a)[client])
        np.testing.assert_array_equal(other.grad, dense_gradient(b)[client])


def test_wrong_operands_are_named() -> None:
    x = Tensor(np.ones((2, 2)))
    with pytest.raises(GraphError, match=r"matmul: operands must be float32 or float64, got int64 of shape \(2, 2\)"):
        matmul(x, np.ones((2, 2), np.int64))
    with pytest.raises(GraphError, match=r"matmul: .* float64 of shape \(2, 2\) and float32 of shape \(2, 2\)"):
        matmul(x, Tensor(np.ones((2, 2), "float32")))
    with pytest.raises(GraphError, match=r"matmul: .*\(2, 2\).*\(3, 5\)"):
        matmul(x, np.ones((3, 5)))
    with pytest.raises(GraphError, match=r"matmul: operands are .*; got str"):
        matmul(x, "2")


def test_matmul_wants_matrices() -> None:
    for a, b in itertools.product([(3,), (2, 3)], [(3,), (3, 2)]):
        if len(a) == len(b) == 2:
            continue
        with pytest.raises(GraphError, match="matmul: needs shapes"):
            matmul(Tensor(np.ones(a)), Tensor(np.ones(b)))
    with pytest.raises(GraphError, match="matmul: needs shapes"):
        matmul(Tensor(np.ones((4, 2, 3))), Tensor(np.ones((5, 3, 2))))
    with pytest.raises(GraphError, match=r"matmul: needs shapes .*, got \(2, 3\) and \(4, 2, 3\)"):
        matmul(Tensor(np.ones((2, 3))), Tensor(np.ones((4, 2, 3))))


# The linear layer


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("biased", [True, False])
@pytest.mark.parametrize(("shape", "width"), LINEAR)
def test_gradients_of_the_linear_layer(shape: Shape, width: int, biased: bool, activation: str | None) -> None:
    rng = np.random.default_rng(7)
    x, weight = rng.normal(size=shape), rng.normal(size=(shape[-1], width))
    operands = [x, weight, *([rng.normal(size=width)] if biased else [])]
    # The sums of a relu that are almost 0 are not moved over the kink by steps of 1e-6 times a few: none is so near.
    gradcheck(lambda *tensors: linear(*tensors, activation=activation), operands, rng)
    gradcheck(lambda *tensors: linear(x, *tensors, activation=activation), operands[1:], rng)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("shape", [(3,), (1, 3), (0, 3), (4, 3), (2, 4, 3), (2, 1, 4, 3)])
@pytest.mark.parametrize("num_clients", [1, 3])
def test_gradients_of_a_stack_of_linear_layers(num_clients: int, shape: Shape, activation: str | None) -> None:
    rng = np.random.default_rng(8)
    sizes = [(num_clients, *shape), (num_clients, 3, 2), (num_clients, 2)]
    gradcheck(lambda x, w, b: linear(x, w, b, activation), [rng.normal(size=size) for size in sizes], rng)
    gradcheck(lambda x, w: linear(x, w, activation=activation), [rng.normal(size=size) for size in sizes[:2]], rng)


def test_a_linear_layer_of_one_axis_without_a_stack() -> None:
    y = linear(Tensor([1.0, 2.0]), Tensor([[1.0], [10.0]]), Tensor([100.0]))
    assert y.shape == (1,)
    assert y.item() == 121


@given(
    hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3),
    st.integers(1, 4),
    st.integers(1, 4),
    st.booleans(),
    st.integers(0, 2**32),
)
def test_the_linear_layer_against_a_sum_for_each_output(
    leading: Shape, features: int, width: int, stacked: bool, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    clients = (2,) if stacked else ()
    x = rng.integers(-9, 10, (*clients, *leading, features)).astype("float64")
    weight = rng.integers(-9, 10, (*clients, features, width)).astype("float64")
    bias = rng.integers(-9, 10, (*clients, width)).astype("float64")
    y = linear(x, Tensor(weight), Tensor(bias)).data
    assert y.shape == (*clients, *leading, width)
    for index in np.ndindex(y.shape):
        client = index[: len(clients)]
        terms = (x[(*index[:-1], i)] * weight[(*client, i, index[-1])] for i in range(features))
        assert y[index] == sum(terms) + bias[(*client, index[-1])]  # whole numbers: exact in any order


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("biased", [True, False])
@pytest.mark.parametrize("sides", [(1, 5, 3), (7, 5, 3), (130, 20, 130)])
def test_one_operation_has_the_bits_of_three(sides: tuple[int, int, int], biased: bool, activation: str | None) -> None:
    n, k, m = sides
    fused = [leaf(*size, dtype="float32", seed=i) for i, size in enumerate([(n, k), (k, m), (m,)])]
    apart = [Tensor(tensor.data, requires_grad=True) for tensor in fused]
    g = leaf(n, m, dtype="float32", seed=9).data
    one = linear(fused[0], fused[1], fused[2] if biased else None, activation)
    product = matmul(apart[0], apart[1])
    three = ACTIVATIONS[activation](product + apart[2] if biased else product)
    one.backward(g)
    three.backward(g)
    np.testing.assert_array_equal(one.data, three.data)
    for a, b in zip(fused[:2], apart[:2], strict=True):
        np.testing.assert_array_equal(dense_gradient(a), dense_gradient(b))
        assert dense_gradient(a).dtype == one.dtype == np.float32
    if biased:  # added up by BLAS, in an order of its own
        np.testing.assert_allclose(dense_gradient(fused[2]), dense_gradient(apart[2]), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("biased", [True, False])
@pytest.mark.parametrize("num_clients", [1, 2, 5])
@pytest.mark.parametrize(
    ("shape", "width"), [((1, 5), 3), ((0, 5), 3), ((7, 37), 11), ((4, 3, 5), 3), ((5,), 2), ((10, 784), 33)]
)
def test_a_stack_has_the_bits_of_each_client(
    shape: Shape, width: int, num_clients: int, biased: bool, activation: str | None
) -> None:
    # In a stack the parameters are views with gaps between the clients: an odd size moves them off every alignment.
    layout = Layout.of({"odd": (1,), "weight": (shape[-1], width), "bias": (width,)})
    rng = np.random.default_rng(10)
    vectors = rng.normal(size=(num_clients, layout.size)).astype("float32")
    x = Tensor(rng.normal(size=(num_clients, *shape)).astype("float32"), requires_grad=True)
    g = rng.normal(size=(num_clients, *shape[:-1], width)).astype("float32")
    weight, bias, gradients = flat_layer(layout, vectors)
    y = linear(x, weight, bias if biased else None, activation)
    y.backward(g)
    for client in range(num_clients):
        own_weight, own_bias, own_gradients = flat_layer(layout, vectors[client].copy())
        own_x = Tensor(x.data[client].copy(), requires_grad=True)
        own = linear(own_x, own_weight, own_bias if biased else None, activation)
        own.backward(g[client])
        np.testing.assert_array_equal(own.data, y.data[client])
        np.testing.assert_array_equal(own_x.grad, dense_gradient(x)[client])
        used = ["weight", "bias"][: 1 + biased]
        for name in used:
            np.testing.assert_array_equal(own_gradients.view(name), gradients.view(name)[client])


def flat_layer(layout: Layout, vector: npt.NDArray[np.float32]) -> tuple[Parameter, Parameter, GradientVector]:
    """Weight and bias in a vector (P,) or a stack of them (K, P), with gradients that hold NaN at first."""
    parameters = Parameters(layout, vector)
    gradients = GradientVector(layout, len(vector) if vector.ndim == 2 else None)
    gradients.vector.fill(np.nan)
    bound = []
    for name in ("weight", "bias"):
        one = Parameter(parameters[name].copy())
        one.bind(name, parameters, gradients)
        bound.append(one)
    return bound[0], bound[1], gradients


def test_operands_in_any_memory_order() -> None:
    rng = np.random.default_rng(11)
    x, weight, bias = rng.normal(size=(6, 4, 3)), rng.normal(size=(3, 5)), rng.normal(size=5)
    expected, found = [], []
    for results, (a, w, b) in (
        (expected, (x, weight, bias)),
        (found, (np.asfortranarray(x), weight.T.copy().T, np.repeat(bias, 2)[::2])),
    ):
        tensors = [Tensor(array, requires_grad=True) for array in (a, w, b)]
        y = linear(*tensors, activation="tanh")
        y.backward(np.asfortranarray(np.ones(y.shape)))
        results += [y.data, *(dense_gradient(tensor) for tensor in tensors)]
    for a, b in zip(expected, found, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-13, atol=1e-13)


def test_who_requires_no_gradient_gets_none() -> None:
    x, weight, bias = leaf(4, 3), parameter(3, 2), parameter(2)
    weight.requires_grad = False
    linear(x, weight, bias).sum().backward()
    assert weight.grad is None
    np.testing.assert_array_equal(dense_gradient(bias), [4, 4])
    np.testing.assert_allclose(dense_gradient(x), np.broadcast_to(weight.data.sum(1), (4, 3)), rtol=1e-14)
    frozen = Tensor(np.ones((4, 3)))
    assert not linear(frozen, Tensor(np.ones((3, 2)))).requires_grad


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_what_came_out_of_a_pickle_fits(dtype: str) -> None:
    # NumPy makes dtype objects anew when it reads a pickle: they are equal to those it has, not the same.
    again = [pickle.loads(pickle.dumps(parameter(*shape, dtype=dtype))) for shape in ((4, 3), (3, 2), (2,))]
    fresh = [parameter(*shape, dtype=dtype) for shape in ((4, 3), (3, 2), (2,))]
    expected = linear(*fresh, "relu").data
    for choice in itertools.product(*zip(again, fresh, strict=True)):
        y = linear(*choice, "relu")
        np.testing.assert_array_equal(y.data, expected)
        y.backward(1.0)


MISFITS: list[tuple[Shape, Shape]] = [
    ((2, 4), (3, 2)),
    ((), (3, 2)),
    ((4,), (3, 2)),
    ((2, 2, 4), (3, 2)),
    ((3,), (2, 3, 2)),
    ((4, 3), (2, 3, 2)),
    ((1, 5, 3), (2, 3, 2)),
    ((2, 3), (1, 2, 3, 2)),
    ((2, 3), (3,)),
    ((2, 3), ()),
]


@pytest.mark.parametrize(("x", "weight"), MISFITS, ids=shape_ids(MISFITS))
def test_shapes_that_do_not_fit_are_told(x: Shape, weight: Shape) -> None:
    with pytest.raises(GraphError) as caught:
        linear(Tensor(np.ones(x)), Tensor(np.ones(weight)))
    stacked = "for K clients x (K, ..., in), weight (K, in, out)"
    needed = stacked if len(weight) > 2 else "x (..., in) and weight (in, out)"
    assert str(caught.value) == f"linear: needs {needed}; got x {x} and unnamed {weight}"


def test_images_are_to_be_flattened_first() -> None:
    with pytest.raises(GraphError, match=r"got x \(4, 2, 3\) and unnamed \(6, 5\); flatten x first, to \(..., 6\)"):
        linear(np.ones((4, 2, 3)), Tensor(np.ones((6, 5))))


def test_other_inputs_are_told() -> None:
    weight, bias, _ = flat_layer(Layout.of({"weight": (3, 2), "bias": (2,)}), np.zeros(8, "float32"))
    with pytest.raises(GraphError, match=r"linear: operands must be float32 or float64, got int64 of shape \(4, 3\)"):
        linear(np.ones((4, 3), np.int64), weight)
    with pytest.raises(
        GraphError, match=r"linear: x of shape \(4, 3\) is float64, but weight of shape \(3, 2\) float32"
    ):
        linear(np.ones((4, 3)), weight)
    with pytest.raises(GraphError, match=r"linear: the activation is one of relu, tanh, sigmoid, not 'gelu'"):
        linear(np.ones((4, 3), "float32"), weight, bias, "gelu")


@pytest.mark.parametrize("shape", [(1,), (), (3,), (1, 2), (4, 2)])
def test_a_bias_is_never_broadcast(shape: Shape) -> None:
    with pytest.raises(GraphError) as caught:
        linear(np.ones((4, 3)), Tensor(np.ones((3, 2))), Tensor(np.ones(shape)))
    assert str(caught.value) == (
        f"linear: unnamed of shape (3, 2) and float64 needs a bias of shape (2,), got unnamed {shape} of float64"
    )


@pytest.mark.parametrize("shape", [(2,), (1, 2), (5, 1), (5, 1, 2)])
def test_a_stack_needs_a_bias_for_each_client(shape: Shape) -> None:
    with pytest.raises(GraphError, match=r"linear: .*\(5, 3, 2\) and float64 needs a bias of shape \(5, 2\), got"):
        linear(np.ones((5, 4, 3)), Tensor(np.ones((5, 3, 2))), Tensor(np.ones(shape)))


def test_a_bias_of_another_dtype_is_told() -> None:
    weight, _, _ = flat_layer(Layout.of({"weight": (3, 2), "bias": (2,)}), np.zeros(8, "float32"))
    with pytest.raises(
        GraphError, match=r"linear: weight of .* float32 needs .* \(2,\), got unnamed \(2,\) of float64"
    ):
        linear(np.ones((4, 3), "float32"), weight, Tensor(np.ones(2)))
