"""The same embeddings, bags and gradients as PyTorch, in float64."""

import numpy as np
import pytest
from tensors import dense_gradient, parameter

from fedgdl.autograd import embedding_bag
from fedgdl.autograd.embedding import embedding, embedding_linear

torch = pytest.importorskip("torch", reason="torch is not installed: nothing to compare with")

RNG = np.random.default_rng(1)
IDS = RNG.integers(0, 40, (25, 8))
OFFSETS = np.array([0, 0, 50, 51, 120, 120, 200])


@pytest.mark.parametrize("mode", ["sum", "mean"])
def test_embedding_bag(mode: str) -> None:
    table, gradient = parameter(40, 30), RNG.normal(size=(6, 30))
    y = embedding_bag(table, IDS.reshape(-1), OFFSETS, mode)  # type: ignore[arg-type]
    y.backward(gradient)
    weight = torch.from_numpy(table.data.copy()).requires_grad_()
    expected = torch.nn.functional.embedding_bag(
        torch.from_numpy(IDS.reshape(-1)), weight, torch.from_numpy(OFFSETS[:-1].copy()), mode=mode
    )
    expected.backward(torch.from_numpy(gradient))
    np.testing.assert_allclose(y.data, expected.detach().numpy(), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(dense_gradient(table), weight.grad.numpy(), rtol=1e-12, atol=1e-12)


def test_embedding_and_embedding_linear() -> None:
    table, weight, bias = parameter(40, 30), parameter(30, 20, seed=1), parameter(20, seed=2)
    g_rows, g_product = RNG.normal(size=(25, 8, 30)), RNG.normal(size=(25, 8, 20))
    rows, product = embedding(table, IDS), embedding_linear(table, IDS, weight, bias)
    rows.backward(g_rows)
    product.backward(g_product)
    t, w, b = (torch.from_numpy(parameter.data.copy()).requires_grad_() for parameter in (table, weight, bias))
    expected_rows = torch.nn.functional.embedding(torch.from_numpy(IDS), t)
    expected_product = expected_rows @ w + b
    torch.autograd.backward([expected_rows, expected_product], [torch.from_numpy(g_rows), torch.from_numpy(g_product)])
    np.testing.assert_array_equal(rows.data, expected_rows.detach().numpy())
    np.testing.assert_allclose(product.data, expected_product.detach().numpy(), rtol=1e-12, atol=1e-12)
    for ours, theirs in ((table, t), (weight, w), (bias, b)):
        np.testing.assert_allclose(dense_gradient(ours), theirs.grad.numpy(), rtol=1e-11, atol=1e-11)
