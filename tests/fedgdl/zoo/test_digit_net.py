"""The net of chapters 8 and 9 beside the same training by plain NumPy, with every slope written out."""

import itertools

import numpy as np
import pytest
from digit_runs import drawn_rows, shares_of

from fedgdl.zoo.book_digits import Rows, book_stream
from fedgdl.zoo.digit_net import DigitNet, Plan, cross_entropy, score, squared_distance, train

HIDDEN = 30


def trained_by_hand(
    digits: Rows, *, batch_size: int, alpha: float, has_dropout: bool, is_softmax: bool
) -> tuple[list[tuple[float, float]], np.ndarray, np.ndarray]:
    """Trains for two epochs: errors and accuracies of both, and the weights afterwards."""
    random = np.random.RandomState(1)
    bound = 0.01 if is_softmax else 0.1
    first = 2 * bound * random.random_sample((784, HIDDEN)) - bound
    second = 0.2 * random.random_sample((HIDDEN, 10)) - 0.1
    scores = []
    for _ in range(2):
        error, num_right = 0.0, 0
        for start in range(0, len(digits), batch_size):
            rows = digits[start : start + batch_size]
            hidden = rows.pixels @ first
            hidden = np.tanh(hidden) if is_softmax else np.where(hidden > 0, hidden, 0)
            slope = 1 - hidden**2 if is_softmax else (hidden > 0) * 1.0
            if has_dropout:
                mask = 2 * random.randint(2, size=hidden.shape)
                hidden, slope = hidden * mask, slope * mask
            outputs = hidden @ second
            if is_softmax:
                outputs = shares_of(outputs)
                error -= np.log((outputs * rows.one_hot).sum(axis=1)).sum()
            else:
                error += ((rows.one_hot - outputs) ** 2).sum()
            num_right += (outputs.argmax(axis=1) == rows.labels).sum()
            delta = (rows.one_hot - outputs) / len(rows)
            hidden_delta = (delta @ second.T) * slope
            second = second + alpha * hidden.T @ delta
            first = first + alpha * rows.pixels.T @ hidden_delta
        scores.append((error / len(digits), num_right / len(digits)))
    return scores, first, second


@pytest.mark.parametrize(
    ("batch_size", "has_dropout", "is_softmax"), [*itertools.product([1, 30], [False, True], [False, True])]
)
def test_training_beside_plain_numpy(batch_size: int, has_dropout: bool, is_softmax: bool) -> None:
    digits = drawn_rows(100)  # the last of the batches of 30 is ragged
    scores, first, second = trained_by_hand(
        digits, batch_size=batch_size, alpha=0.01, has_dropout=has_dropout, is_softmax=is_softmax
    )
    stream = book_stream()
    net = DigitNet(stream, HIDDEN, bound=0.01 if is_softmax else 0.1, activation="tanh" if is_softmax else "relu")
    net.flatten()
    plan = Plan(
        epochs=2,
        batch_size=batch_size,
        learning_rate=0.01 if is_softmax else 0.005,  # the book's step is half of the gradient of the squared error
        loss=cross_entropy if is_softmax else squared_distance,
        has_dropout=has_dropout,
    )
    trained = list(train(net, stream, digits, plan, "test"))
    assert [value.error for value in trained] == pytest.approx([error for error, _ in scores], rel=1e-11)
    assert [value.accuracy for value in trained] == [accuracy for _, accuracy in scores]
    np.testing.assert_allclose(net.hidden.data, first, rtol=1e-9, atol=1e-13)
    np.testing.assert_allclose(net.output.data, second, rtol=1e-9, atol=1e-13)


def test_a_score_leaves_no_unit_out() -> None:
    digits = drawn_rows(1_200)  # more than are scored at once
    net = DigitNet(book_stream(), HIDDEN, bound=0.1, activation="relu")
    outputs = np.maximum(digits.pixels @ net.hidden.data, 0) @ net.output.data
    scored = score(net, digits, squared_distance)
    assert scored.error == pytest.approx(((digits.one_hot - outputs) ** 2).sum() / 1_200, rel=1e-12)
    assert scored.accuracy == (outputs.argmax(axis=1) == digits.labels).mean()
