"""Chapter 11, its toy: a sentence as the sum of its words' one-hot vectors.

Not here: reviews and what is learned from them (`chapter_11_sentiment`, `chapter_11_official`, `chapter_11_neighbours`,
`chapter_11_fill_in`, `chapter_11_analogies`).

Source:
    A. W. Trask, "Grokking Deep Learning", Manning 2019, chapter 11, companion notebook.

Example:
    >>> from fedgdl.zoo.recipe import Setting
    >>> RECIPES[0].run(Setting()).measured
    {'the cat sat': (1, 1, 0, 1)}
"""

from typing import Final

import numpy as np

from fedgdl.autograd import Tensor, embedding_bag
from fedgdl.data.text import Vocabulary
from fedgdl.zoo.recipe import Expected, Outcome, Recipe, Setting, equal

__all__ = ["RECIPES"]

_VOCABULARY: Final = Vocabulary(("cat", "the", "dog", "sat"))
_SENTENCE: Final = "the cat sat"


def _encode(setting: Setting) -> Outcome:  # noqa: ARG001 (nothing to make quicker)
    """Adds the one-hot vectors of a sentence's words: the rows of an identity matrix."""
    ids, _ = _VOCABULARY.encode(_SENTENCE.split(" "))
    encoded = embedding_bag(Tensor(np.eye(len(_VOCABULARY))), ids, np.array([0, ids.size])).data[0]
    return Outcome({_SENTENCE: tuple(int(value) for value in encoded)})


RECIPES: Final = (
    Recipe(
        name="ch11-word-correlation",
        chapter=11,
        section="Capturing word correlation in input data",
        summary="A sentence as numbers: which of four words are in it.",
        model="none",
        data="the words cat, the, dog, sat; the sentence: the cat sat",
        settings={},
        published="[1 1 0 1]",
        expected=(Expected(_SENTENCE, (1, 1, 0, 1), equal, "book"),),
        run=_encode,
    ),
)
