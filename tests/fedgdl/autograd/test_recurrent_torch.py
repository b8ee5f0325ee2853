"""The same windows and gradients as PyTorch's RNN and LSTM, in float64."""

import numpy as np
import pytest
from tensors import dense_gradient, leaf, parameter

from fedgdl.autograd.product import linear
from fedgdl.autograd.recurrent import lstm, rnn

torch = pytest.importorskip("torch", reason="torch is not installed: nothing to compare with")

# Steps, sequences, inputs, units.
SIZES = [(1, 1, 2, 3), (25, 4, 3, 5), (16, 1, 2, 130)]


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("kind", ["tanh", "relu", "lstm"])
def test_results_and_gradients(size: tuple[int, int, int, int], kind: str) -> None:
    steps, sequences, inputs, units = size
    gates = 4 * units if kind == "lstm" else units
    rng = np.random.default_rng(1)
    x, bias = leaf(steps, sequences, inputs), parameter(gates, seed=1)
    weights = [parameter(inputs, gates, seed=2), parameter(units, gates, seed=3)]
    for weight in weights:
        weight.data /= units**0.5
    starts = [leaf(sequences, units, seed=seed) for seed in (4, 5)][: 2 if kind == "lstm" else 1]
    g_states, g_last = rng.normal(size=(steps, sequences, units)), rng.normal(size=(sequences, units))

    projected = linear(x, weights[0], bias)
    if kind == "lstm":
        states, last = lstm(projected, *starts, weights[1])
    else:
        states = rnn(projected, *starts, weights[1], kind)  # type: ignore[arg-type]
        last = states[-1]
    ((states * g_states).sum() + (last * g_last).sum()).backward()

    network = torch.nn.LSTM(inputs, units) if kind == "lstm" else torch.nn.RNN(inputs, units, nonlinearity=kind)
    network.double()
    with torch.no_grad():
        network.weight_ih_l0.copy_(torch.from_numpy(weights[0].data.T))
        network.weight_hh_l0.copy_(torch.from_numpy(weights[1].data.T))
        network.bias_ih_l0.copy_(torch.from_numpy(bias.data))
        network.bias_hh_l0.zero_()
    their_x, *their_starts = (torch.from_numpy(t.data.copy()).requires_grad_() for t in (x, *starts))
    if kind == "lstm":
        first = tuple(start[None] for start in their_starts)
        their_states, (_, their_cell) = network(their_x, first)
        their_last = their_cell[0]
    else:
        their_states, their_hidden = network(their_x, their_starts[0][None])
        their_last = their_hidden[0]
    ((their_states * torch.from_numpy(g_states)).sum() + (their_last * torch.from_numpy(g_last)).sum()).backward()

    np.testing.assert_allclose(states.data, their_states.detach().numpy(), rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(last.data, their_last.detach().numpy(), rtol=1e-10, atol=1e-12)
    pairs = [
        (dense_gradient(weights[0]).T, network.weight_ih_l0.grad),
        (dense_gradient(weights[1]).T, network.weight_hh_l0.grad),
        (dense_gradient(bias), network.bias_ih_l0.grad),
        (dense_gradient(x), their_x.grad),
        *((dense_gradient(start), their_start.grad) for start, their_start in zip(starts, their_starts, strict=True)),
    ]
    for ours, theirs in pairs:
        np.testing.assert_allclose(ours, theirs.numpy(), rtol=1e-9, atol=1e-10)
