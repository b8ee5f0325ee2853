import re
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedgdl.data.book_tokens import book_line, book_tokens


def plain_line(text: str) -> str:
    """Returns a review's line by the three rules of the module's docstring, character by character."""
    spread = []
    for character in text.lower():
        apart = "'" if character == "\u2019" else character
        spread.append(f" {apart} " if apart in ".0123456789,'\"-/<>()!?_" else apart)
    chunks = [chunk for chunk in re.split(r"[ \t\n\r\v\f]+", "".join(spread)) if chunk]
    kept = ["".join(letter for letter in chunk if letter in string.ascii_lowercase + ".") for chunk in chunks]
    return f"{' '.join(kept)}  \n"


@given(st.text(alphabet=st.one_of(st.characters(), st.sampled_from("aB .,'\u2019<br />:;&\t\n9"))))
def test_the_fast_tokeniser_is_the_plain_one(text: str) -> None:
    assert book_line(text) == plain_line(text)


@given(st.text())
def test_every_token_is_letters_or_a_full_stop_or_empty_and_the_last_two_are_always_the_same(text: str) -> None:
    *tokens, empty, end = book_tokens(text)
    assert (empty, end) == ("", "\n")
    assert all(re.fullmatch(r"[a-z]+|\.|", token) for token in tokens)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("Life, such as it's", "life  such as it  s  \n"),
        ("in '77, over-acting", "in     over  acting  \n"),
        ("a line: I", "a line i  \n"),
        ("here...there", "here . . . there  \n"),
        ("<br /><br />", " br    br    \n"),
        ("then\u0085prepare the caf\u00e9", "thenprepare the caf  \n"),
        ("You & me; us", "you  me us  \n"),
        ("isn't!", "isn  t   \n"),
        ("isn\u2019t!", "isn  t   \n"),
        ("", "  \n"),
    ],
)
def test_lines_of_the_books_file(text: str, line: str) -> None:
    assert book_line(text) == line
