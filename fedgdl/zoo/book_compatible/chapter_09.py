"""Chapter 9 as printed: tanh, dropout and softmax with the book's wrong gradients.

Repeated on purpose, each marked where it is: tanh's slope is taken from its output after dropout's factor of 2, so
that it can be negative, and the factor is missing on the way back (B2); softmax without taking the largest away (B9).
The book also divides by the batch size twice.

Not for any use but to see the published numbers come about; `fedgdl.zoo.chapter_09` does it right.

Source:
    A. W. Trask, "Grokking Deep Learning", Manning 2019, chapter 9, companion notebook.

Example:
    >>> printed_softmax(np.array([[0.0, 0.0]]))
    array([[0.5, 0.5]])
"""

from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from fedgdl.progress import watched
from fedgdl.zoo.book_digits import CLASSES, PIXELS, Rows, book_stream, even, load_book_digits
from fedgdl.zoo.course import Course, Score, expect_course
from fedgdl.zoo.recipe import Expected, Outcome, Recipe, Setting, at_least

__all__ = ["RECIPES", "mean_loss", "printed_softmax"]

_Array: TypeAlias = npt.NDArray[np.float64]

_EPOCHS: Final = 300
_QUICK_EPOCHS: Final = (0, 10)
_HIDDEN: Final = 100
_BATCH_SIZE: Final = 100
_ALPHA: Final = 2


def printed_softmax(logits: _Array) -> _Array:
    """(n, C) -> (n, C): shares of each row; not a number where a logit is 1,000 (B9)."""
    powers = np.exp(logits)
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def mean_loss(shares: _Array, labels: npt.NDArray[np.int64]) -> float:
    """Returns the mean cross-entropy, which the book does not print; for the curves."""
    return float(-np.log(shares[np.arange(len(labels)), labels]).mean())


def _train(first: _Array, second: _Array, digits: Rows, stream: np.random.RandomState) -> Score:
    """Takes a step for each batch, in file order; changes both layers' weights."""
    shares = np.empty((len(digits), CLASSES))
    for start in range(0, len(digits), _BATCH_SIZE):
        batch = slice(start, start + _BATCH_SIZE)
        pixels = digits.pixels[batch]
        hidden = np.tanh(pixels @ first)
        mask = stream.randint(2, size=hidden.shape)
        hidden *= mask * 2
        shares[batch] = printed_softmax(hidden @ second)
        delta = (digits.one_hot[batch] - shares[batch]) / (len(pixels) * len(pixels))  # the batch size twice
        hidden_delta = (delta @ second.T) * (1 - hidden**2)  # B2: of the output after dropout
        hidden_delta *= mask  # B2: the 2 of the way forward is missing
        second += _ALPHA * (hidden.T @ delta)
        first += _ALPHA * (pixels.T @ hidden_delta)
    return _score(shares, digits)


def _score(shares: _Array, digits: Rows) -> Score:
    num_right = np.count_nonzero(shares.argmax(axis=1) == digits.labels)
    return Score(mean_loss(shares, digits.labels), num_right / len(digits))


def _softmax_mnist(setting: Setting) -> Outcome:
    digits, stream, course = load_book_digits(setting), book_stream(), Course()
    first, second = even(stream, (PIXELS, _HIDDEN), 0.01), even(stream, (_HIDDEN, CLASSES), 0.1)
    num_epochs = _QUICK_EPOCHS[-1] + 1 if setting.is_quick else _EPOCHS
    for epoch in watched(range(num_epochs), "ch09-softmax-mnist-as-printed"):
        course.train[epoch] = _train(first, second, digits.train, stream)
        if epoch % 10 == 0:  # as the book prints
            course.test[epoch] = _score(printed_softmax(np.tanh(digits.test.pixels @ first) @ second), digits.test)
    return Outcome(
        course.measured(),
        {
            "errors": course.errors("Errors by epoch, as printed", "cross-entropy a digit"),
            "accuracies": course.accuracies("Accuracies by epoch, as printed"),
        },
        data=digits.description,
        is_synthetic=digits.is_synthetic,
    )


RECIPES: Final = (
    Recipe(
        name="ch09-softmax-mnist-as-printed",
        chapter=9,
        section="Upgrading the MNIST network",
        summary="The book's tanh and softmax: slopes may be negative, and still it learns.",
        model="784-100-10, tanh (slope after dropout), dropout 0.5 (scaled forward alone), softmax, no bias",
        data="mnist: the first 1,000 training digits, all 10,000 test digits",
        settings={
            "seed": "1",
            "alpha": "2, divided by 100 once too often",
            "batch": "100",
            "dropout": "0.5",
            "epochs": "300 (quick: 11)",
        },
        published="test / train accuracy: 0: 0.394 / 0.156; 100: 0.8407 / 0.883; best 0.8703 / 0.951 at 270",
        defects=("B2", "B9"),
        is_book_compatible=True,
        source="mnist",
        seconds=(0.5, 5.0),
        run=_softmax_mnist,
        expected=(
            *expect_course(
                {
                    0: (None, 0.156, None, 0.394),
                    10: (None, 0.723, None, 0.6867),
                    50: (None, 0.819, None, 0.7913),
                    100: (None, 0.883, None, 0.8407),
                    200: (None, 0.926, None, 0.8642),
                    270: (None, 0.951, None, 0.8703),
                    290: (None, 0.94, None, 0.8701),
                },
                origin="book",
                quick=_QUICK_EPOCHS,
            ),
            Expected("best test accuracy", 0.6, at_least, "goal"),
        ),
    ),
)
