"""Products and the linear layer agree with PyTorch, forward and backward."""

import numpy as np
import pytest
from tensors import Shape, dense_gradient, leaf

from fedgdl.autograd import Tensor, linear, matmul

torch = pytest.importorskip("torch", reason="torch is not installed: products are not compared with PyTorch's")

# Both sum at most some hundred products of about 1 in float64, in orders of their own: 100 * 2^-52 and to spare.
TOLERANCE = {"rtol": 1e-12, "atol": 1e-12}
ACTIVATIONS = {None: lambda x: x, "relu": torch.relu, "tanh": torch.tanh, "sigmoid": torch.sigmoid}


def counterpart(tensor: Tensor) -> "torch.Tensor":
    """The same values as a leaf of PyTorch's."""
    return torch.tensor(tensor.data, requires_grad=True)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("biased", [True, False])
@pytest.mark.parametrize("shape", [(7,), (1, 7), (0, 7), (20, 7), (4, 5, 7), (2, 3, 4, 7), (2, 1, 3, 4, 7)])
def test_linear(shape: Shape, biased: bool, activation: str | None) -> None:
    ours = [leaf(*size, seed=i) for i, size in enumerate([shape, (7, 6), (6,)])][: 2 + biased]
    theirs = [counterpart(tensor) for tensor in ours]
    y = linear(*ours, activation=activation)
    product = torch.nn.functional.linear(theirs[0], theirs[1].T, theirs[2] if biased else None)  # theirs: (out, in)
    z = ACTIVATIONS[activation](product)
    g = np.random.default_rng(1).normal(size=y.shape)
    y.backward(g)
    z.backward(torch.tensor(g))
    np.testing.assert_allclose(y.data, z.detach().numpy(), **TOLERANCE)
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(dense_gradient(a), b.grad.numpy(), **TOLERANCE)


@pytest.mark.parametrize("shape", [(7,), (1, 7), (20, 7), (4, 5, 7)])
def test_linear_of_a_stack(shape: Shape) -> None:
    ours = [leaf(*size, seed=i) for i, size in enumerate([(3, *shape), (3, 7, 6), (3, 6)])]
    theirs = [counterpart(tensor) for tensor in ours]
    y = linear(*ours, activation="tanh")
    z = torch.tanh(torch.baddbmm(theirs[2][:, None], theirs[0].reshape(3, -1, 7), theirs[1]))
    g = np.random.default_rng(1).normal(size=y.shape)
    y.backward(g)
    z.backward(torch.tensor(g).reshape(z.shape))
    np.testing.assert_allclose(y.data, z.detach().numpy().reshape(y.shape), **TOLERANCE)
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(dense_gradient(a), b.grad.numpy(), **TOLERANCE)


@pytest.mark.parametrize(
    ("a", "b"),
    [((2, 3), (3, 4)), ((5, 2, 3), (5, 3, 4)), ((2, 3), (5, 3, 4)), ((2, 1, 2, 3), (5, 3, 1)), ((0, 3), (3, 2))],
)
def test_matmul(a: Shape, b: Shape) -> None:
    ours = [leaf(*a, seed=1), leaf(*b, seed=2)]
    theirs = [counterpart(tensor) for tensor in ours]
    y, z = matmul(*ours), torch.matmul(*theirs)
    g = np.random.default_rng(1).normal(size=y.shape)
    y.backward(g)
    z.backward(torch.tensor(g))
    np.testing.assert_allclose(y.data, z.detach().numpy(), **TOLERANCE)
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(dense_gradient(one), other.grad.numpy(), **TOLERANCE)
