"""The steps of a window on arrays: one client's bits in any stack, inputs far out, gradients that come by one door."""

import numpy as np
import numpy.typing as npt
import pytest

from fedgdl.autograd.activation import ActivationName
from fedgdl.autograd.windows import LSTMWindow, run_rnn, run_rnn_back, start_gradient

Array = npt.NDArray[np.float32]

ACTIVATIONS: list[ActivationName] = ["tanh", "sigmoid", "relu"]
# Steps, sequences, units: sides of 1 and 0, odd ones, and such that BLAS has kernels of their own for.
SIZES = [(3, 1, 5), (3, 5, 1), (2, 1, 1), (2, 0, 3), (5, 100, 16), (4, 33, 17), (2, 2, 127), (2, 3, 130)]


def normal(*shape: int, seed: int) -> Array:
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_rnn_of_a_stack_has_the_bits_of_each_client_alone(
    activation: ActivationName, size: tuple[int, int, int]
) -> None:
    steps, sequences, units = size
    x, h = normal(3, steps, sequences, units, seed=1), normal(3, sequences, units, seed=2)
    vectors = normal(3, units * units + 5, seed=3) / np.float32(units**0.5)
    w = vectors[:, 2:-3].reshape(3, units, units)  # as in a model's vector: strided over the clients
    g, g_last = normal(3, steps, sequences, units, seed=4), normal(3, sequences, units, seed=5)
    states = run_rnn(x, h, w, activation)
    dz = run_rnn_back(states, w, activation, g, g_last)
    dh = start_gradient(w, dz, h.shape, g_last)
    for client in range(3):
        own_w = w[client].copy()
        own = run_rnn(x[client].copy(), h[client].copy(), own_w, activation)
        own_dz = run_rnn_back(own, own_w, activation, g[client].copy(), g_last[client].copy())
        np.testing.assert_array_equal(states[client], own)
        np.testing.assert_array_equal(dz[client], own_dz)
        np.testing.assert_array_equal(dh[client], start_gradient(own_w, own_dz, h[client].shape, g_last[client]))


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_lstm_of_a_stack_has_the_bits_of_each_client_alone(size: tuple[int, int, int]) -> None:
    steps, sequences, units = size
    x, h, c = (normal(2, steps, sequences, 4 * units, seed=1), *normal(2, 2, sequences, units, seed=2))
    w, g = normal(2, units, 4 * units, seed=3) / np.float32(units**0.5), normal(2, steps, sequences, units, seed=4)
    window = LSTMWindow(x, h, c, w)
    dz, dc = window.run_back(g, None)
    for client in range(2):
        own = LSTMWindow(*(array[client].copy() for array in (x, h, c, w)))
        own_dz, own_dc = own.run_back(g[client].copy(), None)
        pairs = [(window.states, own.states), (window.cells, own.cells), (dz, own_dz), (dc, own_dc)]
        for ours, theirs in pairs:
            np.testing.assert_array_equal(ours[client], theirs)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("num_clients", [None, 2])
def test_a_gradient_of_the_last_state_is_one_of_all_states_that_is_zero_elsewhere(
    num_clients: int | None, activation: ActivationName
) -> None:
    stacked = () if num_clients is None else (num_clients,)
    w = normal(*stacked, 4, 4, seed=1)
    states = run_rnn(normal(*stacked, 5, 3, 4, seed=2), normal(*stacked, 3, 4, seed=3), w, activation)
    g_last = normal(*stacked, 3, 4, seed=4)
    g = np.zeros((*stacked, 5, 3, 4), "float32")
    g[..., -1, :, :] = g_last
    alone = run_rnn_back(states, w, activation, None, g_last)
    np.testing.assert_array_equal(alone, run_rnn_back(states, w, activation, g, None))
    both = run_rnn_back(states, w, activation, g, g_last)
    np.testing.assert_array_equal(both, run_rnn_back(states, w, activation, 2 * g, None))


def test_without_steps_the_last_state_is_the_first() -> None:
    h, w = normal(2, 3, seed=1), normal(3, 3, seed=2)
    states = run_rnn(np.empty((0, 2, 3), "float32"), h, w, "tanh")
    np.testing.assert_array_equal(states, h[np.newaxis])
    dz = run_rnn_back(states, w, "tanh", None, h)
    assert dz.shape == (0, 2, 3)
    np.testing.assert_array_equal(start_gradient(w, dz, h.shape, h), h)
    np.testing.assert_array_equal(start_gradient(w, dz, h.shape, None), np.zeros((2, 3)))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_sigmoid_far_out_neither_overflows_nor_stops(dtype: str) -> None:
    x = np.array([[[-1e4], [0.0], [1e4]]], dtype)
    states = run_rnn(x, np.zeros((3, 1), dtype), np.ones((1, 1), dtype), "sigmoid")
    np.testing.assert_array_equal(states[1].ravel(), [0, 0.5, 1])
    dz = run_rnn_back(states, np.ones((1, 1), dtype), "sigmoid", None, np.ones((3, 1), dtype))
    np.testing.assert_array_equal(dz.ravel(), [0, 0.25, 0])
