"""A generated play of 24 roles, for runs and tests without a download. Nobody ever put it on a stage.

It is laid out as real plays are: `FIRST LORD:`, a few lines of speech, an empty line. The lines
follow fixed patterns of real words with slots for words of an invented language, whose frequencies
fall with their rank as those of a natural language do. Each role has favourite words and
patterns of its own, and speaks more or less often than others.

Example:
    >>> text = generate(2_000, seed=1)
    >>> len(text) >= 2_000, text.split(":")[0] in ROLES
    (True, True)
"""

from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Final

import numpy as np

from fedgdl.config import DataConfig
from fedgdl.data.sources.invented_words import draws, invent_words, rank_weights
from fedgdl.data.split import Split
from fedgdl.data.verse import VerseSource, split_by_speaker
from fedgdl.seeding import stream

__all__ = ["ROLES", "SOURCE", "generate"]

ROLES: Final = (
    "KING", "QUEEN", "DUKE", "FIRST LORD", "SECOND LORD", "LADY", "CAPTAIN", "FIRST CITIZEN",
    "SECOND CITIZEN", "MESSENGER", "NURSE", "FOOL", "FRIAR", "FIRST GUARD", "SECOND GUARD", "GARDENER",
    "PORTER", "WIDOW", "SAILOR", "FIRST WITCH", "SECOND WITCH", "JUDGE", "PAGE", "CHORUS",
)  # fmt: skip
"""Who speaks, the most talkative first."""

_CORPUS_CHARACTERS: Final = 120_000

_PATTERNS: Final = (
    "O {word}, my {word}, thou art {word} to me",
    "The {word} of the {word} is gone from {word}",
    "I will not go to {word} with the {word}",
    "What {word} is this, good {title}?",
    "And all the {word} of {word} shall be thine",
    "Come, {title}, and bring the {word} with thee",
    "Never did I see so {word} a {word}",
    "Thy {word} is more than {word} can bear;",
    "For {word} and {word} have no end here.",
    "Speak, {title}! Where is the {word} now?",
    "My lord, the {word} is {word} at the gate.",
    "If {word} be {word}, then let it be so:",
    "Let us away, and leave the {word} to {word}.",
    "'Tis {word} that makes the {word} sweet,",
    "Give me thy {word}, and take my {word}.",
    "There is no {word} in the house of {word}!",
)
_NUM_WORDS: Final = 400
_OWN_WORDS: Final = 12  # a role's favourites
_OWN_WEIGHT: Final = 12.0  # how much more often it says these
_OWN_PATTERNS: Final = 4
_MEAN_LINES: Final = 3.5


def generate(num_characters: int, seed: int) -> str:
    """Returns a play of at least so many characters, ending with a complete speech.

    Args:
        num_characters: how long it is to be.
        seed: the experiment's seed; the invented language and the roles' favourites are the same for every seed.
    """
    voices = [_voice(role, seed) for role in ROLES]
    rng = stream(seed, "synthetic-verse")
    entrances = rng.permutation(len(ROLES)).tolist()  # so that short plays too have everybody
    later = draws(stream(seed, "synthetic-verse/speakers"), range(len(ROLES)), rank_weights(len(ROLES)))
    pieces: list[str] = []
    length, last = 0, -1
    for speaker in chain(entrances, later):
        if length > num_characters:
            break
        if speaker != last:  # nobody answers himself
            lines = [next(voices[speaker]) for _ in range(1 + rng.poisson(_MEAN_LINES - 1))]
            pieces.append("\n".join([f"{ROLES[speaker]}:", *lines, "", ""]))
            length, last = length + len(pieces[-1]), speaker
    return "".join(pieces)[:-1]  # the last line ends in one line feed


def _voice(role: str, seed: int) -> Iterator[str]:
    """Yields a role's lines without end."""
    taste = stream(0, "synthetic-verse/taste", client_id=role)
    words = invent_words("invented-words/verse", _NUM_WORDS)
    weights = rank_weights(len(words))
    weights[taste.choice(len(words), _OWN_WORDS, replace=False)] *= _OWN_WEIGHT
    preference = np.ones(len(_PATTERNS))
    preference[taste.choice(len(_PATTERNS), _OWN_PATTERNS, replace=False)] *= _OWN_WEIGHT
    values = {
        "word": draws(stream(seed, "synthetic-verse/words", client_id=role), words, weights),
        "title": draws(stream(seed, "synthetic-verse/titles", client_id=role), [name.lower() for name in ROLES]),
    }
    for pattern in draws(stream(seed, "synthetic-verse/patterns", client_id=role), _PATTERNS, preference):
        slots = pattern.split("{")
        pieces = [slots[0]]
        for slot in slots[1:]:
            kind, rest = slot.split("}")
            pieces += [next(values[kind]), rest]
        yield "".join(pieces)


def _read(paths: tuple[Path, ...], seed: int) -> str:  # noqa: ARG001 (generated: no files)
    return generate(_CORPUS_CHARACTERS, seed)


def _split(paths: tuple[Path, ...], config: DataConfig, seed: int) -> Split:  # noqa: ARG001 (generated: no files)
    return split_by_speaker(generate(config.examples * config.sequence_length, seed), config)


SOURCE: Final = VerseSource(
    name="synthetic-verse",
    title="A generated play of 24 roles",
    licence="as this library",
    is_synthetic=True,
    is_seeded=True,
    split=_split,
    read=_read,
    settings=("sequence_length", "test_fraction", "examples"),
)
"""`data.examples` is about the number of windows: the play has so many times `data.sequence_length` characters."""
