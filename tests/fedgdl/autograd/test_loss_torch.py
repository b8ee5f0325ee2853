"""Losses agree with PyTorch, forward and backward."""

import numpy as np
import pytest
from tensors import Shape, dense_gradient, leaf

from fedgdl.autograd import Tensor, sigmoid_cross_entropy, softmax_cross_entropy, squared_error

torch = pytest.importorskip("torch", reason="torch is not installed: losses are not compared with PyTorch's")

# Sums of at most some hundred numbers of about 1 in float64.
TOLERANCE = {"rtol": 1e-12, "atol": 1e-14}


def agree(ours: Tensor, x: Tensor, theirs: "torch.Tensor", z: "torch.Tensor") -> None:
    """Checks two results, and the gradients by x and z that the same gradient brings."""
    g = np.asarray(np.random.default_rng(1).normal(size=ours.shape))
    ours.backward(g)
    theirs.backward(torch.tensor(g))
    np.testing.assert_allclose(ours.data, theirs.detach().numpy(), **TOLERANCE)
    np.testing.assert_allclose(dense_gradient(x), z.grad.numpy(), **TOLERANCE)


@pytest.mark.parametrize("scale", [1.0, 1e4])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("shape", [(), (1,), (20,), (5, 4), (3, 2, 4)])
def test_softmax_cross_entropy(shape: Shape, reduction: str, scale: float) -> None:
    x = leaf(*shape, 6)
    x.data *= scale
    ids = np.asarray(np.random.default_rng(2).integers(0, 6, shape))
    z = torch.tensor(x.data, requires_grad=True)
    # There the classes are the second axis, after the batch's.
    logits = z.movedim(-1, 1) if len(shape) > 1 else z
    theirs = torch.nn.functional.cross_entropy(logits, torch.tensor(ids), reduction=reduction)
    agree(softmax_cross_entropy(x, ids, reduction), x, theirs, z)


@pytest.mark.parametrize("scale", [1.0, 1e4])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("shape", [(1,), (20,), (5, 4), (3, 2, 4)])
def test_sigmoid_cross_entropy(shape: Shape, reduction: str, scale: float) -> None:
    x = leaf(*shape)
    x.data *= scale
    targets = np.random.default_rng(2).random(shape)
    z = torch.tensor(x.data, requires_grad=True)
    theirs = torch.nn.functional.binary_cross_entropy_with_logits(z, torch.tensor(targets), reduction=reduction)
    agree(sigmoid_cross_entropy(x, targets, reduction), x, theirs, z)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("shape", [(), (1,), (20,), (5, 4), (3, 2, 4)])
def test_squared_error(shape: Shape, reduction: str) -> None:
    x, target = leaf(*shape, seed=1), leaf(*shape, seed=2)
    z, other = (torch.tensor(tensor.data, requires_grad=True) for tensor in (x, target))
    theirs = torch.nn.functional.mse_loss(z, other, reduction=reduction)
    agree(squared_error(x, target, reduction), x, theirs, z)
    np.testing.assert_allclose(dense_gradient(target), other.grad.numpy(), **TOLERANCE)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_losses_per_client(reduction: str) -> None:
    x, ids = leaf(3, 5, 6), np.random.default_rng(2).integers(0, 6, (3, 5))
    z = torch.tensor(x.data, requires_grad=True)
    cross_entropy = torch.nn.functional.cross_entropy
    theirs = torch.stack([cross_entropy(z[k], torch.tensor(ids[k]), reduction=reduction) for k in range(3)])
    agree(softmax_cross_entropy(x, ids, reduction, per_client=True), x, theirs, z)
