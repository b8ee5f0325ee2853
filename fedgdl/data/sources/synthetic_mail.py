"""Generated e-mails of six mailboxes, for runs and tests without a download. Nobody ever wrote them.

Each e-mail is a greeting and a few sentences from fixed patterns, filled with words. Most of the
words are of an invented language of 4,000 words, whose frequencies fall with their rank as those
of a natural language do; ham and spam, and each mailbox, prefer different ones of them, a little.
Some spam is disguised as ham and some ham reads like spam, so no filter is perfect: a linear one
is right for about 97 of 100. The mailboxes differ in size, in their topic and in their share of spam.

The words `my`, `computer`, `password`, `is` and `pizza` are in the vocabulary from a few hundred
e-mails on.

Example:
    >>> mails = list(generate(10, seed=1))
    >>> len(mails), mails[0].owner
    (10, 'mailbox-1')
"""

from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from fedgdl.config import DataConfig
from fedgdl.data.mail import HAM, SPAM, Mail, MailSource, clean_split
from fedgdl.data.sources.invented_words import as_format, draws, invent_words, rank_weights
from fedgdl.data.sources.synthetic_words import GREETINGS, LISTS, SENTENCES, TOPICS
from fedgdl.data.split import Split
from fedgdl.seeding import stream

__all__ = ["MAILBOXES", "SOURCE", "generate"]

MAILBOXES: Final = tuple(f"mailbox-{number}" for number in range(1, len(TOPICS) + 1))

_MAILBOX_SHARES: Final = (0.27, 0.22, 0.18, 0.14, 0.11, 0.08)
_SPAM_SHARES: Final = (0.3, 0.45, 0.6, 0.4, 0.7, 0.5)
_DISGUISED_SHARE: Final = 0.03  # e-mails with none of the sentences of their own class
_OWN_SHARE: Final = 0.3  # of the other e-mails' sentences, how many are of their class
_OTHER_SHARE: Final = 0.04  # and how many of the other one
_MEAN_SENTENCES: Final = 6.0

_INVENTED_WORDS: Final = 4_000
_CLASS_PREFERENCE: Final = 0.5  # standard deviation of the log-frequencies' difference
_MAILBOX_PREFERENCE: Final = 0.7


def generate(num_mails: int, seed: int) -> Iterator[Mail]:
    """Yields e-mails, mailbox by mailbox.

    Args:
        num_mails: how many in all.
        seed: the experiment's seed; the invented language is the same for every seed.
    """
    ends = np.rint(np.cumsum(_MAILBOX_SHARES) * num_mails).astype(int)
    sizes = np.diff(ends, prepend=0)
    for position, (mailbox, size) in enumerate(zip(MAILBOXES, sizes.tolist(), strict=True)):
        rng = stream(seed, "synthetic-mail", client_id=mailbox)
        labels = np.where(rng.random(size) < _SPAM_SHARES[position], SPAM, HAM)
        writers = {label: _Writer(position, label, seed) for label in (HAM, SPAM)}
        lengths = 2 + rng.poisson(_MEAN_SENTENCES - 2, size)
        own_shares = np.where(rng.random(size) < _DISGUISED_SHARE, 0.0, _OWN_SHARE)
        for label, length, own_share in zip(labels.tolist(), lengths.tolist(), own_shares.tolist(), strict=True):
            kinds = [_kind(draw, label, own_share) for draw in rng.random(length).tolist()]
            yield Mail(writers[label].write(kinds), label, mailbox)


def _kind(draw: float, label: int, own_share: float) -> str:
    """Returns which sentence a uniform draw from [0, 1) stands for in an e-mail of a class."""
    own, other = ("spam", "ham") if label == SPAM else ("ham", "spam")
    if draw < _OTHER_SHARE:
        return other
    return own if draw < _OTHER_SHARE + own_share else "common"


class _Writer:
    """Writes the e-mails of one class to one mailbox; every kind of word has a random stream of its own."""

    def __init__(self, mailbox: int, label: int, seed: int) -> None:
        self._name = f"{MAILBOXES[mailbox]}/{label}"
        self._seed = seed
        topic = TOPICS[mailbox].split()
        self._words = {kind: self._draw(kind, words.split()) for kind, words in LISTS.items()}
        self._words["topic"] = self._draw("topic", topic, rank_weights(len(topic)))
        self._words["number"] = self._draw("number", [str(number) for number in range(1, 100)])
        self._words["word"] = self._draw("word", _language(), _preferences(mailbox, label))
        self._greetings = self._draw("greeting", GREETINGS["spam" if label == SPAM else "ham"])
        self._sentences = {kind: self._draw(f"sentence/{kind}", sentences) for kind, sentences in SENTENCES.items()}

    def write(self, kinds: Sequence[str]) -> str:
        """Returns the text of an e-mail with one sentence of each given kind."""
        sentences = [next(self._sentences[kind]) for kind in kinds]
        filled = [as_format(sentence)[0] % self._fill(sentence) for sentence in sentences]
        return "\n".join([next(self._greetings), *filled])

    def _fill(self, sentence: str) -> tuple[str, ...]:
        return tuple([next(self._words[slot]) for slot in as_format(sentence)[1]])

    def _draw(self, kind: str, values: Sequence[str], weights: npt.NDArray[np.float64] | None = None) -> Iterator[str]:
        return draws(stream(self._seed, f"synthetic-mail/{kind}", client_id=self._name), values, weights)


def _language() -> tuple[str, ...]:
    return invent_words("synthetic-mail/language", _INVENTED_WORDS)


@cache
def _preferences(mailbox: int, label: int) -> npt.NDArray[np.float64]:
    """Returns (words,) relative frequencies of the invented words in one class of one mailbox's e-mails."""
    of_class = stream(0, "synthetic-mail/class").normal(size=_INVENTED_WORDS)
    of_mailbox = stream(0, "synthetic-mail/mailbox", client_id=MAILBOXES[mailbox]).normal(size=_INVENTED_WORDS)
    sign = 0.5 if label == SPAM else -0.5
    tilt = sign * _CLASS_PREFERENCE * of_class + _MAILBOX_PREFERENCE * of_mailbox
    return rank_weights(_INVENTED_WORDS) * np.exp(tilt)


def _split(paths: tuple[Path, ...], config: DataConfig, seed: int) -> Split:  # noqa: ARG001 (generated: no files)
    return clean_split(generate(config.examples, seed), config, seed)


SOURCE: Final = MailSource(
    name="synthetic-mail",
    title="Generated e-mails, six mailboxes",
    licence="as this library",
    is_synthetic=True,
    counterpart=None,
    split=_split,
    settings=("test_fraction", "min_count", "max_tokens", "examples"),
)
