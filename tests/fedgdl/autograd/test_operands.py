"""What all operations do with their operands, and the random state they leave alone."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from fedgdl.autograd import Tensor, add, dropout
from fedgdl.autograd.operands import as_tensor, broadcasts, normalized_axes, pair, unbroadcast
from fedgdl.errors import GraphError

shapes = hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=3)


@given(shapes, shapes)
def test_shapes_broadcast_where_numpy_says_so(a: tuple[int, ...], b: tuple[int, ...]) -> None:
    try:
        expected = np.broadcast_shapes(a, b)
    except ValueError:
        assert not broadcasts(a, b)
        with pytest.raises(GraphError, match=r"add: shapes .* do not broadcast"):
            add(Tensor(np.zeros(a)), Tensor(np.zeros(b)))
    else:
        assert broadcasts(a, b)
        assert add(Tensor(np.zeros(a)), Tensor(np.zeros(b))).shape == expected


@given(hnp.mutually_broadcastable_shapes(num_shapes=2, max_dims=3, min_side=0, max_side=3))
def test_unbroadcast_adds_up_what_was_repeated(both: hnp.BroadcastableShapes) -> None:
    shape = both.input_shapes[0]
    total = unbroadcast(np.ones(both.result_shape), shape)
    copies = np.prod(both.result_shape) / max(np.prod(shape), 1)
    assert total.shape == shape
    np.testing.assert_array_equal(total, np.full(shape, copies))


def test_unbroadcast_hands_on_what_fits() -> None:
    g = np.ones((2, 3))
    assert unbroadcast(g, (2, 3)) is g


@given(st.sampled_from([2, 2.5, np.int32(2), np.float64(2.5), True]), st.sampled_from(["float32", "float64"]))
def test_numbers_take_the_other_operand_s_dtype(number: float, dtype: str) -> None:
    x = Tensor(np.ones(3, dtype))
    for a, b in (pair("add", x, number), reversed(pair("add", number, x))):
        assert a is x
        assert (b.shape, b.dtype, b.item(), b.requires_grad) == ((), np.dtype(dtype), float(number), False)


def test_arrays_are_constants_of_the_same_memory() -> None:
    array = np.ones(3)
    t = as_tensor("add", array)
    assert t.data is array
    assert not t.requires_grad
    assert as_tensor("add", t) is t


def test_axes_are_counted_from_the_front() -> None:
    x = Tensor(np.ones((2, 3, 4)))
    for axis, expected in ((None, (0, 1, 2)), (1, (1,)), (-1, (2,)), ((-1, 0), (2, 0)), ((), ()), (np.int64(1), (1,))):
        assert normalized_axes("sum", x, axis) == expected


def test_no_operation_touches_the_global_random_state() -> None:
    np.random.seed(1)  # noqa: NPY002 (the state under test)
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    x = Tensor(np.ones((3, 3)), requires_grad=True)
    y = dropout((x @ x).softmax() + x[0], 0.5, np.random.default_rng(1))
    (y * 2).sum().backward()
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002
