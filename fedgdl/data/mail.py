"""E-mails with a label (1 spam, 0 ham), and the clean split of a collection of them.

Clean means: each e-mail once, none both in training and test, and a vocabulary from the training
e-mails alone. `MailSource` is what a file in `fedgdl.data.sources` provides; `clean_split` is how
most of them split their e-mails.

Not here: where the result is kept (`fedgdl.data.prepared`) and who gets which e-mail
(`fedgdl.data.partition`).

Example:
    >>> from fedgdl.config import DataConfig
    >>> mails = [Mail("win a prize", 1), Mail("lunch at noon", 0), Mail("At noon: lunch", 0), Mail("lunch noon at", 0)]
    >>> split = clean_split(mails, DataConfig("sms", test_fraction=0.3), seed=1)
    >>> split.counts["duplicates"], len(split.train_rows), len(split.test_rows)
    (1, 2, 1)
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import count
from typing import Final

import numpy as np
import numpy.typing as npt

from fedgdl.config import DataConfig
from fedgdl.data.dataset import BagExamples
from fedgdl.data.partition import Groups
from fedgdl.data.split import Split, SplitSource
from fedgdl.data.text import Vocabulary, distinct_tokens
from fedgdl.errors import DataError
from fedgdl.seeding import stream

__all__ = ["CLASSES", "HAM", "SPAM", "Mail", "MailSource", "clean_split"]

SPAM = 1
HAM = 0
CLASSES: Final = ("ham", "spam")
"""What the labels mean."""


@dataclass(frozen=True, slots=True)
class Mail:
    """One e-mail.

    Attributes:
        text: subject and body.
        label: 1 for spam, 0 for ham.
        owner: whose mailbox it is in; empty where the collection does not say.
    """

    text: str
    label: int
    owner: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class MailSource(SplitSource):
    """A source of e-mails or other messages, labelled 1 for spam and 0 for ham."""

    settings: tuple[str, ...] = ("test_fraction", "min_count", "max_tokens")
    is_seeded: bool = True
    counterpart: str | None = "synthetic-mail"
    example_noun: str = "messages"


def clean_split(mails: Iterable[Mail], config: DataConfig, seed: int) -> Split:
    """Returns a split in which no e-mail comes twice and test words unseen in training are dropped.

    Two e-mails are the same when they have the same set of tokens (the first
    `config.max_tokens` different ones); the first is kept. The test e-mails are a random
    `config.test_fraction` of the rest. The vocabulary is built from the training e-mails.

    Args:
        mails: the collection, in file order.
        config: `test_fraction`, `min_count` and `max_tokens` are used.
        seed: which e-mails are for testing.

    Raises:
        DataError: there are fewer than two different e-mails, or no word is left.
    """
    collected = _Collection()
    for mail in mails:
        collected.add(distinct_tokens(mail.text)[: config.max_tokens], mail)
    num_mails = len(collected.labels)
    num_test = min(max(1, round(num_mails * config.test_fraction)), num_mails - 1)
    if num_test < 1:
        message = f"{num_mails} different e-mails cannot be split into training and test"
        raise DataError(message)
    order = stream(seed, "split").permutation(num_mails).astype(np.int64)
    test_rows, train_rows = np.sort(order[:num_test]), np.sort(order[num_test:])
    vocabulary = collected.vocabulary(train_rows, config.min_count)
    examples, num_unknown = collected.encode(vocabulary)
    owners = [collected.owners[row] for row in train_rows]
    counts = {
        "read": collected.num_read,
        "duplicates": collected.num_read - num_mails,
        "train": len(train_rows),
        "test": len(test_rows),
        "words": len(vocabulary),
        "unknown_words_in_test": int(num_unknown[test_rows].sum()),
    }
    groups = Groups.of(owners, collected.owners) if all(collected.owners) else None
    words = {"vocabulary": list(vocabulary.words), "classes": list(CLASSES)}
    return Split(examples, train_rows, test_rows, groups, counts, words)


class _Collection:
    """Different e-mails as sets of temporary word numbers, given in the order of first appearance.

    A number costs a tenth of a string's memory, which matters for millions of them.
    """

    def __init__(self) -> None:
        self.num_read = 0
        self.labels: list[int] = []
        self.owners: list[str] = []
        self._bags: list[npt.NDArray[np.int32]] = []
        self._numbers: defaultdict[str, int] = defaultdict(count().__next__)  # looking a word up gives it a number
        self._seen: set[bytes] = set()

    def add(self, tokens: list[str], mail: Mail) -> None:
        """Takes an e-mail in, unless one with the same tokens is here already."""
        self.num_read += 1
        bag = np.fromiter(map(self._numbers.__getitem__, tokens), np.int32, len(tokens))
        bag.sort()
        key = bag.tobytes()
        if key not in self._seen:
            self._seen.add(key)
            self._bags.append(bag)
            self.labels.append(mail.label)
            self.owners.append(mail.owner)

    def vocabulary(self, train_rows: npt.NDArray[np.int64], min_count: int) -> Vocabulary:
        """Returns the vocabulary of some of the e-mails.

        Raises:
            DataError: no word is in enough of them.
        """
        counts = np.zeros(len(self._numbers), dtype=np.int64)
        for row in train_rows:
            counts[self._bags[row]] += 1  # a bag has each word once
        vocabulary = Vocabulary.of_counts(dict(zip(self._numbers, counts.tolist(), strict=True)), min_count=min_count)
        if not len(vocabulary):
            message = f"no word is in data.min_count = {min_count} of the {len(train_rows)} training e-mails"
            raise DataError(message)
        return vocabulary

    def encode(self, vocabulary: Vocabulary) -> tuple[BagExamples, npt.NDArray[np.int64]]:
        """Returns all e-mails as bags of the vocabulary's sorted ids, and each one's number of unknown words."""
        unknown = -1
        id_of_number = np.full(len(self._numbers), unknown, dtype=np.int64)
        for number, word in enumerate(self._numbers):
            if word in vocabulary:
                id_of_number[number] = vocabulary.id_of(word)
        sorted_ids = [np.sort(id_of_number[bag]) for bag in self._bags]
        num_unknown = np.array([np.searchsorted(ids, unknown, side="right") for ids in sorted_ids], dtype=np.int64)
        known = [ids[first:] for ids, first in zip(sorted_ids, num_unknown, strict=True)]
        return BagExamples.of_arrays(known, self.labels), num_unknown
