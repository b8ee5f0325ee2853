"""Chapter 10 as printed: a convolution whose kernels climb up the error instead of down.

Repeated on purpose, each marked where it is: the kernels' update has the wrong sign, the last row and column of
windows are lost, and so are the last 104 of 1,000 digits, which the accuracy counts all the same (B5); tanh's slope is
taken after dropout, whose factor of 2 is missing on the way back (B2); softmax is taken without the largest logit
away (B9). The book also divides by the batch size twice.

Not for any use but to see the published numbers come about; `fedgdl.zoo.chapter_10` does it right.

Source:
    A. W. Trask, "Grokking Deep Learning", Manning 2019, chapter 10, companion notebook.

Example:
    >>> windows(np.arange(784.0).reshape(1, 784))[0, :3]
    array([[ 0.,  1.,  2., 28., 29., 30., 56., 57., 58.],
           [ 1.,  2.,  3., 29., 30., 31., 57., 58., 59.],
           [ 2.,  3.,  4., 30., 31., 32., 58., 59., 60.]])
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from fedgdl.progress import watched
from fedgdl.zoo.book_compatible.chapter_09 import mean_loss, printed_softmax
from fedgdl.zoo.book_digits import CLASSES, Rows, book_stream, even, load_book_digits
from fedgdl.zoo.course import Course, Score, expect_course
from fedgdl.zoo.pictures import Images
from fedgdl.zoo.recipe import Expected, Outcome, Recipe, Setting, at_least, equal

__all__ = ["RECIPES", "PrintedConvolution", "windows"]

_Array: TypeAlias = npt.NDArray[np.float64]

_SIDE: Final = 28
_KERNEL_SIDE: Final = 3
_KERNELS: Final = 16
_POSITIONS: Final = _SIDE - _KERNEL_SIDE
"""In each direction. B5: the windows of 3 pixels have 26 places, the last of which is not used."""
_BATCH_SIZE: Final = 128
_ALPHA: Final = 2
_EPOCHS: Final = 300
_TESTED: Final = (0, 13, 19, 50, 100, 200, 219, 299)
_AT_ONCE: Final = 100
"""Test digits scored together."""


def windows(pixels: _Array) -> _Array:
    """(n, 784) -> (n, 625, 9): the pixels under each place of a kernel, but for the last row and column of places."""
    images = pixels.reshape(-1, _SIDE, _SIDE)
    shape = (_KERNEL_SIDE, _KERNEL_SIDE)
    views = np.lib.stride_tricks.sliding_window_view(images, shape, axis=(1, 2))
    return views[:, :_POSITIONS, :_POSITIONS].reshape(len(images), _POSITIONS**2, _KERNEL_SIDE**2)


@dataclass(slots=True)
class PrintedConvolution:
    """The book's net: 16 kernels of 3 x 3, tanh, and 10 outputs with softmax.

    Attributes:
        kernels: (9, 16) weights.
        dense: (10000, 10) weights; the features are ordered by place, then by kernel.
    """

    kernels: _Array
    dense: _Array

    @classmethod
    def drawn(cls, stream: np.random.RandomState) -> "PrintedConvolution":
        """Returns a net at its start."""
        kernels = even(stream, (_KERNEL_SIDE**2, _KERNELS), 0.01)
        return cls(kernels, even(stream, (_POSITIONS**2 * _KERNELS, CLASSES), 0.1))

    def features(self, sections: _Array) -> _Array:
        """(n, 625, 9) -> (n, 10000): tanh of each kernel at each place."""
        values = sections.reshape(-1, _KERNEL_SIDE**2) @ self.kernels
        return np.tanh(values, out=values).reshape(len(sections), -1)

    def step(self, sections: _Array, one_hot: _Array, stream: np.random.RandomState) -> _Array:
        """Takes the book's step for a batch, and returns the shares (n, 10) of the classes before it.

        Args:
            sections: (n, 625, 9) windows.
            one_hot: (n, 10) labels.
            stream: of dropout.
        """
        hidden = self.features(sections)
        mask = stream.randint(2, size=hidden.shape)
        hidden *= mask * 2
        shares = printed_softmax(hidden @ self.dense)
        delta = (one_hot - shares) / (len(shares) * len(shares))  # the batch size twice
        hidden_delta = delta @ self.dense.T
        hidden_delta *= 1 - hidden**2  # B2: of the output after dropout
        hidden_delta *= mask  # B2: the 2 of the way forward is missing
        self.dense += _ALPHA * (hidden.T @ delta)
        update = sections.reshape(-1, _KERNEL_SIDE**2).T @ hidden_delta.reshape(-1, _KERNELS)
        self.kernels -= _ALPHA * update  # B5: `update` points down the error already, as that of the dense layer does
        return shares

    def score(self, digits: Rows) -> Score:
        """Returns how well the net does on digits, without dropout."""
        starts = range(0, len(digits), _AT_ONCE)
        logits = [self.features(windows(digits.pixels[start : start + _AT_ONCE])) @ self.dense for start in starts]
        shares = printed_softmax(np.concatenate(logits))
        return Score(mean_loss(shares, digits.labels), _num_right(shares, digits) / len(digits))


def _num_right(shares: _Array, digits: Rows) -> int:
    return int(np.count_nonzero(shares.argmax(axis=1) == digits.labels))


def _train(
    net: PrintedConvolution, sections: Sequence[_Array], digits: Rows, stream: np.random.RandomState
) -> tuple[Score, int]:
    """Takes a step for each whole batch; returns the score that the book counts, and how many digits were used."""
    starts = range(0, len(digits) - _BATCH_SIZE + 1, _BATCH_SIZE)  # B5: the ragged last batch is dropped
    used = digits[: len(starts) * _BATCH_SIZE]
    shares = np.concatenate(
        [
            net.step(windowed, digits.one_hot[start : start + _BATCH_SIZE], stream)
            for start, windowed in zip(starts, sections, strict=True)
        ]
    )
    # B5: digits that were dropped count as wrong.
    return Score(mean_loss(shares, used.labels), _num_right(shares, used) / len(digits)), len(used)


def _loss_along_first_step(digits: Rows) -> tuple[float, float]:
    """Returns the loss of the first batch before the first step of the kernels, and after it, without dropout."""
    stream, batch = book_stream(), digits[:_BATCH_SIZE]
    net, moved = PrintedConvolution.drawn(stream), PrintedConvolution.drawn(book_stream())
    before = net.score(batch).error
    moved.step(windows(batch.pixels), batch.one_hot, stream)
    net.kernels = moved.kernels
    return before, net.score(batch).error


def _convolution(setting: Setting) -> Outcome:
    digits, stream, course = load_book_digits(setting), book_stream(), Course()
    net, num_used = PrintedConvolution.drawn(stream), 0
    before, after = _loss_along_first_step(digits.train)
    starts = range(0, len(digits.train) - _BATCH_SIZE + 1, _BATCH_SIZE)
    sections = [windows(digits.train.pixels[start : start + _BATCH_SIZE]) for start in starts]
    for epoch in watched(range(1 if setting.is_quick else _EPOCHS), "ch10-convolution-as-printed"):
        course.train[epoch], num_used = _train(net, sections, digits.train, stream)
        if epoch in _TESTED:
            course.test[epoch] = net.score(digits.test)
    kernels = net.kernels.T.reshape(-1, _KERNEL_SIDE, _KERNEL_SIDE)
    return Outcome(
        {
            **course.measured(),
            "digits used in an epoch": num_used,
            "rise of the loss by the kernels' first step": after - before,
        },
        {
            "accuracies": course.accuracies("Accuracies by epoch, as printed"),
            "kernels": Images("Kernels that climbed", kernels),
        },
        data=digits.description,
        is_synthetic=digits.is_synthetic,
    )


RECIPES: Final = (
    Recipe(
        name="ch10-convolution-as-printed",
        chapter=10,
        section="Reusing weights in multiple places; The convolutional layer; A simple implementation in NumPy",
        summary="The book's convolution: its kernels climb up the error, and the accuracy falls down twice.",
        model="16 kernels of 3x3 at 25x25 places, tanh, dropout 0.5, 10000-10, softmax, no bias",
        data="mnist: the first 1,000 training digits (896 of them used), all 10,000 test digits",
        settings={
            "seed": "1",
            "alpha": "2, divided by 128 once too often",
            "batch": "128",
            "dropout": "0.5",
            "epochs": "300 (quick: 1)",
        },
        published="test / train accuracy: 0: 0.0288 / 0.055; 13: 0.4473 / 0.286; 19: 0.0127 / 0.026; "
        "best 0.8818 / 0.797 at 219; 299: 0.8774 / 0.814",
        defects=("B2", "B5", "B9", "B30"),
        is_book_compatible=True,
        source="mnist",
        seconds=(1.5, 90.0),
        run=_convolution,
        expected=(
            *expect_course(
                {
                    0: (None, 0.055, None, 0.0288),
                    13: (None, 0.286, None, 0.4473),
                    19: (None, 0.026, None, 0.0127),
                    50: (None, 0.21, None, 0.4202),
                    100: (None, 0.737, None, 0.8511),
                    200: (None, 0.792, None, 0.8776),
                    219: (None, 0.797, None, 0.8818),
                    299: (None, 0.814, None, 0.8774),
                },
                origin="book",
                quick=(0,),
            ),
            Expected("digits used in an epoch", 896, equal, "derived"),
            Expected("rise of the loss by the kernels' first step", 1e-3, at_least, "derived"),
        ),
    ),
)
