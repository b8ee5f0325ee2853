r"""The e-mails of the book's chapter 15, with its recipe's quirks: for repeating its numbers, not for new ones.

The chapter's files are the first part of Enron-Spam six times over. Each e-mail is one line, read
as UTF-8 with errors ignored and split at single spaces. E-mails of 500 and more different tokens
are left out of the examples but not out of the vocabulary. The last 1,000 of each class are the
test set; the others are the training set, spam and ham in turn, the shorter class repeated. The
first 1,000 rows are Bob's, the next 1,000 Alice's, the rest Sue's.

**Every test e-mail is also a training e-mail** (the files repeat), so accuracies on this source
are training accuracies. Use `fedgdl.data.sources.enron` for honest ones.

The configuration's `test_fraction`, `min_count` and `max_tokens` do not apply: the recipe is fixed.

Source:
    A. W. Trask, "Grokking Deep Learning", Manning 2019, chapter 15, companion notebook.

Example:
    >>> tokens_of_line(b"Subject: one\r\ntwo  two\r\n")
    ['Subject:', 'one', 'two', '']
"""

from pathlib import Path
from typing import Final

import numpy as np

from fedgdl.config import DataConfig
from fedgdl.data.dataset import BagExamples
from fedgdl.data.mail import CLASSES, HAM, SPAM, MailSource
from fedgdl.data.partition import Groups, Rows
from fedgdl.data.source import blame
from fedgdl.data.sources.enron import CITATION, LICENCE, PARTS
from fedgdl.data.split import Split
from fedgdl.data.text import Vocabulary
from fedgdl.errors import DataCorrupt

__all__ = ["PADDING", "SOURCE", "split", "tokens_of_line"]

PADDING: Final = "<pad>"
"""The vocabulary's entry 0, in no e-mail: the book pads its rows with it."""

_PART: Final = "enron1"
_REPEATS: Final = 6
_MAX_TOKENS: Final = 500
_TEST_PER_CLASS: Final = 1_000
_CLIENT_ENDS: Final = {"bob": 1_000, "alice": 2_000, "sue": None}


def tokens_of_line(data: bytes) -> list[str]:
    """Returns the different tokens of an e-mail as the book's files hold it, in order of first appearance."""
    line = data.rstrip(b"\r\n").replace(b"\r\n", b" ")
    return list(dict.fromkeys(line.decode("utf-8", "ignore").split(" ")))


def split(paths: tuple[Path, ...], config: DataConfig, seed: int) -> Split:  # noqa: ARG001 (fixed by the recipe)
    """Returns the book's training and test rows over its vocabulary.

    Args:
        paths: the archive of the first part.
        config: not used.
        seed: not used.

    Raises:
        DataCorrupt: the archive is damaged, or has too few e-mails for the recipe.
    """
    with blame(str(paths[0]), SOURCE.remedy):
        members = sorted(PARTS[_PART].members(paths[0]))
        spam, ham = ([tokens_of_line(data) for name, data in members if kind in name] for kind in ("/spam/", "/ham/"))
        vocabulary = Vocabulary.build([*spam, *ham], reserved=(PADDING,))
        kept = [[tokens for tokens in lines if len(tokens) < _MAX_TOKENS] for lines in (spam, ham)]
        num_spam, num_ham = map(len, kept)
        if min(num_spam, num_ham) * _REPEATS <= 2 * _TEST_PER_CLASS:
            message = f"it has only {num_spam} short spam and {num_ham} short ham, too few for the book's split"
            raise DataCorrupt(message)
    examples = BagExamples.of_arrays(
        [vocabulary.encode(tokens)[0] for tokens in (*kept[0], *kept[1])], [SPAM] * num_spam + [HAM] * num_ham
    )
    spam_rows = np.tile(np.arange(num_spam, dtype=np.int64), _REPEATS)
    ham_rows = np.tile(np.arange(num_spam, num_spam + num_ham, dtype=np.int64), _REPEATS)
    train_rows = _in_turn(spam_rows[:-_TEST_PER_CLASS], ham_rows[:-_TEST_PER_CLASS])
    test_rows = _in_turn(spam_rows[-_TEST_PER_CLASS:], ham_rows[-_TEST_PER_CLASS:])
    counts = {
        "read": len(spam) + len(ham),
        "too_long": len(spam) + len(ham) - num_spam - num_ham,
        "spam": len(spam_rows),
        "ham": len(ham_rows),
        "train": len(train_rows),
        "test": len(test_rows),
        "words": len(vocabulary),
    }
    words = {"vocabulary": list(vocabulary.words), "classes": list(CLASSES)}
    return Split(examples, train_rows, test_rows, _clients(len(train_rows)), counts, words)


def _in_turn(spam: Rows, ham: Rows) -> Rows:
    """Returns spam and ham rows in turn, the shorter list repeated to the length of the longer."""
    length = max(len(spam), len(ham))
    return np.stack([np.resize(spam, length), np.resize(ham, length)], axis=1).ravel()


def _clients(num_rows: int) -> Groups:
    owners: list[str] = []
    for name, end in _CLIENT_ENDS.items():
        owners += [name] * ((num_rows if end is None else end) - len(owners))
    return Groups.of(owners)


SOURCE: Final = MailSource(
    name="enron-book",
    title="Enron-Spam part 1 as chapter 15 of the book uses it",
    licence=LICENCE,
    citation=CITATION,
    files=(PARTS[_PART],),
    split=split,
    settings=(),
    is_seeded=False,
)
