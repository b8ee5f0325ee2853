import json
import subprocess
import sys
from pathlib import Path

import pytest
from mail_archives import serve, write_enron, write_sms

from fedgdl.data.registry import SOURCES


@pytest.fixture(autouse=True)
def own_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FEDGDL_DATA", raising=False)
    monkeypatch.setenv("FEDGDL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("COLUMNS", "300")


def fedgdl(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "experiments.cli", "data", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_list_says_what_is_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FEDGDL_DATA", str(write_sms(tmp_path / "data")))
    shown = fedgdl("list")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert str(tmp_path / "data" / "sms") in shown.stdout
    assert "not here: Run `fedgdl data fetch enron`" in shown.stdout
    document = json.loads(fedgdl("list", "--json").stdout)
    found = {source["name"]: source["found"] for source in document["sources"]}
    assert found == {name: "generated when needed" if name.startswith("synthetic-") else None for name in SOURCES} | {
        "sms": str(tmp_path / "data" / "sms")
    }
    titles = [
        line.index(source["title"])
        for source in document["sources"]
        for line in shown.stdout.splitlines()[::2]
        if line.startswith(f"{source['name']} ")
    ]
    assert len(titles) == len(SOURCES)
    assert len(set(titles)) == 1  # in one column


def test_the_path_of_a_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = write_enron(tmp_path / "data")
    monkeypatch.setenv("FEDGDL_DATA", str(root))
    expected = [str(root / "enron" / f"enron{part}.tar.gz") for part in range(1, 7)]
    assert fedgdl("path", "enron").stdout.splitlines() == expected
    assert json.loads(fedgdl("path", "enron", "--json").stdout)["files"] == expected
    generated = fedgdl("path", "synthetic-mail")
    assert (generated.returncode, generated.stdout) == (0, "")
    assert "generated" in generated.stderr


def test_a_missing_and_an_unknown_set_end_with_one_plain_line() -> None:
    for name, code, what in (("sms", 1, "`fedgdl data fetch sms`"), ("smss", 2, "did you mean sms?")):
        done = fedgdl("path", name)
        assert (done.returncode, done.stdout) == (code, "")
        assert done.stderr.startswith("error: ")
        assert what in done.stderr
        assert "Traceback" not in done.stderr


def test_fetching_generated_data_does_nothing(tmp_path: Path) -> None:
    done = fedgdl("fetch", "synthetic-mail", "--json")
    assert done.returncode == 0
    assert json.loads(done.stdout)["files"] == []
    assert not (tmp_path / "cache").exists()


def test_a_wrong_file_is_refused_without_a_traceback(tmp_path: Path) -> None:
    with serve(write_sms(tmp_path / "mirror")) as mirror:
        done = fedgdl("fetch", "sms", "--from", mirror, "--json")
    assert (done.returncode, done.stdout) == (1, "")
    assert "SHA-256" in done.stderr
    assert "Traceback" not in done.stderr
    assert not list((tmp_path / "cache").rglob("*SMS*"))


def test_fetching_from_a_mirror(real_data: Path, tmp_path: Path) -> None:
    with serve(real_data) as mirror:
        first = fedgdl("fetch", "sms", "--from", mirror, "--json")
        second = fedgdl("fetch", "sms", "--from", mirror)
    path = tmp_path / "cache" / "sms" / "SMSSpamCollection"
    assert json.loads(first.stdout)["files"] == [{"path": str(path), "is_new": True}]
    assert "SMSSpamCollection" in first.stderr  # the progress bar
    assert "477.9/477.9 kB" in first.stderr
    assert second.stdout == f"{path} (was here already, checked)\n"
    assert "Please cite" in second.stderr
