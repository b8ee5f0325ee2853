"""The same results and gradients as PyTorch, in float64, for operations without a product inside."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from tensors import Shape, dense_gradient

from fedgdl import autograd
from fedgdl.autograd import Tensor

torch = pytest.importorskip("torch", reason="torch is not installed: nothing to compare with")

IDS = np.array([[2, 0], [2, 1]])
COLUMNS = np.array([[0, 2, 2, 1]])
Function = Callable[..., Any]

# Name, ours, PyTorch's, shapes of the operands (numbers from 0.5 to 2).
CASES: list[tuple[str, Function, Function, list[Shape]]] = [
    ("add", lambda x, y: x + y, lambda x, y: x + y, [(2, 3), (3,)]),
    ("sub", lambda x, y: x - y, lambda x, y: x - y, [(2, 1), (1, 3)]),
    ("mul", lambda x, y: x * y, lambda x, y: x * y, [(4, 1, 3), (2, 1)]),
    ("div", lambda x, y: x / y, lambda x, y: x / y, [(2, 3), (2, 1)]),
    ("pow", lambda x, y: x**y, lambda x, y: x**y, [(2, 3), (3,)]),
    ("power 0", lambda x: x**0, lambda x: x**0, [(3,)]),
    ("power 3", lambda x: x**3, lambda x: x**3, [(3,)]),
    ("power -2", lambda x: x**-2, lambda x: x**-2, [(3,)]),
    ("power 0.5", lambda x: x**0.5, lambda x: x**0.5, [(3,)]),
    ("2 to the power", lambda x: 2**x, lambda x: 2**x, [(3,)]),
    ("numbers", lambda x: (1 - x) / 3 + 2 / x, lambda x: (1 - x) / 3 + 2 / x, [(2, 3)]),
    ("neg", lambda x: -x, lambda x: -x, [(2, 3)]),
    ("exp", lambda x: x.exp(), lambda x: x.exp(), [(2, 3)]),
    ("log", lambda x: x.log(), lambda x: x.log(), [(2, 3)]),
    ("relu", lambda x: (x - 1).relu(), lambda x: (x - 1).relu(), [(5, 7)]),
    ("relu at 0", lambda x: (x - x).relu(), lambda x: (x - x).relu(), [(3,)]),
    ("tanh", lambda x: x.tanh(), lambda x: x.tanh(), [(2, 3)]),
    ("sigmoid", lambda x: x.sigmoid(), lambda x: x.sigmoid(), [(2, 3)]),
    ("softmax", lambda x: x.softmax(), lambda x: x.softmax(-1), [(2, 3)]),
    ("softmax 0", lambda x: (1e4 * x).softmax(0), lambda x: (1e4 * x).softmax(0), [(2, 3)]),
    ("log_softmax", lambda x: x.log_softmax(1), lambda x: x.log_softmax(1), [(2, 3, 4)]),
    ("log_softmax far", lambda x: (1e4 * x).log_softmax(), lambda x: (1e4 * x).log_softmax(-1), [(2, 3)]),
    ("sum", lambda x: x.sum(), lambda x: x.sum(), [(2, 3)]),
    ("sum axes", lambda x: x.sum((0, -1)), lambda x: x.sum((0, -1)), [(2, 3, 4)]),
    ("mean", lambda x: x.mean(1, keepdims=True), lambda x: x.mean(1, keepdim=True), [(2, 3, 4)]),
    ("max of all", lambda x: x.max(), lambda x: x.max(), [(2, 3)]),
    ("max", lambda x: x.max(1), lambda x: x.max(1).values, [(2, 3, 4)]),
    ("max of equals", lambda x: (x - x).max(0), lambda x: (x - x).max(0).values, [(3, 2)]),
    ("max keepdims", lambda x: x.max(0, keepdims=True), lambda x: x.max(0, keepdim=True).values, [(3, 2)]),
    ("reshape", lambda x: x.reshape(3, -1) * 2, lambda x: x.reshape(3, -1) * 2, [(2, 3)]),
    ("T", lambda x: x.T, lambda x: x.T, [(2, 3)]),
    ("transpose", lambda x: x.transpose(2, 0, 1), lambda x: x.permute(2, 0, 1), [(2, 3, 4)]),
    ("swapaxes", lambda x: x.swapaxes(0, -1), lambda x: x.swapaxes(0, -1), [(2, 3, 4)]),
    ("concat", lambda *x: autograd.concat(x, 1), lambda *x: torch.concat(x, 1), [(2, 3), (2, 0), (2, 1)]),
    ("stack", lambda *x: autograd.stack(x, -1), lambda *x: torch.stack(x, -1), [(2, 3), (2, 3)]),
    ("slices", lambda x: x[1:, ::2, None], lambda x: x[1:, ::2, None], [(3, 4)]),
    ("rows", lambda x: x[IDS], lambda x: x[torch.from_numpy(IDS)], [(3, 4)]),
    ("elements", lambda x: x[IDS, IDS.T], lambda x: x[torch.from_numpy(IDS), torch.from_numpy(IDS.T)], [(3, 4)]),
    ("mask", lambda x: x[x.data > 1], lambda x: x[x.detach() > 1], [(3, 4)]),
    (
        "gather",
        lambda x: autograd.gather(x, 0, COLUMNS),
        lambda x: torch.gather(x, 0, torch.from_numpy(COLUMNS)),
        [(3, 4)],
    ),
    (
        "gather few",
        lambda x: autograd.gather(x, -1, IDS),
        lambda x: torch.gather(x, -1, torch.from_numpy(IDS)),
        [(3, 4)],
    ),
]


@pytest.mark.parametrize(("ours", "theirs", "shapes"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_agreement(ours: Function, theirs: Function, shapes: list[Shape]) -> None:
    rng = np.random.default_rng(1)
    arrays = [rng.uniform(0.5, 2, size=shape) for shape in shapes]
    leaves = [Tensor(array, requires_grad=True) for array in arrays]
    others = [torch.tensor(array, requires_grad=True) for array in arrays]
    found, expected = ours(*leaves), theirs(*others)
    np.testing.assert_allclose(found.data, expected.detach().numpy(), rtol=1e-12, atol=1e-13)
    seed = rng.normal(size=found.shape)
    found.backward(seed)
    expected.backward(torch.from_numpy(seed))
    for leaf, other in zip(leaves, others, strict=True):
        np.testing.assert_allclose(dense_gradient(leaf), other.grad.numpy(), rtol=1e-12, atol=1e-13)
