"""Tensors: what they adopt, offer in formulas, show, and give to NumPy and to copies."""

import copy
import importlib.util
import pickle
import pkgutil
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from tensors import dense_gradient, leaf

from fedgdl import autograd
from fedgdl.autograd import Tensor, gradcheck, no_grad, record
from fedgdl.errors import GraphError


def test_a_tensor_adopts_its_data_and_takes_floats_only() -> None:
    array = np.zeros(3, "float32")
    assert Tensor(array).data is array
    assert Tensor([1.0, 2.0]).dtype == np.float64
    for wrong in ([1, 2], np.zeros(2, "float16"), np.zeros(2, bool), np.zeros(2, complex)):
        with pytest.raises(GraphError, match=r"Tensor: data must be float32 or float64, got .* of shape \(2,\)"):
            Tensor(wrong)


def test_properties_and_item() -> None:
    x = Tensor(np.ones((2, 3), "float32"))
    assert (x.shape, x.dtype, x.ndim, x.size) == ((2, 3), np.dtype("float32"), 2, 6)
    assert type(Tensor([[2.5]]).item()) is float
    assert Tensor([[2.5]]).item() == 2.5
    with pytest.raises(GraphError, match="one element"):
        x.item()


def test_operators_take_numbers_and_arrays_on_both_sides() -> None:
    x, array = Tensor([1.0, 2.0]), np.array([10.0, 20.0])
    for found, expected in (
        (x + 1, [2, 3]),
        (1 + x, [2, 3]),
        (x - 1, [0, 1]),
        (1 - x, [0, -1]),
        (x * 3, [3, 6]),
        (3 * x, [3, 6]),
        (-x, [-1, -2]),
        (array + x, [11, 22]),
        (array - x, [9, 18]),
        (x - array, [-9, -18]),
        (array * x, [10, 40]),
        (np.float64(2) * x, [2, 4]),
        (x + np.int64(2), [3, 4]),
        (array.reshape(1, 2) @ x.reshape(2, 1), [[50]]),
        (x.reshape(1, 2) @ array.reshape(2, 1), [[50]]),
    ):
        assert type(found) is Tensor
        np.testing.assert_array_equal(found.data, expected)


def test_numpy_gets_constants_and_no_tensor_with_a_gradient() -> None:
    np.testing.assert_array_equal(np.asarray(Tensor([1.0, 2.0])), [1, 2])
    assert np.asarray(Tensor([1.0]), dtype="float32").dtype == np.float32
    with pytest.raises(GraphError, match="pass its `data`"):
        np.asarray(leaf(2))
    with pytest.raises(TypeError):
        np.exp(leaf(2))


def test_detach_shares_the_data_alone() -> None:
    x = leaf(2)
    y = (x * 2).detach()
    assert not y.requires_grad
    assert x.detach().data is x.data


def test_repr_tells_values_dtype_and_gradient() -> None:
    assert repr(Tensor(np.array([0.5], "float32"))) == "Tensor([0.5], float32)"
    assert repr(Tensor([0.5], requires_grad=True)) == "Tensor([0.5], float64, requires_grad=True)"


def test_leaves_are_copied_without_their_gradient_and_results_are_not() -> None:
    x = leaf(2)
    x.sum().backward()
    for other in (copy.deepcopy(x), pickle.loads(pickle.dumps(x))):
        assert other.requires_grad
        assert other.grad is None
        assert not np.shares_memory(other.data, x.data)
        np.testing.assert_array_equal(other.data, x.data)
    with pytest.raises(GraphError, match="cannot be copied"):
        copy.deepcopy(x * 2)


def test_bytes_in_another_order_are_refused() -> None:
    # Neither float32 nor float64 as this machine computes with them: BLAS would read them the wrong way round.
    for dtype in (">f4", ">f8") if sys.byteorder == "little" else ("<f4", "<f8"):
        with pytest.raises(GraphError, match="Tensor: data must be float32 or float64, got "):
            Tensor(np.zeros(2, dtype))


def test_division_and_powers_take_both_sides() -> None:
    x, array = Tensor([1.0, 2.0]), np.array([10.0, 20.0])
    for found, expected in (
        (x / 2, [0.5, 1]),
        (2 / x, [2, 1]),
        (array / x, [10, 10]),
        (x / array, [0.1, 0.1]),
        (x**2, [1, 4]),
        (2**x, [2, 4]),
        (x**x, [1, 4]),
    ):
        assert type(found) is Tensor
        np.testing.assert_allclose(found.data, expected, rtol=1e-15)


METHODS: dict[str, tuple[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]]] = {
    "sum": (lambda x: x.sum(), autograd.sum),
    "sum of an axis": (lambda x: x.sum(1, keepdims=True), lambda x: autograd.sum(x, 1, keepdims=True)),
    "mean": (lambda x: x.mean(0), lambda x: autograd.mean(x, 0)),
    "max": (lambda x: x.max(1), lambda x: autograd.max(x, 1)),
    "exp": (lambda x: x.exp(), autograd.exp),
    "log": (lambda x: (x * x + 1).log(), lambda x: autograd.log(autograd.add(autograd.mul(x, x), 1))),
    "relu": (lambda x: x.relu(), autograd.relu),
    "tanh": (lambda x: x.tanh(), autograd.tanh),
    "sigmoid": (lambda x: x.sigmoid(), autograd.sigmoid),
    "softmax": (lambda x: x.softmax(0), lambda x: autograd.softmax(x, 0)),
    "log_softmax": (lambda x: x.log_softmax(), autograd.log_softmax),
    "reshape": (lambda x: x.reshape(3, -1), lambda x: autograd.reshape(x, (3, -1))),
    "reshape by a tuple": (lambda x: x.reshape((6,)), lambda x: autograd.reshape(x, (6,))),
    "transpose": (lambda x: x.transpose(), autograd.transpose),
    "transpose in an order": (lambda x: x.transpose(1, 0), lambda x: autograd.transpose(x, (1, 0))),
    "transpose by a tuple": (lambda x: x.transpose((0, 1)), lambda x: autograd.transpose(x, (0, 1))),
    "swapaxes": (lambda x: x.swapaxes(0, 1), lambda x: autograd.swapaxes(x, 0, 1)),
    "T": (lambda x: x.T, autograd.transpose),
    "a part": (lambda x: x[1:, ::2], lambda x: autograd.getitem(x, (slice(1, None), slice(None, None, 2)))),
    "parts one by one": (lambda x: sum(x, Tensor(0.0)), lambda x: autograd.sum(x, 0)),
    "neg": (lambda x: -x, autograd.neg),
    "a product": (lambda x: x @ x.T, lambda x: autograd.matmul(x, autograd.transpose(x))),
}


@pytest.mark.parametrize(("method", "operation"), METHODS.values(), ids=METHODS)
def test_methods_are_the_operations(method: Callable[[Tensor], Tensor], operation: Callable[[Tensor], Tensor]) -> None:
    x, y = leaf(2, 3), leaf(2, 3)
    found, expected = method(x), operation(y)
    np.testing.assert_array_equal(found.data, expected.data)
    found.backward(1.0)
    expected.backward(1.0)
    np.testing.assert_array_equal(dense_gradient(x), dense_gradient(y))
    gradcheck(method, [leaf(2, 3)], np.random.default_rng(1))


def test_only_matrices_have_a_transpose_of_one_letter() -> None:
    for shape in ((), (3,), (2, 3, 4)):
        with pytest.raises(GraphError) as caught:
            _ = Tensor(np.ones(shape)).T
        assert str(caught.value) == f"T: needs a tensor of two axes, got shape {shape}; use swapaxes or transpose"


def test_parts_come_along_the_first_axis() -> None:
    x = leaf(3, 2)
    parts = list(x)
    assert [part.shape for part in parts] == [(2,)] * 3
    parts[1].backward(1.0)
    np.testing.assert_array_equal(x.grad, [[0, 0], [1, 1], [0, 0]])
    assert list(Tensor(np.ones((0, 2)))) == []
    with pytest.raises(GraphError, match="without axes"):
        iter(Tensor(1.0))


def test_misfits_in_formulas_are_told() -> None:
    x = Tensor(np.ones((2, 3)))
    with pytest.raises(GraphError, match=r"add: shapes \(2, 3\) and \(2,\) do not broadcast"):
        x + np.ones(2)
    with pytest.raises(GraphError, match=r"mul: operands must be float32 or float64, got int64 of shape \(3,\)"):
        x * np.ones(3, np.int64)
    with pytest.raises(GraphError, match=r"sub: .* float32 of shape \(3,\) and float64 of shape \(2, 3\)"):
        np.ones(3, "float32") - x
    with pytest.raises(GraphError, match=r"matmul: needs shapes .*, got \(2, 3\) and \(2, 3\)"):
        x @ x
    for shape in ((0,), (2,), (1, 2)):
        with pytest.raises(GraphError) as caught:
            Tensor(np.ones(shape)).item()
        assert str(caught.value) == f"item: needs a tensor of one element, got shape {shape}"


def test_records_are_on_the_tape_only_where_a_gradient_may_come() -> None:
    x, constant = leaf(2), Tensor(np.ones(2))
    for inputs, requires_grad in (((constant,), False), ((x,), True), ((constant, x), True), ((), False)):
        result = record(np.ones(2), inputs, lambda _: None)
        assert result.requires_grad is requires_grad
        assert result._inputs == (inputs if requires_grad else ())
        assert (result._vjp is None) is not requires_grad
    with no_grad():
        assert not record(np.ones(2), (x,), lambda _: None).requires_grad
    assert type(record(np.float32(1.5), (), lambda _: None).data) is np.ndarray  # NumPy's scalar of a whole sum


def test_results_are_numbered_as_they_come() -> None:
    x = leaf(2)
    assert x._position == 0
    y, z = x * 2, x * 3
    assert 0 < y._position < z._position < (y + z)._position


def test_shallow_copies_share_the_data_and_pickles_keep_bits() -> None:
    x = Tensor(np.array([np.nan, -0.0, np.inf], "float32"))
    assert copy.copy(x).data is x.data
    again = pickle.loads(pickle.dumps(x))
    assert again.data.tobytes() == x.data.tobytes()
    assert not again.requires_grad
    with pytest.raises(GraphError, match=r"a result of shape \(2,\) cannot be copied with its graph"):
        pickle.dumps(leaf(2) * 2)


EACH_FIRST = """
import importlib, os, sys, traceback
import numpy, msgspec  # what every module needs; the modules themselves come anew in each child
for module in sys.argv[1:]:
    process_id = os.fork()
    if not process_id:
        status = 1
        try:
            importlib.import_module("fedgdl.autograd." + module)
            from fedgdl.autograd import Tensor
            status = int((Tensor([1.0]) + 1).item() != 2)
        except BaseException:
            print(module, traceback.format_exc())
        sys.stdout.flush()
        os._exit(status)
    if os.waitpid(process_id, 0)[1]:
        print("not importable first:", module)
"""


def test_each_module_may_be_imported_first() -> None:
    spec: Any = importlib.util.find_spec("fedgdl.autograd")
    modules = [module.name for module in pkgutil.iter_modules(spec.submodule_search_locations)]
    assert {"tape", "tensor", "product"} <= set(modules)
    done = subprocess.run(
        [sys.executable, "-P", "-c", EACH_FIRST, *modules], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
