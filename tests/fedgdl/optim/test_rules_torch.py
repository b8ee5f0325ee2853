"""Optimisers, clipping and schedules against PyTorch's over 20 steps, in float64."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from fedgdl import optim
from fedgdl.autograd import Parameter
from fedgdl.optim import Optimizer

torch = pytest.importorskip("torch", reason="torch is not installed: agreement with PyTorch is not checked")

SHAPES = [(4, 3), (3,), (3, 2)]
Rule = tuple[Callable[..., Optimizer], str, dict[str, Any]]

RULES: list[Rule] = [
    (optim.SGD, "SGD", {"lr": 0.1}),
    (optim.SGD, "SGD", {"lr": 0.1, "weight_decay": 0.2}),
    (optim.SGD, "SGD", {"lr": 0.1, "momentum": 0.9}),
    (optim.SGD, "SGD", {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.2}),
    (optim.SGD, "SGD", {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.2, "nesterov": True}),
    (optim.Adam, "Adam", {}),
    (optim.Adam, "Adam", {"lr": 0.1, "betas": (0.8, 0.9), "eps": 1e-3, "weight_decay": 0.2}),
    (optim.Adam, "Adam", {"lr": 0.1, "betas": (0.0, 0.9)}),
    (optim.AdamW, "AdamW", {}),
    (optim.AdamW, "AdamW", {"lr": 0.1, "weight_decay": 0.2}),
    (optim.Adagrad, "Adagrad", {}),
    (
        optim.Adagrad,
        "Adagrad",
        {"lr": 0.1, "lr_decay": 0.3, "weight_decay": 0.2, "initial_accumulator_value": 0.5, "eps": 1e-3},
    ),
]


class Pair:
    """The same parameters here and there, and gradients for both."""

    def __init__(self) -> None:
        self.rng = np.random.default_rng(6)
        starts = [self.rng.normal(size=shape) for shape in SHAPES]
        self.ours = [Parameter(start.copy()) for start in starts]
        self.theirs = [torch.tensor(start, requires_grad=True) for start in starts]

    def send_gradients(self, scale: float = 1.0) -> None:
        for mine, other in zip(self.ours, self.theirs, strict=True):
            gradient = scale * self.rng.normal(size=mine.shape)
            mine.receive(gradient)
            other.grad = torch.tensor(gradient)

    def assert_equal(self, rtol: float = 1e-12) -> None:
        for mine, other in zip(self.ours, self.theirs, strict=True):
            np.testing.assert_allclose(mine.data, other.detach().numpy(), rtol=rtol, atol=1e-14)


@pytest.fixture(autouse=True)
def checked_sparse_tensors() -> Iterator[None]:
    """Has PyTorch check sparse tensors, as it warns unless told whether to."""
    with torch.sparse.check_sparse_tensor_invariants():
        yield


def sparse_tensor(ids: npt.NDArray[np.int64], rows: npt.NDArray[np.float64]) -> Any:
    """Rows of a table of (10, 3) as PyTorch's sparse tensor."""
    return torch.sparse_coo_tensor(torch.tensor(ids[np.newaxis]), torch.tensor(rows), (10, 3))


@pytest.mark.parametrize(("cls", "name", "options"), RULES)
def test_twenty_steps_are_those_of_torch(cls: Callable[..., Optimizer], name: str, options: dict[str, Any]) -> None:
    pair = Pair()
    optimizer, other = cls(pair.ours, **options), getattr(torch.optim, name)(pair.theirs, **options)
    for _ in range(20):
        pair.send_gradients()
        optimizer.step()
        other.step()
        pair.assert_equal()


def test_touched_rows_move_as_those_of_sparse_adam() -> None:
    """Bias correction by the table's steps, repeated rows summed first, untouched rows left alone.

    PyTorch's sparse version adds eps to the uncorrected root, its dense one and ours to the corrected: with an eps this
    small beside gradients near 1, that is less than a rounding error.
    """
    rng = np.random.default_rng(7)
    start = rng.normal(size=(10, 3))
    table, other_table = Parameter(start.copy()), torch.tensor(start, requires_grad=True)
    optimizer = optim.Adam([table], lr=0.1, betas=(0.8, 0.9), eps=1e-15)
    other = torch.optim.SparseAdam([other_table], lr=0.1, betas=(0.8, 0.9), eps=1e-15)
    for _ in range(20):
        ids, rows = rng.integers(10, size=4), rng.normal(size=(4, 3))
        table.receive_rows(ids, rows)
        other_table.grad = sparse_tensor(ids, rows)
        optimizer.step()
        other.step()
    np.testing.assert_allclose(table.data, other_table.detach().numpy(), rtol=1e-11)


def test_touched_rows_move_as_those_of_sparse_adagrad() -> None:
    rng = np.random.default_rng(8)
    start = rng.normal(size=(10, 3))
    table, other_table = Parameter(start.copy()), torch.tensor(start, requires_grad=True)
    optimizer = optim.Adagrad([table], lr=0.1, lr_decay=0.1)
    other = torch.optim.Adagrad([other_table], lr=0.1, lr_decay=0.1)
    for _ in range(20):
        ids, rows = rng.integers(10, size=4), rng.normal(size=(4, 3))
        table.receive_rows(ids, rows)
        other_table.grad = sparse_tensor(ids, rows)
        optimizer.step()
        other.step()
    np.testing.assert_allclose(table.data, other_table.detach().numpy(), rtol=1e-12)


def test_clipping_by_norm_is_that_of_torch() -> None:
    """PyTorch divides by the norm plus 1e-6, which is a relative difference of 1e-6 where the norm is near 1."""
    pair = Pair()
    optimizer, other = optim.SGD(pair.ours, lr=0.1), torch.optim.SGD(pair.theirs, lr=0.1)
    for step in range(20):
        pair.send_gradients(scale=0.1 * step)
        norm = optim.clip_grad_norm(pair.ours, max_norm=4.0)
        np.testing.assert_allclose(norm, torch.nn.utils.clip_grad_norm_(pair.theirs, 4.0).item(), rtol=1e-12)
        optimizer.step()
        other.step()
        pair.assert_equal(rtol=1e-5)


def test_clipping_by_value_is_that_of_torch() -> None:
    pair = Pair()
    pair.send_gradients()
    optim.clip_grad_value(pair.ours, 0.5)
    torch.nn.utils.clip_grad_value_(pair.theirs, 0.5)
    for mine, other in zip(pair.ours, pair.theirs, strict=True):
        np.testing.assert_array_equal(mine.grad, other.grad.numpy())


@pytest.mark.parametrize("kind", ["step", "cosine"])
def test_schedules_are_those_of_torch(kind: str) -> None:
    pair = Pair()
    optimizer, other = optim.SGD(pair.ours, lr=0.3), torch.optim.SGD(pair.theirs, lr=0.3)
    ours: optim.Schedule
    if kind == "step":
        ours = optim.StepLR(optimizer, step_size=3, gamma=0.7)
        theirs = torch.optim.lr_scheduler.StepLR(other, step_size=3, gamma=0.7)
    else:
        ours = optim.CosineAnnealingLR(optimizer, num_steps=15, eta_min=0.01)
        theirs = torch.optim.lr_scheduler.CosineAnnealingLR(other, T_max=15, eta_min=0.01)
    for _ in range(20):
        pair.send_gradients()
        optimizer.step()
        other.step()
        pair.assert_equal()
        ours.step()
        theirs.step()
        np.testing.assert_allclose(optimizer.lr, theirs.get_last_lr()[0], rtol=1e-12)
