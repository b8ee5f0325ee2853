"""Digits that are drawn by this program: data for a first model where there are no real ones.

Each digit is a path of strokes. A sample is that path turned, slanted, stretched, moved and
drawn with a pen of random width, in the format of MNIST: 28 x 28 grey levels, the digit in the middle.
A `Hand` narrows this to the habits of one imaginary writer.

Not here: real handwriting. The digits vary in a few ways only, so they are far easier than MNIST: numbers
reached on them say nothing about it.

Example:
    >>> images, labels = draw_digits(6, np.random.default_rng(1))
    >>> images.shape, str(images.dtype), str(labels.dtype)
    ((6, 28, 28), 'float32', 'int64')
    >>> bool(images.min() == 0) and bool(images.max() == 1)
    True
"""

import functools
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from fedgdl.errors import DataError

__all__ = ["SIDE", "Hand", "draw_digits"]

SIDE: Final = 28
"""Pixels along each side of an image, as in MNIST."""

_AT_ONCE: Final = 8
"""How many samples are drawn together: their pixels' distances to all strokes stay in the processor's cache."""
_SHIFT: Final = 0.06
"""The largest move, as a share of the image's side: 1.7 pixels."""

_Floats = npt.NDArray[Any]
_Range = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Hand:
    """How somebody writes: the range that each habit varies in, from one digit to the next.

    Attributes:
        turn: in radians, clockwise; left out, up to 11 degrees either way.
        slant: how far the top of a digit leans, as a share of its height: below 0 to the right.
        width, height: how much a digit is stretched.
        pen: half the width of the pen, as a share of the image's side; left out, 1 to 2 pixels.
    """

    turn: _Range = (-0.2, 0.2)
    slant: _Range = (-0.25, 0.25)
    width: _Range = (0.8, 1.05)
    height: _Range = (0.8, 1.05)
    pen: _Range = (0.035, 0.065)

    def narrowed(self, rng: np.random.Generator, share: float) -> "Hand":
        """Returns one person's hand: of each range a random part, `share` times as long."""
        lows, highs = np.array([[*ends] for ends in self._ranges()]).T
        length = share * (highs - lows)
        starts = rng.uniform(lows, highs - length)
        return Hand(*((start, start + size) for start, size in zip(starts.tolist(), length.tolist(), strict=True)))

    def _ranges(self) -> tuple[_Range, ...]:
        return self.turn, self.slant, self.width, self.height, self.pen


def draw_digits(
    num_samples: int, rng: np.random.Generator, hand: Hand | None = None
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    """Draws digits, each as likely as the others.

    Args:
        num_samples: n, how many.
        rng: draws labels, shapes and pens.
        hand: who writes; left out, anybody: all habits vary as far as a `Hand` lets them.

    Returns:
        Images (n, 28, 28) float32 from 0 (paper) to 1 (ink), and labels (n,) int64 from 0 to 9.

    Raises:
        DataError: the number is negative.
    """
    if num_samples < 0:
        message = f"cannot draw {num_samples} digits"
        raise DataError(message)
    hand = Hand() if hand is None else hand
    labels = rng.integers(0, 10, num_samples)
    images = np.empty((num_samples, SIDE, SIDE), np.float32)
    for start in range(0, num_samples, _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        images[part] = _draw(labels[part], hand, rng)
    return images, labels


def _draw(labels: npt.NDArray[np.int64], hand: Hand, rng: np.random.Generator) -> npt.NDArray[np.float32]:
    """(n,) -> (n, 28, 28): an image of each digit."""
    strokes = _strokes()[labels]  # (n, strokes, 2 ends, 2 coordinates)
    ends = np.einsum("nij,nsej->nsei", _transforms(len(labels), hand, rng), strokes - 0.5) + 0.5
    ends += rng.uniform(-_SHIFT, _SHIFT, (len(labels), 1, 1, 2))
    distance = _distances(ends.astype(np.float32))
    pen = rng.uniform(*hand.pen, (len(labels), 1))
    ink = np.clip((pen - distance) * SIDE + 0.5, 0, 1)
    return ink.reshape(-1, SIDE, SIDE).astype(np.float32)


def _distances(ends: _Floats) -> _Floats:
    """(n, strokes, 2 ends, 2 coordinates) -> (n, 784): how far each pixel's centre is from the nearest stroke."""
    centres = (np.arange(SIDE, dtype=ends.dtype) + 0.5) / SIDE
    x, y = np.tile(centres, SIDE), np.repeat(centres, SIDE)
    first, along = ends[:, :, :1], ends[:, :, 1:] - ends[:, :, :1]
    from_x, from_y = x - first[..., 0], y - first[..., 1]
    along_x, along_y = along[..., 0], along[..., 1]
    # The nearest point of a stroke lies at this share of its length; a stroke of no length is its first end.
    shares = (from_x * along_x + from_y * along_y) / np.maximum(along_x * along_x + along_y * along_y, 1e-12)
    np.clip(shares, 0, 1, out=shares)
    from_x -= shares * along_x
    from_y -= shares * along_y
    squares = from_x * from_x
    squares += from_y * from_y
    nearest: _Floats = np.sqrt(np.minimum.reduce(squares, 1))
    return nearest


def _transforms(num_samples: int, hand: Hand, rng: np.random.Generator) -> _Floats:
    """Returns random turns, slants and stretches as matrices, (n, 2, 2)."""
    angle = rng.uniform(*hand.turn, num_samples)
    slant = rng.uniform(*hand.slant, num_samples)
    width = rng.uniform(*hand.width, num_samples)
    height = rng.uniform(*hand.height, num_samples)
    cosine, sine = np.cos(angle), np.sin(angle)
    turn = np.stack([np.stack([cosine, -sine], -1), np.stack([sine, cosine], -1)], -2)
    shape = np.stack([np.stack([width, slant * height], -1), np.stack([np.zeros_like(height), height], -1)], -2)
    transforms: _Floats = turn @ shape
    return transforms


@functools.cache
def _strokes() -> _Floats:
    """Returns the strokes of all digits, (10, strokes, 2 ends, 2 coordinates); short paths repeat their last point."""
    paths = [
        _arc(0.5, 0.5, 0.2, 0.32, 0, 360),
        [(0.38, 0.3), (0.52, 0.18), (0.52, 0.82)],
        [*_arc(0.5, 0.36, 0.19, 0.18, 200, 390), (0.3, 0.82), (0.71, 0.82)],
        [*_arc(0.48, 0.34, 0.18, 0.16, 210, 450), *_arc(0.48, 0.66, 0.2, 0.17, 270, 510)],
        [(0.62, 0.82), (0.62, 0.18), (0.28, 0.62), (0.74, 0.62)],
        [(0.68, 0.19), (0.36, 0.19), (0.33, 0.48), *_arc(0.48, 0.62, 0.2, 0.2, 240, 500)],
        [(0.62, 0.17), *_arc(0.5, 0.63, 0.19, 0.19, 190, 550)],
        [(0.29, 0.19), (0.71, 0.19), (0.44, 0.82)],
        [*_arc(0.5, 0.34, 0.15, 0.15, 90, 450), *_arc(0.5, 0.66, 0.19, 0.17, 270, 630)],
        [*_arc(0.5, 0.37, 0.18, 0.18, 10, 370), (0.6, 0.83)],
    ]
    longest = max(map(len, paths))
    points = np.array([[*path, *[path[-1]] * (longest - len(path))] for path in paths])
    return np.stack([points[:, :-1], points[:, 1:]], axis=2)


def _arc(x: float, y: float, width: float, height: float, start: float, stop: float) -> list[tuple[float, float]]:
    """Returns points along an ellipse around (x, y), from one angle to another, in degrees clockwise from the right."""
    angles = np.radians(np.linspace(start, stop, 13))
    return [(x + width * float(np.cos(angle)), y + height * float(np.sin(angle))) for angle in angles]
