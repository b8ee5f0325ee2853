import itertools
import math

import numpy as np
import pytest
from training import assert_stack_trains_as_alone, zeroed

from fedgdl.autograd import softmax_cross_entropy
from fedgdl.errors import GraphError, ParameterError
from fedgdl.models import DigitsCnn, DigitsMlp
from fedgdl.nn import Module
from fedgdl.parameters import DType

RNG = np.random.default_rng(1)


def dense_size(*sizes: int) -> int:
    """Weights and biases of dense layers from each size to the next."""
    return sum((inputs + 1) * outputs for inputs, outputs in itertools.pairwise(sizes))


def test_the_default_sizes_are_those_of_the_paper() -> None:
    assert DigitsMlp(rng=RNG).flatten().layout.size == 199_210 == dense_size(784, 200, 200, 10)
    convolutions = (5 * 5 * 1 + 1) * 32 + (5 * 5 * 32 + 1) * 64
    size = DigitsCnn(rng=RNG).flatten().layout.size
    assert size == 1_663_370 == convolutions + dense_size(7 * 7 * 64, 512, 10)


def test_sizes_are_taken_from_the_first_to_the_last() -> None:
    assert DigitsMlp((), rng=RNG).flatten().layout.size == dense_size(784, 10)
    assert DigitsMlp((30, 20, 7), rng=RNG).flatten().layout.size == dense_size(784, 30, 20, 7, 10)
    convolutions = (5 * 5 * 1 + 1) * 4 + (5 * 5 * 4 + 1) * 6
    assert DigitsCnn((4, 6), rng=RNG).flatten().layout.size == convolutions + dense_size(7 * 7 * 6, 10)
    assert DigitsCnn((4, 6, 9), rng=RNG).flatten().layout.size == convolutions + dense_size(7 * 7 * 6, 9, 10)


@pytest.mark.parametrize("model", [DigitsMlp((8,), rng=RNG), DigitsCnn((2, 3, 8), rng=RNG)])
def test_a_model_of_zeros_takes_every_digit_for_equally_likely(model: Module) -> None:
    scores = zeroed(model)(RNG.random((6, 28, 28), "float32"))
    assert scores.shape == (6, 10)
    assert float(softmax_cross_entropy(scores, np.arange(6)).data) == pytest.approx(math.log(10), rel=1e-6)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_hidden_layers_keep_the_scale_of_what_they_are_given(dtype: DType) -> None:
    """He: weights of variance 2 / inputs give values z of E[z^2] = 2 for inputs of E[x^2] = 1, and rectified ones of 1.

    200 units of 500 images: the mean of their squares is off by less than a fifth, many standard deviations.
    """
    model = DigitsMlp((200, 200), rng=np.random.default_rng(2), dtype=dtype)
    images = np.random.default_rng(3).normal(size=(500, 28, 28)).astype(dtype)
    for depth in (2, 4):  # of Flatten, Linear, ReLU, Linear: up to and with the first or the second Linear
        values = model[:depth](images).data
        assert values.dtype == dtype
        assert np.mean(values**2) == pytest.approx(2, rel=0.2)


def test_the_first_convolution_sees_the_border_as_zeros() -> None:
    """SAME padding: a kernel with a single 1 in its middle gives the image itself."""
    model = DigitsCnn((1, 1), rng=RNG)
    parameters = model.flatten()
    parameters.load(np.zeros_like(parameters.vector))
    parameters["features.0.weight"][2, 2, 0, 0] = 1
    parameters["features.3.weight"][2, 2, 0, 0] = 1
    images = RNG.random((2, 28, 28), "float32")
    pooled = images.reshape(2, 7, 4, 7, 4).max((2, 4))  # twice the greatest of 2 x 2
    np.testing.assert_array_equal(model.features(images[..., np.newaxis]).data, pooled.reshape(2, 49))


@pytest.mark.parametrize("model", [DigitsMlp((6, 5), 0.3, rng=RNG), DigitsCnn((2, 3, 5), 0.3, rng=RNG)])
def test_clients_trained_at_once_are_those_trained_alone(model: Module) -> None:
    images = RNG.random((3, 2, 4, 28, 28), "float32")
    labels = RNG.integers(0, 10, (3, 2, 4))
    assert_stack_trains_as_alone(model, images, labels)


def test_the_same_stream_gives_the_same_model_and_another_one_another() -> None:
    first, again, other = (DigitsCnn((2, 3), rng=np.random.default_rng(seed)).flatten().vector for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ParameterError, match=r"two of channels.*got \(5,\)"):
        DigitsCnn((5,), rng=RNG)
    with pytest.raises(ParameterError, match="dropout"):
        DigitsMlp((5,), 1.5, rng=RNG)
    with pytest.raises(GraphError):
        DigitsMlp((5,), rng=RNG)(np.zeros((2, 27, 28), "float32"))
    with pytest.raises(GraphError):
        DigitsCnn((2, 2), rng=RNG)(np.zeros((2, 27, 28), "float64"))
