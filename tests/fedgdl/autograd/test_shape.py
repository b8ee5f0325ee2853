"""Reshaping, joining and indexing: gradients, what is named twice, sparse rows, and what they refuse."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from tensors import Shape, assert_inputs_are_left_alone, dense_gradient, leaf, parameter

from fedgdl.autograd import (
    SparseGradient,
    Tensor,
    concat,
    gather,
    getitem,
    gradcheck,
    reshape,
    stack,
    swapaxes,
    transpose,
)
from fedgdl.errors import GraphError

MASK = np.array([True, False, True])
CASES: list[tuple[str, Callable[[Tensor], Tensor], Shape]] = [
    ("reshape", lambda x: reshape(x, (3, 2)), (2, 3)),
    ("reshape -1", lambda x: reshape(x, (-1,)), (2, 3)),
    ("reshape to none", lambda x: reshape(x, ()), (1, 1)),
    ("reshape empty", lambda x: reshape(x, (3, 0)), (0, 2)),
    ("reshape a view", lambda x: reshape(transpose(x), (6,)), (2, 3)),
    ("outer product", lambda x: reshape(x * x, (-1, 1)) * reshape(x, (1, -1)), (3,)),
    ("transpose", transpose, (2, 3)),
    ("transpose none", transpose, ()),
    ("transpose axes", lambda x: transpose(x, (1, 2, 0)), (2, 3, 4)),
    ("transpose from the end", lambda x: transpose(x, (-1, 0, 1)), (2, 3, 4)),
    ("transpose empty", lambda x: transpose(x, (2, 0, 1)), (2, 0, 4)),
    ("swapaxes", lambda x: swapaxes(x, -1, 0), (2, 3, 4)),
    ("swapaxes with itself", lambda x: swapaxes(x, 0, 0), (2, 3)),
    ("concat itself", lambda x: concat([x, x * x, x], -1), (2, 3)),
    ("stack itself", lambda x: stack([x, x * x], 1), (2, 3)),
    ("stack at the end", lambda x: stack([x, x * x], -1), (2, 3)),
    ("stack numbers", lambda x: stack([x, x * x]), ()),
    ("one", lambda x: x[1], (3,)),
    ("last row", lambda x: x[-1], (2, 3)),
    ("one element", lambda x: x[1, 2], (2, 3)),
    ("slice", lambda x: x[1:], (3, 2)),
    ("steps", lambda x: x[::-2, 1:1], (3, 2)),
    ("backwards", lambda x: x[::-1], (3,)),
    ("ellipsis", lambda x: x[..., 0], (2, 3, 4)),
    ("new axis", lambda x: x[:, None], (3,)),
    ("all", lambda x: x[...], (2, 3)),
    ("nothing named", lambda x: x[()], ()),
    ("mask of rows", lambda x: x[MASK], (3, 2)),
    ("mask of elements", lambda x: x[x.data > 0], (3, 2)),
    ("mask of columns", lambda x: x[:, MASK], (2, 3)),
    ("list", lambda x: x[[2, 0, 2]], (3, 2)),
    ("rows", lambda x: x[np.array([2, 0, 2])], (3, 2)),
    ("rows from the end", lambda x: x[np.array([-1, 2, 0])], (3, 2)),
    ("rows in two axes", lambda x: x[np.array([[2, 0], [2, 2]])], (3, 2, 1)),
    ("no rows", lambda x: x[np.array([], np.int64)], (3, 2)),
    ("rows of 32-bit ids", lambda x: x[np.array([1, 1], np.int32)], (3, 2)),
    ("unsigned rows", lambda x: x[np.array([1, 1], np.uint8)], (3, 2)),
    ("row of an array", lambda x: x[np.array(1)], (3, 2)),
    ("NumPy number", lambda x: x[np.int64(1)], (3, 2)),
    ("elements", lambda x: x[np.array([2, 0, 2])], (3,)),
    ("two arrays", lambda x: x[np.array([0, 2, 0]), np.array([1, 0, 1])], (3, 2)),
    ("array and slice", lambda x: x[:, np.array([1, 1])], (3, 2)),
    ("array and mask", lambda x: x[np.array([1, 1]), np.array([True, True])], (3, 2)),
    ("part of a part", lambda x: x[1:][np.array([0, 0])][:, 1], (3, 2)),
    ("gather rows", lambda x: gather(x, 0, np.array([[1, 0], [1, 1], [0, 1]])), (3, 2)),
    ("gather columns", lambda x: gather(x, -1, np.array([[1], [0], [1]])), (3, 2)),
    ("gather fewer", lambda x: gather(x, 1, np.array([[1, 1, 1, 0]])), (3, 2)),
    ("gather in three axes", lambda x: gather(x, 1, np.array([[[2, 0, 0, 1]], [[0, 0, 2, 2]]])), (2, 3, 4)),
    ("gather of one axis", lambda x: gather(x, 0, np.array([2, 2, 2, 2])), (3,)),
    ("gather nothing", lambda x: gather(x, 0, np.zeros((0, 2), np.int64)), (3, 2)),
    ("gather from a view", lambda x: gather(transpose(x), 0, np.array([[1, 0, 1]])), (3, 2)),
]


@pytest.mark.parametrize(("function", "shape"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_gradients(function: Callable[[Tensor], Tensor], shape: Shape) -> None:
    rng = np.random.default_rng(1)
    for _ in range(3):
        x = rng.normal(size=shape)
        gradcheck(function, [x + np.copysign(0.01, x)], rng)  # away from 0, where a mask would change
    assert_inputs_are_left_alone(function, rng.normal(size=shape))


JOINED: list[tuple[str, Callable[..., Tensor], list[Shape]]] = [
    ("concat", lambda *x: concat(x), [(2, 3), (1, 3), (0, 3)]),
    ("concat columns", lambda *x: concat(x, 1), [(2, 1), (2, 3)]),
    ("concat last", lambda *x: concat(x, -1), [(2, 2, 1), (2, 2, 0), (2, 2, 2)]),
    ("concat one", lambda *x: concat(x), [(2,)]),
    ("concat nothing", lambda *x: concat(x), [(0,), (0,)]),
    ("stack", lambda *x: stack(x), [(2, 3)] * 3),
    ("stack inside", lambda *x: stack(x, 1), [(2, 3)] * 3),
    ("stack nothing", lambda *x: stack(x, -1), [(0, 3)] * 2),
]


@pytest.mark.parametrize(("function", "shapes"), [case[1:] for case in JOINED], ids=[case[0] for case in JOINED])
def test_gradients_of_what_is_joined(function: Callable[..., Tensor], shapes: list[Shape]) -> None:
    rng = np.random.default_rng(2)
    arrays = [rng.normal(size=shape) for shape in shapes]
    gradcheck(function, arrays, rng)
    gradcheck(lambda x: function(x, *arrays[1:]), arrays[:1], rng)  # the others are constants
    assert_inputs_are_left_alone(function, *arrays)


@given(st.data(), hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4), st.integers(0, 2**32))
def test_any_index_that_numpy_takes(data: st.DataObject, shape: Shape, seed: int) -> None:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=shape)
    indices = hnp.basic_indices(shape, allow_newaxis=True)
    if shape and all(shape):
        indices |= hnp.integer_array_indices(shape) | hnp.arrays(bool, shape)
    index = data.draw(indices)
    np.testing.assert_array_equal(Tensor(x)[index].data, x[index])
    gradcheck(lambda t: t[index], [x], rng)


@given(st.data(), hnp.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=4), st.integers(0, 2**32))
def test_gather_of_any_shape(data: st.DataObject, shape: Shape, seed: int) -> None:
    rng = np.random.default_rng(seed)
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    sides = [data.draw(st.integers(0, side)) for side in shape]
    sides[axis] = data.draw(st.integers(0, 5))
    index = rng.integers(0, shape[axis], size=sides)
    x = rng.normal(size=shape)
    part = tuple(slice(None) if number == axis % len(shape) else slice(side) for number, side in enumerate(sides))
    np.testing.assert_array_equal(gather(Tensor(x), axis, index).data, np.take_along_axis(x[part], index, axis))
    gradcheck(lambda t: gather(t, axis, index), [x], rng)


def test_values_and_methods() -> None:
    x = np.arange(6.0).reshape(2, 3)
    t = Tensor(x)
    for found, expected in (
        (t.reshape(3, -1), x.reshape(3, 2)),
        (t.reshape((3, 2)), x.reshape(3, 2)),
        (t.reshape(6), x.reshape(6)),
        (t.T, x.T),
        (t.transpose(), x.T),
        (t.transpose(1, 0), x.T),
        (t.transpose((1, 0)), x.T),
        (t.swapaxes(0, 1), x.T),
        (t[1, ::2], [3, 5]),
        (concat([t, x]), [[0, 1, 2], [3, 4, 5]] * 2),
        (concat([t[0], t[:, 1]]), [0, 1, 2, 1, 4]),
        (stack([t[0], t[1]], axis=1), x.T),
        (gather(t, 1, np.array([[2, 0], [1, 1]])), [[2, 0], [4, 4]]),
    ):
        np.testing.assert_array_equal(found.data, expected)
        assert found.dtype == np.float64


def test_going_through_a_tensor_yields_its_rows() -> None:
    x = leaf(3, 2)
    rows = list(x)
    np.testing.assert_array_equal([row.data for row in rows], x.data)
    (2 * rows[2]).sum().backward()
    np.testing.assert_array_equal(dense_gradient(x), [[0, 0], [0, 0], [2, 2]])
    with pytest.raises(GraphError, match="without axes"):
        iter(Tensor(1.0))


def test_rows_named_twice_from_a_sum_have_twice_the_sum() -> None:
    # d/dx of sum(s + s) with s = x[ids] is 2 for each time a row is named.
    for ids in (np.array([1, 1, 2]), [1, 1, 2]):
        x = leaf(4, 2)
        s = x[ids]
        (s + s).sum().backward()
        np.testing.assert_array_equal(dense_gradient(x), [[0, 0], [4, 4], [2, 2], [0, 0]])


@pytest.mark.parametrize("dtype", [np.int64, np.int32])
def test_rows_of_a_table_have_a_sparse_gradient(dtype: type) -> None:
    table = parameter(5, 3)
    (2 * table[np.array([[4, 1], [-1, 1]], dtype)]).sum().backward()
    assert isinstance(table.grad, SparseGradient)
    np.testing.assert_array_equal(dense_gradient(table)[:, 0], [0, 4, 0, 0, 4])
    table[1:].sum().backward()  # a slice brings a dense one
    assert isinstance(table.grad, np.ndarray)
    np.testing.assert_array_equal(dense_gradient(table)[:, 0], [0, 5, 1, 1, 5])


def test_a_vector_of_parameters_has_a_dense_gradient() -> None:
    bias = parameter(3)
    bias[np.array([2, 2])].sum().backward()
    np.testing.assert_array_equal(bias.grad, [0, 0, 2])


@pytest.mark.parametrize("num_clients", [1, 2, 5])
def test_stacked_clients_gather_the_bits_they_gather_alone(num_clients: int) -> None:
    rng = np.random.default_rng(3)
    data = rng.normal(size=(num_clients, 6, 4)).astype("float32")
    index = rng.integers(0, 6, size=(num_clients, 9, 4))
    seed = rng.normal(size=index.shape).astype("float32")
    together = Tensor(data, requires_grad=True)
    y = gather(together, -2, index)
    y.backward(seed)
    for client in range(num_clients):
        alone = Tensor(data[client], requires_grad=True)
        own = gather(alone, -2, index[client])
        own.backward(seed[client])
        np.testing.assert_array_equal(own.data, y.data[client])
        np.testing.assert_array_equal(dense_gradient(alone), dense_gradient(together)[client])


REFUSED: list[tuple[str, Callable[[Tensor], object], str]] = [
    ("reshape", lambda x: reshape(x, (4, 2)), r"reshape: \(2, 3\) holds 6 elements, which shape \(4, 2\) does not"),
    ("reshape by floats", lambda x: x.reshape(3.0, 2), r"reshape: \(2, 3\) holds 6 elements"),
    ("reshape by tuples", lambda x: x.reshape((3,), (2,)), r"reshape: \(2, 3\) holds 6 elements"),
    ("transpose twice", lambda x: transpose(x, (0, 0)), r"transpose: .* \(2, 3\) needs each of its axes once"),
    ("transpose too few", lambda x: transpose(x, (0,)), "transpose: .* needs each of its axes once"),
    ("transpose by names", lambda x: x.transpose("a", "b"), "transpose: .* needs each of its axes once"),
    ("swapaxes", lambda x: swapaxes(x, 0, 2), r"swapaxes: a tensor of shape \(2, 3\) has no axis 2"),
    ("T of a stack", lambda x: x[None].T, r"T: needs a tensor of two axes, got shape \(1, 2, 3\)"),
    ("concat sides", lambda x: concat([x, x[:, :2]]), r"concat: .* along axis 0 alone, got \(2, 3\), \(2, 2\)"),
    ("concat ranks", lambda x: concat([x, x[0]], 1), r"concat: .* along axis 1 alone, got \(2, 3\), \(3,\)"),
    ("concat no axis", lambda x: concat([x[0, 0], x[0, 0]]), r"concat: a tensor of shape \(\) has no axis 0"),
    ("concat nothing", lambda _: concat([]), "concat: takes a list or tuple of at least one tensor"),
    ("concat a tensor", concat, "concat: takes a list or tuple of at least one tensor, got Tensor"),
    ("concat numbers", lambda _: concat([1.0, 2.0]), "concat: operands are .*; got float"),
    ("concat dtypes", lambda x: concat([x, np.ones((2, 3), "float32")]), "concat: operands have different dtypes"),
    ("concat integers", lambda x: concat([x, np.ones((2, 3), int)]), "concat: operands must be float32 or float64"),
    ("stack shapes", lambda x: stack([x, x[:1]]), r"stack: shapes must be equal, got \(2, 3\), \(1, 3\)"),
    ("stack axis", lambda x: stack([x, x], 3), "stack: .* has no axis 3"),
    ("stack an array", lambda _: stack(np.ones((2, 3))), "stack: takes a list or tuple .*, got ndarray"),
    ("beyond", lambda x: x[2], r"getitem: a tensor of shape \(2, 3\) has no part \[2\]"),
    ("beyond rows", lambda x: x[np.array([0, 2])], "getitem: .* has no part"),
    ("too many", lambda x: x[0, 0, 0], "getitem: .* has no part .* too many indices"),
    ("mask", lambda x: x[MASK], "getitem: .* has no part"),
    ("floats", lambda x: x[1.0], r"getitem: .* has no part \[1.0\]"),
    ("constant tensor", lambda x: x[Tensor(np.ones(2))], "getitem: .* has no part"),
    ("tensor", lambda x: x[x], "requires a gradient"),
    ("name", lambda x: x["a"], "getitem: .* has no part"),
    ("gather int32", lambda x: gather(x, 0, np.zeros((1, 3), np.int32)), "gather: an index .* is int64, .* got int32"),
    ("gather rank", lambda x: gather(x, 0, np.zeros(3, np.int64)), r"gather: .* of 2 axes .* of shape \(3,\)"),
    ("gather longer", lambda x: gather(x, 0, np.zeros((1, 4), np.int64)), "gather: .* elsewhere no longer"),
    ("gather beyond", lambda x: gather(x, 0, np.full((1, 3), 2)), "gather: .* run from 0 to 1, got 2 to 2"),
    ("gather below", lambda x: gather(x, 1, np.full((1, 3), -1)), "gather: .* run from 0 to 2, got -1 to -1"),
    ("gather axis", lambda x: gather(x, 2, np.zeros((1, 3), np.int64)), "gather: .* has no axis 2"),
]


@pytest.mark.parametrize(("misuse", "message"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED])
def test_misuse_is_told(misuse: Callable[[Tensor], object], message: str) -> None:
    with pytest.raises(GraphError, match=message):
        misuse(leaf(2, 3))


@pytest.mark.parametrize("operation", [reshape, transpose, getitem])
def test_wrong_operands_are_named(operation: Callable[..., Tensor]) -> None:
    arguments: Sequence[object] = () if operation is transpose else (((1,),) if operation is reshape else (0,))
    with pytest.raises(GraphError, match=f"{operation.__name__}: operands are .*; got list"):
        operation([1.0], *arguments)
