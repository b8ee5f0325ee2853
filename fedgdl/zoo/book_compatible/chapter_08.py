"""Chapter 8 as printed: overfitting, dropout and batches with the book's wrong gradients.

Three defects are repeated on purpose, each marked where it is: the rectifier's slope is always 1 (B1), dropout
scales forward but not backward (B2), and each batch moves the weights a hundred times (B3).

Not for any use but to see the published numbers come about; `fedgdl.zoo.chapter_08` does it right.

Source:
    A. W. Trask, "Grokking Deep Learning", Manning 2019, chapter 8, companion notebook.

Example:
    >>> net = PrintedNet.drawn(book_stream(), 40)
    >>> net.first[0, :3].round(7)
    array([-0.0165956,  0.0440649, -0.0999771])
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Self, TypeAlias

import numpy as np
import numpy.typing as npt

from fedgdl.progress import watched
from fedgdl.zoo.book_digits import CLASSES, PIXELS, Rows, book_stream, even, load_book_digits
from fedgdl.zoo.course import Course, Score, Table, expect_course
from fedgdl.zoo.recipe import Expected, Outcome, Recipe, Setting, at_least, equal, exactly, printed

__all__ = ["RECIPES", "PrintedNet", "train_on_batches", "train_on_rows"]

_Array: TypeAlias = npt.NDArray[np.float64]
_Stream: TypeAlias = np.random.RandomState

_ALPHA: Final = 0.005
_BATCH_ALPHA: Final = 0.001
_BATCH_SIZE: Final = 100
_QUICK_EPOCHS: Final = (0, 10, 20)


@dataclass(slots=True)
class PrintedNet:
    """The book's net: 784 pixels, a hidden layer with ReLU, 10 linear outputs.

    Attributes:
        first: (784, hidden) weights.
        second: (hidden, 10) weights.
    """

    first: _Array
    second: _Array

    @classmethod
    def drawn(cls, stream: _Stream, hidden: int) -> Self:
        """Returns a net at its start."""
        return cls(even(stream, (PIXELS, hidden), 0.1), even(stream, (hidden, CLASSES), 0.1))

    def score(self, digits: Rows) -> Score:
        """Returns how well the net does on digits, without dropout."""
        outputs = np.maximum(digits.pixels @ self.first, 0) @ self.second
        return _score(((digits.one_hot - outputs) ** 2).sum(), outputs, digits)


def _score(error: float, outputs: _Array, digits: Rows) -> Score:
    num_right = np.count_nonzero(outputs.argmax(axis=1) == digits.labels)
    return Score(float(error) / len(digits), num_right / len(digits))


def train_on_rows(net: PrintedNet, digits: Rows, stream: _Stream | None) -> Score:
    """Takes a step for each digit, in file order.

    Blank pixels add nothing to a sum and change no weight, so they are left out.

    Args:
        net: is changed.
        digits: to train on.
        stream: of dropout; none for no dropout.
    """
    error, outputs = 0.0, np.empty((len(digits), CLASSES))
    for index, row in enumerate(digits.pixels):
        inked = row.nonzero()[0]
        ink, weights = row[inked], net.first[inked]
        hidden = np.maximum(ink @ weights, 0)
        mask = np.ones(len(hidden)) if stream is None else stream.randint(2, size=len(hidden))
        if stream is not None:
            hidden *= mask * 2
        outputs[index] = hidden @ net.second
        delta = digits.one_hot[index] - outputs[index]
        error += delta @ delta
        hidden_delta = (
            net.second @ delta
        )  # B1: the slope of ReLU, 0 or 1, is missing: `>= 0` is true of all its outputs
        hidden_delta *= mask  # B2: the 2 of the way forward is missing
        net.second += _ALPHA * np.outer(hidden, delta)
        weights += _ALPHA * np.outer(ink, hidden_delta)
        net.first[inked] = weights
    return _score(error, outputs, digits)


def train_on_batches(net: PrintedNet, digits: Rows, stream: _Stream | None) -> Score:
    """Takes a hundred steps for each batch of 100 digits, in file order.

    All hundred steps (B3) use the outputs and hidden units from before the first. So each adds the same matrix G
    to the second layer's weights W, step k of 0 to 99 sends the error back through W + k G, and the steps' sum is
    one through 100 W + (0 + 1 + ... + 99) G.

    Args:
        net: is changed.
        digits: to train on.
        stream: of dropout; none for no dropout.
    """
    error, outputs = 0.0, np.empty((len(digits), CLASSES))
    for start in range(0, len(digits), _BATCH_SIZE):
        batch = slice(start, start + _BATCH_SIZE)
        pixels = digits.pixels[batch]
        hidden = np.maximum(pixels @ net.first, 0)
        mask = np.ones(hidden.shape) if stream is None else stream.randint(2, size=hidden.shape)
        if stream is not None:
            hidden *= mask * 2
        outputs[batch] = hidden @ net.second
        difference = digits.one_hot[batch] - outputs[batch]
        error += (difference**2).sum()
        delta = difference / len(pixels)
        step, num_steps = _BATCH_ALPHA * (hidden.T @ delta), len(pixels)
        sent_back = num_steps * net.second + (num_steps * (num_steps - 1) // 2) * step  # B3
        hidden_delta = (delta @ sent_back.T) * mask  # B1 and B2, as above
        net.second += num_steps * step  # B3
        net.first += _BATCH_ALPHA * (pixels.T @ hidden_delta)
    return _score(error, outputs, digits)


_Training: TypeAlias = Callable[[PrintedNet, Rows, _Stream | None], Score]


def _run(setting: Setting, name: str, *, hidden: int, epochs: int, training: _Training, has_dropout: bool) -> Outcome:
    digits, stream = load_book_digits(setting), book_stream()
    net, course = PrintedNet.drawn(stream, hidden), Course()
    first_weights = net.first[0, :3].tolist()
    first_error = float(net.score(digits.train[:1]).error)
    for epoch in watched(range(_QUICK_EPOCHS[-1] + 1 if setting.is_quick else epochs), name):
        course.train[epoch] = training(net, digits.train, stream if has_dropout else None)
        if epoch % 10 == 0 or epoch == epochs - 1:  # as the book prints
            course.test[epoch] = net.score(digits.test)
    return Outcome(
        {
            **course.measured(),
            "sum of the training pixels": float(digits.train.pixels.sum()),
            "sum of the test pixels": float(digits.test.pixels.sum()),
            "first three weights": tuple(first_weights),
            "error of the first digit at the start": first_error,
            "both errors after epoch 0, in full": (course.train[0].error, course.test[0].error),
        },
        {
            "errors": course.errors("Errors by epoch, as printed", "squared error a digit"),
            "accuracies": course.accuracies("Accuracies by epoch, as printed"),
        },
        data=digits.description,
        is_synthetic=digits.is_synthetic,
    )


def _overfitting(setting: Setting) -> Outcome:
    return _run(
        setting, "ch08-overfitting-as-printed", hidden=40, epochs=350, training=train_on_rows, has_dropout=False
    )


def _dropout(setting: Setting) -> Outcome:
    return _run(setting, "ch08-dropout-as-printed", hidden=100, epochs=300, training=train_on_rows, has_dropout=True)


def _batches(setting: Setting) -> Outcome:
    return _run(setting, "ch08-batches-as-printed", hidden=100, epochs=300, training=train_on_batches, has_dropout=True)


def _expect(table: Table, *, best_epoch: int, quick_goal: float) -> tuple[Expected, ...]:
    """Returns what is held to the book's print: errors cut to three digits, accuracies as they are."""
    return (
        *expect_course(table, error=printed(3, is_cut=True), origin="book", quick=_QUICK_EPOCHS),
        Expected("sum of the training pixels", 100539.34509803921, exactly, "derived", needs_real_data=True),
        Expected("sum of the test pixels", 1038914.5098039217, exactly, "derived", needs_real_data=True),
        Expected("first three weights", (-0.0165956, 0.0440649, -0.0999771), printed(7), "derived"),
        Expected(
            "epoch of the best test accuracy",
            best_epoch,
            equal,
            "book",
            is_quick=best_epoch <= 20,
            needs_real_data=True,
        ),
        Expected("best test accuracy", quick_goal, at_least, "goal"),
    )


RECIPES: Final = (
    Recipe(
        name="ch08-overfitting-as-printed",
        chapter=8,
        section="Three-layer network on MNIST; Memorization vs. generalization; Overfitting in neural networks; The "
        "simplest regularization: early stopping",
        summary="The book's overfitting down to 70.7 %, most of which comes from the slope that is missing.",
        model="784-40-10, ReLU (slope always 1), no bias",
        data="mnist: the first 1,000 training digits, all 10,000 test digits",
        settings={"seed": "1", "alpha": "0.005", "batch": "1", "epochs": "350 (quick: 21)"},
        published="best test accuracy 0.8114 at epoch 10; epoch 349: 0.7073",
        defects=("B1", "B30"),
        is_book_compatible=True,
        source="mnist",
        seconds=(1.3, 19.0),
        run=_overfitting,
        expected=(
            *_expect(
                {
                    0: (0.722, 0.537, 0.601, 0.6488),
                    10: (0.312, 0.901, 0.420, 0.8114),
                    20: (0.260, 0.93, 0.414, 0.8111),
                    100: (0.166, 0.984, 0.482, 0.7706),
                    349: (0.108, 1.0, 0.653, 0.7073),
                },
                best_epoch=10,
                quick_goal=0.75,
            ),
            Expected(
                "both errors after epoch 0, in full",
                (0.7220241827755524, 0.6019626278365068),
                exactly,
                "derived",
                needs_real_data=True,
            ),
            Expected(
                "error of the first digit at the start", 0.9317164986681463, exactly, "derived", needs_real_data=True
            ),
        ),
    ),
    Recipe(
        name="ch08-dropout-as-printed",
        chapter=8,
        section="Dropout in code; Dropout evaluated on MNIST",
        summary="The book's dropout: it helps, though its error comes back at half its size.",
        model="784-100-10, ReLU (slope always 1), dropout 0.5 (scaled forward alone), no bias",
        data="mnist: the first 1,000 training digits, all 10,000 test digits",
        settings={"seed": "1", "alpha": "0.005", "batch": "1", "dropout": "0.5", "epochs": "300 (quick: 21)"},
        published="best test accuracy 0.8236 at epoch 60; epoch 290: 0.8181",
        defects=("B1", "B2", "B4"),
        is_book_compatible=True,
        source="mnist",
        seconds=(1.9, 26.0),
        run=_dropout,
        expected=_expect(
            {
                0: (0.891, 0.413, 0.641, 0.6333),
                10: (0.472, 0.764, 0.458, 0.787),
                60: (0.402, 0.836, 0.412, 0.8236),
                290: (0.301, 0.908, 0.399, 0.8181),
            },
            best_epoch=60,
            quick_goal=0.75,
        ),
    ),
    Recipe(
        name="ch08-batches-as-printed",
        chapter=8,
        section="Batch gradient descent",
        summary="The book's batches: each moves the weights a hundred times, so alpha 0.001 acts like 0.1.",
        model="784-100-10, ReLU (slope always 1), dropout 0.5 (scaled forward alone), no bias",
        data="mnist: the first 1,000 training digits, all 10,000 test digits",
        settings={"seed": "1", "alpha": "0.001", "batch": "100", "dropout": "0.5", "epochs": "300 (quick: 21)"},
        published="epoch 290: test accuracy 0.7975; best 0.8067 at epoch 280",
        defects=("B1", "B2", "B3"),
        is_book_compatible=True,
        source="mnist",
        seconds=(0.5, 5.0),
        run=_batches,
        expected=_expect(
            {
                0: (1.284, 0.165, 0.815, 0.3832),
                10: (0.591, 0.672, 0.568, 0.7173),
                100: (0.447, 0.796, 0.448, 0.793),
                280: (None, None, None, 0.8067),
                290: (0.383, 0.851, 0.428, 0.7975),
            },
            best_epoch=280,
            quick_goal=0.65,
        ),
    ),
)
