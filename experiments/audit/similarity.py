"""The most similar two of many received vectors, within a round and from one round to the next.

A mask that is used twice cancels in the difference of two vectors: they are then as good as equal, or opposite. To
compare all pairs among hundreds of large vectors, some thousand elements of each are enough: right masks are
independent in each of them.

Example:
    >>> similarities, rng = Similarities(), np.random.default_rng(3)
    >>> vector = rng.random(500)
    >>> for client_id, values in {"ann": vector, "ben": rng.random(500), "cat": 1 - vector}.items():
    ...     similarities.add(1, client_id, values)
    >>> largest = similarities.largest()
    >>> round(largest.value, 6), largest.where
    (-1.0, 'ann and cat, round 1')
"""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from experiments.audit.randomness import deviation, deviation_p

__all__ = ["Similarities", "Similarity"]

_ELEMENTS: Final = 4_096
"""Elements of each vector that are compared, evenly spaced; unrelated ones then correlate by 0.016 or so."""

_MAX_VECTORS: Final = 2_000
"""Of a round with more vectors the first so many are compared: 32 MB of elements, two million pairs."""

_MIN_ELEMENTS: Final = 64
"""Fewer could correlate fully by accident, among many pairs."""

Floats32 = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Similarity:
    """The pair that is least likely by accident.

    Attributes:
        value: the correlation of the two vectors, -1 to 1.
        where: which two.
        num_pairs: how many pairs were compared.
        p_value: a bound on the probability of such a pair among so many.
    """

    value: float
    where: str
    num_pairs: int
    p_value: float


class Similarities:
    """Compares the vectors of a round with each other and with those of the round before."""

    def __init__(self) -> None:
        self._round_index = 0
        self._names: list[str] = []
        self._rows: list[Floats32] = []
        self._former: tuple[list[str], Floats32] | None = None
        self._largest = Similarity(0.0, "", 0, 1.0)
        self._num_elements = 0

    def add(self, round_index: int, client_id: str, values: npt.NDArray[np.float64]) -> None:
        """Takes a vector in; a vector of a later round closes the one before.

        Args:
            round_index: the round; never smaller than before.
            client_id: whose it is.
            values: (d,) the same number of elements in all vectors.
        """
        if round_index != self._round_index:
            self._close()
            self._round_index = round_index
        where = np.linspace(0, len(values) - 1, min(len(values), _ELEMENTS)).astype(np.int64)
        row = values[where] - values[where].mean()
        scale = math.sqrt(float(row @ row))
        if len(self._rows) < _MAX_VECTORS and scale > 0:
            self._num_elements = len(where)
            self._rows.append((row / scale).astype(np.float32))
            self._names.append(client_id)

    def largest(self) -> Similarity | None:
        """Returns the least likely pair so far; none where there is none, or the vectors are too short to tell."""
        self._close()
        return self._largest if self._largest.num_pairs and self._num_elements >= _MIN_ELEMENTS else None

    def _close(self) -> None:
        """Compares the vectors of the round that ends."""
        if not self._rows:
            return
        rows, names = np.stack(self._rows), self._names
        products = rows @ rows.T
        np.fill_diagonal(products, 0)
        num_pairs = len(rows) * (len(rows) - 1) // 2
        self._take(products, names, names, f"round {self._round_index}", num_pairs)
        if self._former is not None and self._former[1].shape[1] == rows.shape[1]:
            former_names = [f"{name} the round before" for name in self._former[0]]
            products = rows @ self._former[1].T
            self._take(products, names, former_names, f"round {self._round_index}", products.size)
        self._former, self._rows, self._names = (names, rows), [], []

    def _take(self, products: Floats32, names: list[str], others: list[str], where: str, num_pairs: int) -> None:
        """Keeps the largest of some pairs, if it is larger than what there was."""
        former, value = self._largest, 0.0
        label = former.where
        if num_pairs:
            row, column = np.unravel_index(int(np.abs(products).argmax()), products.shape)
            value = float(products[row, column])
            label = f"{names[row]} and {others[column]}, {where}"
        if abs(value) <= abs(former.value):
            value, label = former.value, former.where
        total = former.num_pairs + num_pairs
        p_value = min(1.0, total * deviation_p(deviation(value, self._num_elements)))
        self._largest = Similarity(value, label, total, p_value)
