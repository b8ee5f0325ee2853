import json
from pathlib import Path

import pytest
from program import fedgdl, fedgdl_json

SYNTHETIC = ["--set", "data.source=synthetic-mail", "--set", "data.examples=1000"]


def test_the_book_s_five_words_are_read(tmp_path: Path) -> None:
    document = fedgdl_json("attack", "words", *SYNTHETIC, cwd=tmp_path)
    assert (document["precision"], document["recall"], document["labels_right"]) == (1.0, 1.0, 1)
    (email,) = document["emails"]
    assert set(email["words_read"]) == {"my", "computer", "password", "is", "pizza"}
    assert (email["label"], email["label_read"]) == ("ham", "ham")
    assert document["data_is_synthetic"]


def test_people_get_the_same_in_words(tmp_path: Path) -> None:
    finished = fedgdl("attack", "words", *SYNTHETIC, cwd=tmp_path)
    assert (finished.returncode, finished.stderr) == (0, "")
    assert "precision 1.000, recall 1.000" in finished.stdout
    assert "pizza" in finished.stdout
    assert "synthetic" in finished.stdout


def test_an_e_mail_of_one_s_own_is_read_and_unknown_words_are_named(tmp_path: Path) -> None:
    own = ["--text", "My PASSWORD is xyzzyplugh", "--label", "spam"]
    document = fedgdl_json("attack", "words", *SYNTHETIC, *own, cwd=tmp_path)
    assert set(document["emails"][0]["words_read"]) == {"my", "password", "is"}
    assert document["unknown_words"] == ["xyzzyplugh"]
    assert document["emails"][0]["label_read"] == "spam"


def test_an_e_mail_without_a_known_word_is_refused(tmp_path: Path) -> None:
    finished = fedgdl("attack", "words", *SYNTHETIC, "--text", "xyzzyplugh", cwd=tmp_path)
    assert finished.returncode == 2
    assert "no word of this e-mail is in the vocabulary" in " ".join(finished.stderr.replace("│", " ").split())


def test_too_many_e_mails_are_refused_in_words(tmp_path: Path) -> None:
    finished = fedgdl("attack", "words", *SYNTHETIC, "--emails", "100000", cwd=tmp_path)
    assert finished.returncode == 2
    assert "Traceback" not in finished.stderr


@pytest.mark.parametrize("is_revealed", [False, True])
def test_words_of_real_e_mails_are_counts_unless_revealed(tmp_path: Path, real_data: Path, is_revealed: bool) -> None:
    more = ["--reveal"] if is_revealed else []
    arguments = ["attack", "words", "--config", "spam-book", "--emails", "3", *more]
    document = fedgdl_json(*arguments, cwd=tmp_path, data=real_data)
    assert (document["precision"], document["recall"], document["labels_right"]) == (1.0, 1.0, 3)
    assert all(("words_read" in email) == is_revealed for email in document["emails"])
    finished = fedgdl(*arguments, cwd=tmp_path, data=real_data)
    assert ("words hidden" in finished.stdout) != is_revealed
    assert json.dumps(document)
