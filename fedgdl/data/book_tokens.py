r"""The book's form of a film review: one line of lower-case letters and full stops, split at single spaces.

The book reads IMDB from a file `reviews.txt` with one review a line, which somebody had prepared
from the official texts. The rules below were found by comparing that file's published counts with
the official texts; they give the same 74,074 different words, every published count of a word
exactly (`the` 336,713 times, `br` 101,872 times, ...), and the one published token set. Only the
empty token comes out 0.1 % less often than published: 1,085,931 times instead of 1,086,930.

1. Lower case. A right single quotation mark becomes an apostrophe.
2. Full stops, digits and ``, ' " - / < > ( ) ! ? _`` are set apart by spaces, each for itself;
   then runs of white space become one space.
3. What is neither a letter from a to z nor a full stop is deleted. So a punctuation mark or a
   digit leaves an *empty token* in the line, `<br />` leaves the token `br`, and what step 2 does
   not name (`:`, `;`, `&`, `*`, letters with accents, ...) vanishes inside its word.
4. The line ends in two spaces and a line feed: the last tokens are `""` and `"\n"`.

Not here: an honest tokeniser (`fedgdl.data.text`).

Source:
    The rules: our own reconstruction. The counts: outputs of the notebooks of A. W. Trask's
    course on the same `reviews.txt` (Udacity, "Sentiment Classification", 2017) and of
    "Grokking Deep Learning", Manning 2019, chapter 11.

Example:
    >>> book_line('Not "bad": it\'s 10 minutes.<br />Really!')
    'not  bad   it  s   minutes .  br   really   \n'
    >>> book_tokens("A caf\u00e9 & more")
    ['a', 'caf', '', 'more', '', '\n']
"""

import re
from typing import Final

__all__ = ["book_line", "book_tokens"]

_LETTERS: Final = b"abcdefghijklmnopqrstuvwxyz"
_WHITE_SPACE: Final = b" \t\n\r\v\f"
_SET_APART: Final = b"0123456789,'\"-/<>()!?_"
_MARK: Final = b"\x00"  # in place of what is set apart and leaves an empty token
_NOTHING: Final = b"\x01"  # in place of what vanishes inside its word


def _table() -> bytes:
    table = bytearray(_NOTHING * 256)
    for byte in _LETTERS + _WHITE_SPACE + b".":
        table[byte] = byte
    for byte in _SET_APART:
        table[byte] = _MARK[0]
    return bytes(table)


_TABLE: Final = _table()
_drop_accents: Final = re.compile(r"[^\x00-\x7f]").sub


def book_line(text: str) -> str:
    """Returns a review as the book's file holds it, its line feed included."""
    text = text.lower()
    if not text.isascii():
        text = _drop_accents(_NOTHING.decode(), text.replace("\u2019", "'"))
    data = text.encode().translate(_TABLE)
    data = data.replace(b".", b" . ").replace(_MARK, b" %b " % _MARK)
    line = b" ".join(data.split()).translate(None, _MARK + _NOTHING)
    return f"{line.decode()}  \n"


def book_tokens(text: str) -> list[str]:
    """Returns a review's tokens as the book reads them, in reading order; some are empty, the last is a line feed."""
    return book_line(text).split(" ")
