import dataclasses
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from digit_files import write_digits
from mail_archives import enron_members, serve, sms_bytes, write_tar, write_zip
from story_archives import write_stories

from fedgdl.data.fetch import fetch
from fedgdl.data.locate import locate
from fedgdl.data.source import Source, content_digest
from fedgdl.data.sources import babi, enron, mnist, sms
from fedgdl.errors import ConfigError, DataCorrupt, DataError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Returns the folder that the server offers."""
    made = tmp_path / "served"
    made.mkdir()
    return made


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FEDGDL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.delenv("FEDGDL_DATA", raising=False)
    return tmp_path / "cache"


@pytest.fixture
def server(folder: Path, cache: Path) -> Iterator[str]:
    del cache
    with serve(folder) as address:
        yield address


MEMBERS = enron_members(1, num_ham=6, num_spam=4)


def used(members: dict[str, bytes]) -> list[tuple[str, bytes]]:
    return [(name, data) for name, data in members.items() if name.count("/") == 2]


def one_part(url: str, max_bytes: int = 2**20) -> Source:
    """Returns a source of one small archive with a registered digest."""
    file = dataclasses.replace(
        enron.PARTS["enron1"],
        url=f"{url}/enron1.tar.gz",
        sha256=content_digest(used(MEMBERS)),
        max_bytes=max_bytes,
    )
    return Source(name="small", title="a small archive", licence="none", files=(file,))


def files_in(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_an_archive_is_fetched_once(server: str, folder: Path, cache: Path) -> None:
    write_tar(folder / "enron1.tar.gz", MEMBERS)
    source = one_part(server)
    seen: list[tuple[str, int, int]] = []
    (first,) = fetch(source, progress=lambda *report: seen.append(report))
    assert first.is_new
    assert first.path == cache / "enron" / "enron1.tar.gz"
    assert first.path.read_bytes() == (folder / "enron1.tar.gz").read_bytes()
    assert files_in(cache) == ["enron/enron1.tar.gz"]
    size = first.path.stat().st_size
    assert seen[-1] == ("enron1.tar.gz", size, size)
    (second,) = fetch(source)
    assert not second.is_new


def test_repacked_archives_pass_and_damaged_copies_are_replaced(server: str, folder: Path, cache: Path) -> None:
    repacked = dict(reversed([*MEMBERS.items(), ("enron1/Summary.txt", b"another summary")]))
    write_tar(folder / "enron1.tar.gz", repacked, mode="w:")  # not even compressed
    (cache / "enron").mkdir(parents=True)
    (cache / "enron" / "enron1.tar.gz").write_bytes(b"damaged")
    (fetched,) = fetch(one_part(server))
    assert fetched.is_new
    assert sorted(enron.members("enron1", fetched.path)) == sorted(used(MEMBERS))


@pytest.mark.parametrize("place", ["enron1.tar.gz", "enron/enron1.tar.gz"])
def test_a_mirror_may_be_a_data_root_or_a_plain_folder(server: str, folder: Path, cache: Path, place: str) -> None:
    write_tar(folder / "mirror" / place, MEMBERS)
    (fetched,) = fetch(one_part("http://127.0.0.1:9"), base_url=f"{server}/mirror/")
    assert fetched.path.is_file()
    assert fetched.path.is_relative_to(cache)


@pytest.mark.parametrize("name", ["sms+spam+collection.zip", "SMSSpamCollection"])
def test_the_messages_come_out_of_the_zip(server: str, folder: Path, cache: Path, name: str) -> None:
    data = sms_bytes(12)
    write_zip(folder / "sms+spam+collection.zip", {"readme": b"", "SMSSpamCollection": data})
    (folder / "SMSSpamCollection").write_bytes(data)
    (folder / name).rename(folder / "kept")
    for other in folder.glob("*S*"):
        other.unlink()
    (folder / "kept").rename(folder / name)
    digest = content_digest([("SMSSpamCollection", data)])
    file = dataclasses.replace(sms.SOURCE.files[0], sha256=digest)
    (fetched,) = fetch(Source(name="small", title="messages", licence="none", files=(file,)), base_url=server)
    assert fetched.path == cache / "sms" / "SMSSpamCollection"
    assert fetched.path.read_bytes() == data


def with_digests(source: Source, root: Path) -> Source:
    """Returns a source whose registered digests are those of the files below a root."""
    files = [dataclasses.replace(f, sha256=content_digest(f.members(root / f.path))) for f in source.files]
    return dataclasses.replace(source, files=tuple(files))


@pytest.mark.parametrize(("source", "write"), [(mnist.SOURCE, write_digits), (babi.SOURCE, write_stories)])
def test_other_sets_are_fetched_file_by_file_from_a_mirror(
    server: str, folder: Path, cache: Path, source: Source, write: Callable[[Path], Path]
) -> None:
    root = write(folder)
    small = with_digests(source, root)
    fetched = fetch(small, base_url=server)
    assert [found.path for found in fetched] == [cache / file.path for file in source.files]
    assert all(found.is_new for found in fetched)
    for found, file in zip(fetched, source.files, strict=True):
        assert found.path.read_bytes() == (root / file.path).read_bytes()
    assert not any(found.is_new for found in fetch(small, base_url=server))
    assert locate(source) == tuple(found.path for found in fetched)


@pytest.mark.parametrize(("source", "write"), [(mnist.SOURCE, write_digits), (babi.SOURCE, write_stories)])
def test_a_wrong_file_of_another_set_is_refused(
    server: str, folder: Path, cache: Path, source: Source, write: Callable[[Path], Path]
) -> None:
    write(folder)
    with pytest.raises(DataCorrupt, match=r"its contents have SHA-256 \w{64}, expected \w{64}\. Nothing was kept"):
        fetch(source, base_url=server)  # the registered digests are those of the real files
    assert files_in(cache) == []


def test_a_wrong_file_is_refused_with_both_digests_and_nothing_kept(server: str, folder: Path, cache: Path) -> None:
    changed = {**MEMBERS, next(name for name, _ in used(MEMBERS)): b"Subject: changed"}
    write_tar(folder / "enron1.tar.gz", changed)
    expected, found = (content_digest(used(members)) for members in (MEMBERS, changed))
    with pytest.raises(DataCorrupt, match=rf"{found}, expected {expected}\. Nothing was kept"):
        fetch(one_part(server))
    assert files_in(cache) == []


def test_a_wrong_file_leaves_the_one_that_was_there(server: str, folder: Path, cache: Path) -> None:
    (folder / "enron1.tar.gz").write_bytes(b"<html>sorry</html>")
    (cache / "enron").mkdir(parents=True)
    (cache / "enron" / "enron1.tar.gz").write_bytes(b"mine")
    with pytest.raises(DataCorrupt, match=r"is not enron1\.tar\.gz: it is no tar archive"):
        fetch(one_part(server))
    assert files_in(cache) == ["enron/enron1.tar.gz"]
    assert (cache / "enron" / "enron1.tar.gz").read_bytes() == b"mine"


def test_an_archive_that_was_cut_short_on_the_server_is_refused(server: str, folder: Path, cache: Path) -> None:
    path = write_tar(folder / "enron1.tar.gz", MEMBERS)
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(DataCorrupt, match=r"is not enron1\.tar\.gz: it is cut short"):
        fetch(one_part(server))
    assert files_in(cache) == []


def test_a_connection_that_breaks_is_said_so(server: str, folder: Path, cache: Path) -> None:
    write_tar(folder / "enron1.tar.gz", MEMBERS)
    with pytest.raises(DataError, match=r"cannot be downloaded: .*more expected.*Nothing was kept"):
        fetch(one_part(f"{server}/short"))
    assert files_in(cache) == []


def test_a_file_that_is_not_there_is_said_so(server: str, cache: Path) -> None:
    for base_url in (None, f"{server}/nowhere"):
        with pytest.raises(DataError, match=r"does not exist \(the server answered 404\)"):
            fetch(one_part(server), base_url=base_url)
    assert files_in(cache) == []


def test_an_unreachable_server_is_said_so(folder: Path, cache: Path) -> None:
    with serve(folder) as address:
        pass  # its port is free again, so nobody answers there
    with pytest.raises(DataError, match="Connection refused"):
        fetch(one_part(address))
    assert files_in(cache) == []


@pytest.mark.parametrize("base_url", ["/some/folder", "file:///some/folder", "ftp://example.org"])
def test_an_address_that_is_none_is_refused(cache: Path, base_url: str) -> None:
    del cache
    with pytest.raises(ConfigError, match=r"http://.*set FEDGDL_DATA"):
        fetch(one_part("http://127.0.0.1:9"), base_url=base_url)


def test_a_file_that_is_too_large_is_refused(server: str, folder: Path, cache: Path) -> None:
    (folder / "enron1.tar.gz").write_bytes(bytes(200_000))
    with pytest.raises(DataCorrupt, match="sent more than 150,000 bytes"):
        fetch(one_part(server, max_bytes=150_000))
    assert files_in(cache) == []


def test_a_cache_that_cannot_be_written_to_is_said_so(
    server: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_tar(folder / "enron1.tar.gz", MEMBERS)
    (tmp_path / "file").write_text("not a folder", encoding="utf-8")
    monkeypatch.setenv("FEDGDL_CACHE", str(tmp_path / "file"))
    with pytest.raises(DataError, match=r"cannot write to .*; set FEDGDL_CACHE to a folder"):
        fetch(one_part(server))


_INTERRUPTED = """
import signal, sys
from fedgdl.data.fetch import fetch
from fedgdl.data.locate import locate
from fedgdl.data.registry import find_source

def interrupt(name, done, total):
    signal.raise_signal(signal.SIGINT)

fetch(find_source("enron-book"), sys.argv[1], interrupt)
"""


def test_an_interrupted_download_leaves_nothing(server: str, folder: Path, cache: Path) -> None:
    write_tar(folder / "enron1.tar.gz", MEMBERS)
    done = subprocess.run([sys.executable, "-c", _INTERRUPTED, server], capture_output=True, check=False)
    assert done.returncode == -signal.SIGINT
    assert files_in(cache) == []


def test_two_fetches_at_once_both_succeed(server: str, folder: Path, cache: Path) -> None:
    write_tar(folder / "enron1.tar.gz", MEMBERS)
    source = one_part(server)
    found: list[Path] = []
    threads = [threading.Thread(target=partial(_append_fetched, found, source)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [cache / "enron" / "enron1.tar.gz"] * 4
    assert files_in(cache) == ["enron/enron1.tar.gz"]


def _append_fetched(found: list[Path], source: Source) -> None:
    found.append(fetch(source)[0].path)
