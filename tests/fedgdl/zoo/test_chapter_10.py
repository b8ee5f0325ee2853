"""Chapter 10: the convolution beside the same one by plain NumPy, and both nets on digits."""

from pathlib import Path

import numpy as np
import pytest
from digit_runs import drawn_rows, shares_of
from zoo_recipes import missed, run_recipe

from fedgdl.zoo.book_digits import Rows, book_stream
from fedgdl.zoo.chapter_10 import PLAN, BookConvolution
from fedgdl.zoo.digit_net import cross_entropy, score, train
from fedgdl.zoo.pictures import Images
from fedgdl.zoo.registry import find_recipe


def windows(pixels: np.ndarray) -> np.ndarray:
    """(n, 784) -> (n, 676, 9), place by place."""
    images = pixels.reshape(-1, 28, 28)
    places = [images[:, row : row + 3, column : column + 3] for row in range(26) for column in range(26)]
    return np.stack(places, axis=1).reshape(len(images), 676, 9)


def trained_by_hand(digits: Rows) -> tuple[float, float, np.ndarray, np.ndarray]:
    """Trains for an epoch in batches of 128: error, accuracy, and the weights afterwards."""
    random = np.random.RandomState(1)
    kernels = 4.0 * random.random_sample((9, 16)) - 2.0
    dense = 0.02 * random.random_sample((10816, 10)) - 0.01
    error, num_right = 0.0, 0
    for start in range(0, len(digits), 128):
        rows = digits[start : start + 128]
        sections = windows(rows.pixels)
        values = np.tanh(sections @ kernels)
        mask = 2 * random.randint(2, size=(len(rows), 10816)).reshape(values.shape)
        hidden = (values * mask).reshape(len(rows), -1)
        shares = shares_of(hidden @ dense)
        error -= np.log((shares * rows.one_hot).sum(axis=1)).sum()
        num_right += (shares.argmax(axis=1) == rows.labels).sum()
        delta = (shares - rows.one_hot) / len(rows)
        hidden_delta = (delta @ dense.T).reshape(values.shape) * mask * (1 - values**2)
        dense = dense - 0.03 * hidden.T @ delta
        kernels = kernels - 0.03 * np.einsum("npi,npk->ik", sections, hidden_delta)
    return error / len(digits), num_right / len(digits), kernels, dense


def test_training_beside_plain_numpy() -> None:
    digits, stream = drawn_rows(150), book_stream()  # a whole batch and a ragged one
    net = BookConvolution(stream)
    net.flatten()
    trained = next(train(net, stream, digits, PLAN, "test"))
    error, accuracy, kernels, dense = trained_by_hand(digits)
    assert trained.error == pytest.approx(error, rel=1e-11)
    assert trained.accuracy == accuracy
    np.testing.assert_allclose(net.kernels.data.reshape(9, 16), kernels, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(net.dense.data, dense, rtol=1e-9, atol=1e-12)
    shares = shares_of(np.tanh(windows(digits.pixels) @ kernels).reshape(150, -1) @ dense)
    scored = score(net, digits, cross_entropy)
    assert scored.error == pytest.approx(-np.log((shares * digits.one_hot).sum(axis=1)).mean(), rel=1e-9)
    assert scored.accuracy == (shares.argmax(axis=1) == digits.labels).mean()


@pytest.mark.parametrize("name", [pytest.param("ch10-convolution", marks=pytest.mark.slow), "ch10-mnist-cnn"])
def test_generated_digits(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FEDGDL_DATA", raising=False)
    rows, outcome = run_recipe(find_recipe(name))
    assert missed(rows) == []
    kernels = outcome.pictures["kernels"]
    assert isinstance(kernels, Images)
    assert len(kernels.images) == 16


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ch10-convolution", "ch10-mnist-cnn"])
def test_real_digits(name: str, real_data: Path) -> None:
    rows, outcome = run_recipe(find_recipe(name), data=real_data)
    assert missed(rows) == []
    assert not outcome.is_synthetic
