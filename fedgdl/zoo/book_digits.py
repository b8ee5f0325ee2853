"""The digits and the random numbers of chapters 8 to 10: the first 1,000 training digits, and seed 1.

The book trains on the first 1,000 of MNIST's 60,000 digits and tests on all 10,000. Start weights and dropout masks
come from one stream of NumPy's former generator, seeded with 1: the weights of the first layer, those of the second,
then a mask at each step.

Not here: MNIST itself (`fedgdl.data.digits`), and the draws of chapters 13 and 14 (`book_draws`).

Source:
    A. W. Trask, "Grokking Deep Learning", Manning 2019, chapters 8 to 10, companion notebooks.

Example:
    >>> stream = book_stream()
    >>> even(stream, (784, 40), 0.1)[0, :3].round(7)
    array([-0.0165956,  0.0440649, -0.0999771])
    >>> dropout_factors(stream, (1, 40)).shape
    (1, 40)
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from fedgdl.data.digits import load_digits
from fedgdl.zoo.recipe import Setting

__all__ = ["CLASSES", "PIXELS", "BookDigits", "Rows", "book_stream", "dropout_factors", "even", "load_book_digits"]

CLASSES: Final = 10
PIXELS: Final = 28 * 28
_NUM_TRAINED: Final = 1_000


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Digits as rows of pixels, in file order.

    Attributes:
        pixels: (n, 784) float64, 0 is paper and 1 ink.
        labels: (n,) int64, 0 to 9.
        one_hot: (n, 10) float64, 1 at the label and 0 elsewhere.
    """

    pixels: npt.NDArray[np.float64]
    labels: npt.NDArray[np.int64]
    one_hot: npt.NDArray[np.float64]

    @classmethod
    def of(cls, images: npt.NDArray[np.uint8], labels: npt.NDArray[np.uint8]) -> "Rows":
        """Returns the rows of images (n, 28, 28) of grey levels of one byte, and their labels (n,)."""
        class_ids = labels.astype(np.int64)
        return cls(images.reshape(-1, PIXELS) / 255, class_ids, np.eye(CLASSES)[class_ids])

    def __len__(self) -> int:
        """Returns the number of digits."""
        return len(self.labels)

    def __getitem__(self, rows: slice) -> "Rows":
        """Returns some of the digits, as views."""
        return Rows(self.pixels[rows], self.labels[rows], self.one_hot[rows])


@dataclass(frozen=True, slots=True, eq=False)
class BookDigits:
    """What the book trains on and tests on.

    Attributes:
        train: the first 1,000 training digits.
        validation: the next 1,000, which the book does not use.
        test: all test digits: 10,000, of generated ones fewer.
        description: one line for people.
        is_synthetic: whether they were generated.
    """

    train: Rows
    validation: Rows
    test: Rows
    description: str
    is_synthetic: bool


def load_book_digits(setting: Setting) -> BookDigits:
    """Returns the book's digits.

    Raises:
        DataMissing: MNIST is not on this machine, and generated digits may not stand in for it.
        DataCorrupt: one of its files is damaged.
    """
    digits = load_digits(setting.data_root, allow_synthetic=setting.allow_synthetic)
    trained, validated = slice(0, _NUM_TRAINED), slice(_NUM_TRAINED, 2 * _NUM_TRAINED)
    return BookDigits(
        train=Rows.of(digits.train_images[trained], digits.train_labels[trained]),
        validation=Rows.of(digits.train_images[validated], digits.train_labels[validated]),
        test=Rows.of(digits.test_images, digits.test_labels),
        description=f"{digits.description}; trained on the first {_NUM_TRAINED:,}",
        is_synthetic=digits.is_synthetic,
    )


def book_stream() -> np.random.RandomState:
    """Returns the book's stream at its start."""
    return np.random.RandomState(1)


def even(stream: np.random.RandomState, shape: tuple[int, ...], bound: float) -> npt.NDArray[np.float64]:
    """Returns start weights drawn evenly from [-bound, bound), to the bit those of the book."""
    return 2 * bound * stream.random_sample(shape) - bound


def dropout_factors(stream: np.random.RandomState, shape: tuple[int, ...]) -> npt.NDArray[np.float64]:
    """Returns a mask of dropout with probability one half, drawn as the book does: 0 where left out, else 2.

    A product with it scales forward and backward alike, as `fedgdl.autograd.dropout` does with masks of its own.
    """
    return 2.0 * stream.randint(2, size=shape).astype(np.float64)
