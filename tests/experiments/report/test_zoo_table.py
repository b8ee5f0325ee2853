"""Tables of results: in words for a terminal, and as a page of Markdown."""

import doctest
import io

import msgspec
import pytest
from rich.console import Console

from experiments.report.zoo_table import in_words, markdown_page, markdown_table, result_table, summary_in_words, totals
from experiments.zoo.results import Number, RecipeResult, ResultRow

MET = ResultRow("accuracy", 0.9, "or more", "goal", 0.95, "met")
MISSED = ResultRow("error", 0.30250000000000005, "to 1e-12", "book", 0.3025000000000001, "missed")
SKIPPED = ResultRow("real | accuracy", 0.98, "or more", "goal", 0.5, "skipped", needs_real_data=True)
FULL = ResultRow("last [b]error[/b]", 0.98, "or more", "goal", None, "skipped")


def result(*rows: ResultRow, name: str = "ch08-x", **fields: object) -> RecipeResult:
    plain = RecipeResult(
        name=name,
        chapter=8,
        section="s",
        summary="what is done",
        status="done",
        is_quick=True,
        rows=rows,
        data_is_synthetic=True,
        data="Drawn digits",
        seconds=1.5,
        versions={"numpy": "2.4"},
    )
    return msgspec.structs.replace(plain, **fields)


FAILED = result(name="ch08-y", status="failed", error="Traceback ...\nValueError: a | b")


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, ""),
        (10, "10"),
        ("refused", "refused"),
        (0.1234567890123, "0.123456789"),
        (5.403406870691965e16, "5.403406871e+16"),
        ([1, 2.5], "1, 2.5"),
        (["is", "to"], "is, to"),
        ([0.0, 1.0, 2.0, 3.0, 4.0], "0, 1, ... 4 (5)"),
    ],
)
def test_values_in_words(value: Number | None, words: str) -> None:
    assert in_words(value) == words


def test_totals_count_recipes_and_rows() -> None:
    results = [result(MET, MISSED, SKIPPED), FAILED]
    assert totals(results) == {"recipes": 2, "failed": 1, "met": 1, "missed": 1, "skipped": 1}
    assert summary_in_words(results, 2.0) == "2 recipes (1 failed): 1 met, 1 missed, 1 skipped; 2.0 s"
    assert summary_in_words([result(MET)], 0.04) == "1 recipe: 1 met, 0 missed, 0 skipped; 0.0 s"
    assert summary_in_words([], 0.0, 3) == "0 of 3 recipes finished: 0 met, 0 missed, 0 skipped; 0.0 s"
    assert summary_in_words([FAILED], 1.0, 1).startswith("1 of 1 recipe finished (1 failed): ")


def on_terminal(shown: RecipeResult) -> str:
    stream = io.StringIO()
    Console(file=stream, width=150).print(result_table(shown))
    return stream.getvalue()


def test_the_terminal_s_table_has_rows_as_they_are_and_counts_those_skipped() -> None:
    text = on_terminal(result(MET, msgspec.structs.replace(MISSED, what="last [b]error[/b]"), SKIPPED, FULL, FULL))
    for words in ("or more", "0.95", "last [b]error[/b]", "missed"):
        assert words in text
    assert text.splitlines()[-1].strip() == "2 more in a full run; 1 needs real data"
    assert SKIPPED.what not in text


def test_the_terminal_s_table_ends_with_its_rows_where_none_is_skipped() -> None:
    text = on_terminal(result(MET))
    assert "full run" not in text
    assert "real data" not in text


def test_a_notebook_s_table_says_the_same() -> None:
    assert markdown_table(result(MET, SKIPPED, SKIPPED, data_is_synthetic=True)).splitlines() == [
        "| what | expected | measured | origin |  |",
        "| --- | --- | --- | --- | --- |",
        "| accuracy | 0.9 or more | 0.95 | goal | met |",
        "",
        "2 need real data",
    ]
    assert markdown_table(result(MET)).endswith("| met |")
    assert markdown_table(FAILED).endswith("ValueError: a | b")


def test_a_miss_that_ten_digits_would_hide_is_shown_with_all() -> None:
    stream = io.StringIO()
    Console(file=stream, width=150).print(result_table(result(MISSED)))
    assert "0.30250000000000005" in stream.getvalue()
    assert "0.3025000000000001 " in stream.getvalue()


def test_the_page_has_a_row_for_each_expectation_and_an_example_that_runs() -> None:
    page = markdown_page([result(MET, SKIPPED), FAILED])
    lines = page.splitlines()
    assert "| `ch08-x` | accuracy | 0.9 or more | 0.95 | goal | met |" in lines
    assert "|  | real \\| accuracy | 0.98 or more | 0.5 | goal | skipped (generated data) |" in lines
    assert "| `ch08-y` | ValueError: a \\| b |  |  |  | failed |" in lines
    assert "Data: Drawn digits." in lines
    rows = [line for line in lines if line.startswith("|")]
    assert len({line.replace("\\|", "").count("|") for line in rows}) == 1
    example = doctest.DocTestParser().get_doctest(page, {}, "page", None, None)
    results = doctest.DocTestRunner().run(example)
    assert (results.failed, results.attempted) == (0, 5)
