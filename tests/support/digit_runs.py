"""What the tests of chapters 8 to 10 share: a few digits, and small networks by hand."""

import numpy as np

from fedgdl.data.drawn_digits import draw_digits
from fedgdl.zoo.book_digits import Rows


def drawn_rows(num_digits: int, seed: int = 1) -> Rows:
    """Returns generated digits as rows."""
    images, labels = draw_digits(num_digits, np.random.default_rng(seed))
    return Rows.of(np.round(255 * images).astype(np.uint8), labels.astype(np.uint8))


def shares_of(logits: np.ndarray) -> np.ndarray:
    """Returns the softmax of each row."""
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)
