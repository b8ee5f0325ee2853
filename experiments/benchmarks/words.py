"""Random bags of words in the shapes of real texts, for benchmarks.

Example:
    >>> token_ids, offsets = draw_bags(np.random.default_rng(1), 1000, [3, 5])
    >>> token_ids.size, offsets.tolist()
    (8, [0, 3, 8])
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

__all__ = ["draw_bags"]


def draw_bags(
    rng: np.random.Generator, vocabulary_size: int, sizes: Sequence[int] | npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Returns bags of distinct words, drawn as often as Zipf's law says (1 / rank), end to end.

    Args:
        rng: draws the words.
        vocabulary_size: how many words there are; the commonest has id 0.
        sizes: how many distinct words each bag holds, far fewer than there are.

    Returns:
        token_ids (sum of sizes,) and offsets (number of bags + 1,), both int64.
    """
    cumulative = np.cumsum(1 / np.arange(1, vocabulary_size + 1))
    bags = []
    for size in sizes:
        words, num_draws = np.empty(0, np.int64), 3 * size
        while words.size < size:
            draws = np.searchsorted(cumulative, cumulative[-1] * rng.random(num_draws), side="right")
            distinct, first = np.unique(draws, return_index=True)
            words, num_draws = distinct[np.argsort(first)][:size], 2 * num_draws
        bags.append(words)
    offsets = np.concatenate(([0], np.cumsum(sizes)))
    return np.concatenate(bags).astype(np.int64), offsets.astype(np.int64)
