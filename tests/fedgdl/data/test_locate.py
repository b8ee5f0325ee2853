from pathlib import Path

import pytest
from mail_archives import write_enron, write_sms

from fedgdl.data.locate import cache_folder, describe, locate, stamps
from fedgdl.data.registry import find_source
from fedgdl.data.source import Source
from fedgdl.errors import DataMissing


@pytest.fixture(autouse=True)
def empty_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FEDGDL_DATA", raising=False)
    monkeypatch.setenv("FEDGDL_CACHE", str(tmp_path / "cache"))


def test_the_configured_root_comes_first_then_the_environment_then_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = find_source("sms")
    for name in ("cache", "environment", "root"):
        root = write_sms(tmp_path / name)
        if name == "environment":
            monkeypatch.setenv("FEDGDL_DATA", str(root))
        configured = str(root) if name == "root" else None
        assert locate(source, configured) == (root / "sms" / "SMSSpamCollection",)


def test_a_place_with_some_of_the_files_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = find_source("enron")
    some = write_enron(tmp_path / "some", parts=range(1, 4))
    monkeypatch.setenv("FEDGDL_DATA", str(some))
    with pytest.raises(DataMissing, match=r"which lacks enron4\.tar\.gz, enron5\.tar\.gz, enron6\.tar\.gz"):
        locate(source)
    write_enron(tmp_path / "cache")
    assert {path.parent for path in locate(source)} == {tmp_path / "cache" / "enron"}


def test_a_missing_set_says_where_was_looked_and_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FEDGDL_DATA", str(tmp_path / "environment"))
    with pytest.raises(DataMissing) as caught:
        locate(find_source("enron"), str(tmp_path / "root"))
    for what in (
        f"data.root ({tmp_path / 'root' / 'enron'})",
        f"FEDGDL_DATA ({tmp_path / 'environment' / 'enron'})",
        f"the cache ({tmp_path / 'cache' / 'enron'})",
        "`fedgdl data fetch enron`",
        "set FEDGDL_DATA",
        "--set data.source=synthetic-mail",
    ):
        assert what in str(caught.value)


@pytest.mark.parametrize(
    ("name", "counterpart"),
    [
        ("sms", "synthetic-mail"),
        ("mnist", "synthetic-digits"),
        ("babi", "synthetic-stories"),
        ("imdb", "synthetic-reviews"),
        ("shakespeare", "synthetic-verse"),
        ("shakespear-book", "synthetic-verse"),
    ],
)
def test_the_generated_set_that_stands_in_is_the_right_one(name: str, counterpart: str) -> None:
    with pytest.raises(DataMissing, match=rf"`fedgdl data fetch {name}`.*data\.source={counterpart}`"):
        locate(find_source(name))


def test_a_set_that_nothing_stands_in_for_says_so() -> None:
    source = Source(name="rare", title="a rare set", licence="none", files=find_source("sms").files)
    with pytest.raises(DataMissing, match=r"a folder that holds sms/SMSSpamCollection\.$"):
        locate(source)


def test_stamps_change_with_the_file(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"one")
    before = stamps(find_source("sms"), (path,))
    assert before[0][:2] == ["a.txt", 3]
    path.write_bytes(b"three")
    assert stamps(find_source("sms"), (path,)) != before
    assert stamps(find_source("sms"), ()) == []


def test_stamps_change_with_an_optional_file_beside_the_first_one(tmp_path: Path) -> None:
    source = Source(name="letters", title="letters", licence="none", optional_files=("more",))
    path = tmp_path / "file"
    path.write_bytes(b"one")
    without = stamps(source, (path,))
    (tmp_path / "more").write_bytes(b"m")
    with_more = stamps(source, (path,))
    assert (without, [name for name, *_ in with_more]) == (with_more[:1], ["file", "more"])
    (tmp_path / "more").write_bytes(b"more")
    assert stamps(source, (path,)) != with_more
    assert stamps(source, ()) == []


def test_paths_are_absolute_and_know_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    write_sms(tmp_path / "here")
    for root in ("~/here", "here"):
        assert locate(find_source("sms"), root) == (tmp_path / "here" / "sms" / "SMSSpamCollection",)


def test_without_a_chosen_cache_it_is_the_users(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FEDGDL_CACHE")
    assert cache_folder().is_absolute()
    assert "fedgdl" in cache_folder().parts


def test_a_description_says_whether_the_set_is_here(tmp_path: Path) -> None:
    source = find_source("sms")
    missing = describe(source)
    assert missing["found"] is None
    assert "fedgdl data fetch sms" in missing["how_to_get"]
    write_sms(tmp_path / "cache")
    found = describe(source)
    assert (found["found"], found["how_to_get"]) == (str(tmp_path / "cache" / "sms"), "")
    assert describe(find_source("synthetic-mail"))["found"] == "generated when needed"
