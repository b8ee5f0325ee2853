"""Convolution and pooling agree with PyTorch, forward and backward; there channels come before rows and columns."""

import numpy as np
import pytest
from tensors import Shape, dense_gradient, leaf

from fedgdl.autograd import Tensor, conv2d, linear, max_pool2d, softmax_cross_entropy

torch = pytest.importorskip("torch", reason="torch is not installed: convolutions are not compared with PyTorch's")

# Sums of at most some thousand products of about 1 in float64, in orders of their own.
TOLERANCE = {"rtol": 1e-11, "atol": 1e-11}
ACTIVATIONS = {None: lambda x: x, "relu": torch.relu, "tanh": torch.tanh, "sigmoid": torch.sigmoid}


def images_there(x: Tensor) -> "torch.Tensor":
    """(N, H, W, C) as (N, C, H, W)."""
    return torch.tensor(x.data.transpose(0, 3, 1, 2).copy(), requires_grad=True)


def kernels_there(weight: Tensor) -> "torch.Tensor":
    """(kh, kw, C, O) as (O, C, kh, kw)."""
    return torch.tensor(weight.data.transpose(3, 2, 0, 1).copy(), requires_grad=True)


def images_here(z: "torch.Tensor") -> np.ndarray:
    """(N, C, H, W) as (N, H, W, C)."""
    return z.detach().numpy().transpose(0, 2, 3, 1)


def kernels_here(z: "torch.Tensor") -> np.ndarray:
    """(O, C, kh, kw) as (kh, kw, C, O)."""
    return z.detach().numpy().transpose(2, 3, 1, 0)


@pytest.mark.parametrize("padding", [0, 1, 2])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize(
    ("images", "kernels"),
    [
        ((2, 8, 9, 1), (3, 3, 1, 4)),
        ((3, 5, 7, 2), (1, 1, 2, 3)),
        ((1, 6, 6, 3), (6, 6, 3, 2)),
        ((2, 8, 9, 16), (3, 3, 16, 4)),
        ((2, 7, 6, 32), (5, 2, 32, 3)),
        ((3, 5, 7, 40), (1, 1, 40, 3)),
        ((2, 8, 9, 16), (3, 3, 16, 8)),
        ((3, 7, 8, 8), (5, 5, 8, 9)),
    ],
)
def test_conv2d(images: Shape, kernels: Shape, stride: int, padding: int) -> None:
    for seed, (name, function) in enumerate(ACTIVATIONS.items()):
        x, weight, bias = leaf(*images, seed=seed), leaf(*kernels, seed=seed + 9), leaf(kernels[-1], seed=seed)
        z, kernel, b = images_there(x), kernels_there(weight), torch.tensor(bias.data, requires_grad=True)
        y = conv2d(x, weight, bias, stride, padding, name)
        theirs = function(torch.nn.functional.conv2d(z, kernel, b, stride, padding))
        g = np.random.default_rng(1).normal(size=y.shape)
        y.backward(g)
        theirs.backward(torch.tensor(g.transpose(0, 3, 1, 2).copy()))
        np.testing.assert_allclose(y.data, images_here(theirs), **TOLERANCE)
        np.testing.assert_allclose(dense_gradient(x), images_here(z.grad), **TOLERANCE)
        np.testing.assert_allclose(dense_gradient(weight), kernels_here(kernel.grad), **TOLERANCE)
        np.testing.assert_allclose(dense_gradient(bias), b.grad.numpy(), **TOLERANCE)


@pytest.mark.parametrize("ties", [True, False])
@pytest.mark.parametrize(("kernel_size", "stride"), [(2, None), (3, None), (3, 1), (3, 2), (2, 3), (1, None), (1, 2)])
def test_max_pool2d(kernel_size: int, stride: int | None, ties: bool) -> None:
    rng = np.random.default_rng(2)
    data = rng.integers(0, 3, (2, 8, 9, 3)).astype("float64") if ties else rng.normal(size=(2, 8, 9, 3))
    x = Tensor(data, requires_grad=True)
    z = images_there(x)
    y = max_pool2d(x, kernel_size, stride)
    theirs = torch.nn.functional.max_pool2d(z, kernel_size, stride)
    np.testing.assert_array_equal(y.data, images_here(theirs))
    g = rng.integers(-9, 10, y.shape).astype("float64")  # whole numbers add up to the same in any order
    y.backward(g)
    theirs.backward(torch.tensor(g.transpose(0, 3, 1, 2).copy()))
    np.testing.assert_array_equal(x.grad, images_here(z.grad))


def test_a_network() -> None:
    x = np.random.default_rng(3).normal(size=(4, 12, 12, 1))
    ids = np.array([0, 3, 1, 3])
    shapes = [(3, 3, 1, 8), (8,), (3, 3, 8, 12), (12,), (3 * 3 * 12, 5), (5,)]
    ours = [leaf(*shape, seed=seed) for seed, shape in enumerate(shapes)]
    first, first_bias, second, second_bias, last, last_bias = ours
    hidden = max_pool2d(conv2d(x, first, first_bias, padding=1, activation="relu"), 2)
    hidden = max_pool2d(conv2d(hidden, second, second_bias, padding=1, activation="tanh"), 2)
    loss = softmax_cross_entropy(linear(hidden.reshape(4, -1), last, last_bias), ids)
    loss.backward()

    theirs = [
        kernels_there(tensor) if tensor.ndim == 4 else torch.tensor(tensor.data, requires_grad=True) for tensor in ours
    ]
    functional = torch.nn.functional
    z = torch.relu(functional.conv2d(torch.tensor(x.transpose(0, 3, 1, 2).copy()), theirs[0], theirs[1], padding=1))
    z = functional.max_pool2d(z, 2)
    z = functional.max_pool2d(torch.tanh(functional.conv2d(z, theirs[2], theirs[3], padding=1)), 2)
    z = z.permute(0, 2, 3, 1).reshape(4, -1) @ theirs[4] + theirs[5]
    other = functional.cross_entropy(z, torch.tensor(ids))
    other.backward()
    np.testing.assert_allclose(loss.item(), other.item(), rtol=1e-12)
    for tensor, counterpart in zip(ours, theirs, strict=True):
        gradient = kernels_here(counterpart.grad) if tensor.ndim == 4 else counterpart.grad.numpy()
        np.testing.assert_allclose(dense_gradient(tensor), gradient, **TOLERANCE)
