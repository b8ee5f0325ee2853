import json
import re
from pathlib import Path

import pytest
from program import fedgdl, fedgdl_json
from typer.testing import CliRunner

from experiments.commands.app import app

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


def test_against_secure_aggregation_one_vector_is_noise_the_sum_tells_and_colluders_too(tmp_path: Path) -> None:
    document = fedgdl_json("attack", "words", "--against", "secagg", "--emails", "8", *SYNTHETIC, cwd=tmp_path)
    assert (document["against"], document["num_clients"], len(document["emails"])) == ("secagg", 10, 8)
    assert document["is_at_chance"]  # wrongly not in one of a million runs at most
    for view in document["masked"].values():
        assert view["expected_num_hits"] == pytest.approx(
            sum(
                email["num_words"] * email["masked"][name]["num_words_read"]
                for email in document["emails"]
                for name, other in document["masked"].items()
                if other is view
            )
            / document["num_vocabulary_words"]
            / 8
        )
        assert min(view["hits_p_value"], view["labels_p_value"]) >= document["p_value_level"] == 1e-6 / 8
    mean_words = sum(email["num_words"] for email in document["emails"]) / 8
    assert document["chance_precision"] == pytest.approx(mean_words / document["num_vocabulary_words"])
    told = document["sum"]
    assert 0.6 < told["recall"] <= 1.0
    assert document["chance_precision"] < told["precision"] < 0.5
    assert told["num_words_read"] <= told["num_cohort_words"]
    assert (document["collusion"]["precision"], document["collusion"]["recall"]) == (1.0, 1.0)
    assert document["collusion"]["labels_right"] == 8
    assert all("words_read" in email["sum"] and "words_read" in email["collusion"] for email in document["emails"])


def test_people_get_a_table_of_what_secure_aggregation_hides_and_what_not(tmp_path: Path) -> None:
    finished = fedgdl("attack", "words", "--against", "secagg", "--clients", "4", *SYNTHETIC, cwd=tmp_path)
    assert (finished.returncode, finished.stderr) == (0, "")
    lines = finished.stdout.splitlines()
    (colluding,) = [line for line in lines if line.startswith("a sum of two")]
    assert colluding.split()[-6:] == ["5", "1.0000", "1.0000", "1", "of", "1"]
    assert "Bob and 3 others train on one e-mail each (secagg)" in finished.stdout
    assert any(line.startswith("the sum over all 4") for line in lines)
    assert "is read no better than by blind guessing" in finished.stdout
    assert re.search(r"Their smallest p-value, words or labels, is \S+; only one below 1e-07\n", finished.stdout)
    assert "with the other one's help: computer is my password pizza" in finished.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--against", "secagg", "--clients", "1"], "with 1 there is nobody among whom Bob could hide"),
        (["--clients", "4"], "--clients goes with --against secagg"),
        (["--against", "secagg", "--clients", "2"], "set aggregation.min_cohort=2 if you mean it"),
        (["--against", "secagg", "--set", "aggregation.min_cohort=20"], "a cohort of 10 (--clients 10)"),
        (
            ["--against", "secagg", "--set", "aggregation.min_cohort=20", "--set", "aggregation.kind=secagg"],
            "a cohort of 10 (--clients 10)",
        ),
        (["--against", "secagg", "--clients", "802"], "expected from 2 to 801 clients"),
        (["--against", "secagg", "--emails", "801"], "expected from 1 to 800 e-mails"),
        (["--set", "aggregation.kind=secagg"], "--against secagg"),
    ],
)
def test_what_does_not_go_together_is_refused_with_a_hint(tmp_path: Path, arguments: list[str], message: str) -> None:
    finished = fedgdl("attack", "words", *SYNTHETIC, *arguments, cwd=tmp_path)
    assert finished.returncode == 2
    assert message in " ".join(finished.stderr.replace("│", " ").split())
    assert "Traceback" not in finished.stderr


def test_two_clients_may_be_asked_for(tmp_path: Path) -> None:
    asked_for = ["--clients", "2", "--set", "aggregation.min_cohort=2"]
    document = fedgdl_json("attack", "words", "--against", "secagg", *asked_for, *SYNTHETIC, cwd=tmp_path)
    assert document["num_clients"] == 2
    assert document["collusion"]["recall"] == 1.0


@pytest.mark.slow
@pytest.mark.parametrize("is_own", [False, True])
@pytest.mark.parametrize("is_revealed", [False, True])
def test_words_of_others_real_e_mails_are_counts_unless_revealed(
    tmp_path: Path, real_data: Path, is_own: bool, is_revealed: bool
) -> None:
    arguments = ["attack", "words", "--against", "secagg", "--config", "spam-book", "--clients", "4"]
    arguments += ([] if is_own else ["--emails", "1"]) + (["--reveal"] if is_revealed else [])
    (email,) = fedgdl_json(*arguments, cwd=tmp_path, data=real_data)["emails"]
    assert ("words_read" in email["sum"]) == is_revealed
    assert all(("words_read" in view) == is_revealed for name, view in email["masked"].items() if name != "as_update")
    assert ("words_read" in email["collusion"]) == (is_own or is_revealed)
    printed = fedgdl(*arguments, cwd=tmp_path, data=real_data).stdout
    assert ("words of others' e-mails are hidden" in printed) != is_revealed
    assert ("  the sum: " in printed) == is_revealed


def test_against_encryption_one_vector_is_noise_and_the_key_holder_reads_all(tmp_path: Path) -> None:
    options = ["--against", "paillier", "--key-bits", "256", "--clients", "3", "--set", "data.examples=300"]
    document = fedgdl_json("attack", "words", *SYNTHETIC, *options, cwd=tmp_path)
    assert (document["against"], document["num_clients"], document["key_bits"]) == ("paillier", 3, 256)
    assert document["is_at_chance"]  # wrongly not in one of a million runs at most
    assert set(document["encrypted"]) == {"as_update", "largest", "unusual", "same_obfuscator"}
    for view in (document["collusion"], document["with_secret"]):
        assert (view["precision"], view["recall"], view["labels_right"]) == (1.0, 1.0, 1)
    assert document["chance_precision"] < document["sum"]["precision"] < 0.5
    assert not list(tmp_path.iterdir())  # the key's file is gone


@pytest.mark.slow
def test_people_are_told_who_could_open_an_encrypted_vector(tmp_path: Path) -> None:
    options = ["--against", "paillier", "--key-bits", "128", "--clients", "3", "--set", "data.examples=300"]
    finished = fedgdl("attack", "words", *SYNTHETIC, *options, cwd=tmp_path)
    assert (finished.returncode, finished.stderr) == (0, "")
    assert "Bob and 2 others train on one e-mail each (paillier, key of 128 bits)" in finished.stdout
    (holder,) = [line for line in finished.stdout.splitlines() if line.startswith("Bob's encrypted vector, by the key")]
    assert holder.split()[-6:] == ["5", "1.0000", "1.0000", "1", "of", "1"]
    assert "One encrypted vector is read no better than by blind guessing" in finished.stdout
    assert "if the key holder works with the coordinator" in finished.stdout


@pytest.mark.slow
def test_the_usual_key_has_2048_bits(tmp_path: Path) -> None:
    document = fedgdl_json("attack", "words", "--against", "paillier", *SYNTHETIC, cwd=tmp_path)
    assert (document["key_bits"], document["num_clients"]) == (2_048, 10)
    assert document["is_at_chance"]


QUICK_BOOK = ["--synthetic", "--rounds", "1", "--key-bits", "64", "--up-to-bits", "64"]


def test_the_book_s_mistakes_are_shown_and_kept(tmp_path: Path) -> None:
    finished = fedgdl("attack", "book-paillier", *QUICK_BOOK, "--out", "shown", cwd=tmp_path)
    assert (finished.returncode, finished.stderr) == (0, "")
    assert "These e-mails are generated" in finished.stdout
    assert re.search(r"Bob's one e-mail +5 +5 +1\.0000 +1\.0000", finished.stdout)
    assert "what looks like a gain from" in finished.stdout
    assert "no line drawn" in finished.stdout
    assert {path.name for path in (tmp_path / "shown").iterdir()} == {"exponents.png", "result.json"}
    assert (tmp_path / "shown" / "exponents.png").read_bytes().startswith(b"\x89PNG")
    kept = json.loads((tmp_path / "shown" / "result.json").read_text())
    assert kept["picture"] == str(Path("shown") / "exponents.png")
    key, rounds = kept["key"], kept["rounds"]
    assert (int(key["factors"][0]) * int(key["factors"][1])).bit_length() == kept["key_bits"] == 64
    assert key["num_weights"] == key["num_equal"] == kept["exponents"]["updates"][0]["num_words"]
    assert rounds["published"] == {"printed": [], "sum": []}  # of other e-mails
    assert all(one["on_one_scale"]["num_words_read"] == 0 for one in kept["exponents"]["updates"])
    again = CliRunner().invoke(app, ["attack", "book-paillier", *QUICK_BOOK, "--out", str(tmp_path / "shown")])
    assert "never overwrites another" in str(again.exception)


@pytest.mark.slow
def test_on_the_book_s_e_mails_both_of_its_tables_come_out(tmp_path: Path, real_data: Path) -> None:
    document = fedgdl_json("attack", "book-paillier", "--up-to-bits", "0", cwd=tmp_path, data=real_data)
    rounds = document["rounds"]
    assert (rounds["clients"], rounds["decrypted_client"]) == (["bob", "alice", "sue"], "sue")
    assert [one["accuracy"] for one in rounds["printed"]] == rounds["published"]["printed"] == [0.9875, 0.9905, 0.9915]
    assert [one["accuracy"] for one in rounds["sum"]] == rounds["published"]["sum"] == [0.8405, 0.9225, 0.988]
    assert document["exponents"]["zero_exponent"] == -14
    email, bob, *_ = document["exponents"]["updates"]
    assert (email["num_hits"], email["precision"], email["recall"]) == (5, 1.0, 1.0)
    assert bob["precision"] == 1.0
    assert bob["recall"] > 0.99
    key = document["key"]
    assert key["num_equal"] == key["num_weights"] == 50_635
    assert key["seconds"] < 60
    assert Path(tmp_path / document["picture"]).is_file()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["book-paillier", "--key-bits", "127"], "its bits are even"),
        (["book-paillier", "--key-bits", "256"], "less than or equal to 192"),
        (["words", "--key-bits", "256"], "goes with --against paillier"),
        (["words", "--against", "paillier", "--key-bits", "129"], "is an even number"),
    ],
)
def test_keys_of_no_use_are_refused_with_a_hint(arguments: list[str], message: str) -> None:
    finished = CliRunner().invoke(app, ["attack", *arguments])
    assert finished.exit_code == 2
    assert message in " ".join(finished.output.replace("│", " ").split())
