"""Files of keys: their owner's alone, never overwritten, never half there, and read from nowhere doubtful."""

import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import pytest
from paillier_keys import djn_key, textbook_key

from fedgdl.crypto.paillier.private import (
    PaillierPrivateKey,
    key_files,
    read_private_key,
    read_public_key,
    write_private_key,
    write_public_key,
)
from fedgdl.errors import ConfigError, CryptoError

KEY = djn_key(256)


@pytest.fixture(params=[0o022, 0o000, 0o077], ids="umask {:03o}".format)
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    former = os.umask(request.param)
    yield request.param
    os.umask(former)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "key of 3 clients.json"


def names_in(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def holds_nothing_of(key: PaillierPrivateKey, error: BaseException) -> bool:
    """Returns whether an error, and all that it carries or came from, holds no part of a key's primes."""
    texts = [str(error), repr(error.args), repr(vars(error))]
    digits = [f"{prime:x}"[at : at + 6] for prime in key.factors for at in range(20)]
    is_alone = error.__cause__ is None and (error.__context__ is None or error.__suppress_context__)
    return is_alone and not any(some in text for some in digits for text in texts)


@pytest.mark.usefixtures("umask")
@pytest.mark.parametrize("key", [KEY, textbook_key(128)], ids=["djn", "textbook"])
def test_a_private_key_is_its_owner_s_alone(path: Path, key: PaillierPrivateKey) -> None:
    write_private_key(path, key)
    assert mode_of(path) == 0o600
    assert path.read_bytes() == key.to_document()
    assert read_private_key(path).factors == key.factors
    assert read_private_key(path).public_key == key.public_key
    assert names_in(path.parent) == [path.name]


@pytest.mark.usefixtures("umask")
def test_a_private_key_is_nobody_else_s_even_while_it_is_written(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[int, int]] = []

    def look(descriptor: int) -> None:
        status = os.fstat(descriptor)
        seen.append((stat.S_IMODE(status.st_mode), status.st_size))
        assert not path.exists()

    monkeypatch.setattr(key_files.os, "fsync", look)
    write_private_key(path, KEY)
    assert seen == [(0o600, len(KEY.to_document()))]


def test_a_public_key_is_everybody_s(path: Path, umask: int) -> None:
    write_public_key(path, KEY.public_key)
    assert mode_of(path) == 0o644 & ~umask
    assert path.read_bytes() == KEY.public_key.to_bytes()
    assert read_public_key(path) == KEY.public_key
    path.with_name("link").symlink_to(path)
    assert read_public_key(path.with_name("link")) == KEY.public_key


@pytest.mark.parametrize("what", ["file", "folder", "link", "dangling link", "pipe"])
def test_nothing_is_overwritten(path: Path, what: str) -> None:
    other = path.with_name("other")
    other.write_text("precious")
    {
        "file": lambda: path.write_text("precious"),
        "folder": path.mkdir,
        "link": lambda: path.symlink_to(other),
        "dangling link": lambda: path.symlink_to(path.with_name("nowhere")),
        "pipe": lambda: os.mkfifo(path),
    }[what]()
    before = path.lstat()
    for write in (lambda: write_private_key(path, KEY), lambda: write_public_key(path, KEY.public_key)):
        with pytest.raises(ConfigError, match="exists already; keys are never overwritten") as caught:
            write()
        assert str(path) in str(caught.value)
    after = path.lstat()
    assert (after.st_ino, after.st_mode, after.st_size) == (before.st_ino, before.st_mode, before.st_size)
    assert other.read_text() == "precious"
    assert names_in(path.parent) == sorted([path.name, "other"])


@pytest.mark.parametrize("name", ["", ".", "/", "gone/key.json", "x" * 300])
def test_names_that_cannot_be_written(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=r"exists already|cannot be written"):
        write_private_key(Path(name), KEY)
    assert names_in(tmp_path) == []


def test_a_full_disk_leaves_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: int) -> NoReturn:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(key_files.os, "fsync", fail)
    with pytest.raises(ConfigError, match="No space left on device") as caught:
        write_private_key(path, KEY)
    assert str(path) in str(caught.value)
    assert holds_nothing_of(KEY, caught.value)
    assert names_in(path.parent) == []


@pytest.mark.parametrize("bit", [0o040, 0o020, 0o010, 0o004, 0o002, 0o001])
def test_a_private_key_that_others_may_touch_is_refused(path: Path, bit: int) -> None:
    write_private_key(path, KEY)
    path.chmod(0o600 | bit)
    with pytest.raises(ConfigError) as caught:
        read_private_key(path)
    assert f"its mode is {0o600 | bit:04o}" in str(caught.value)
    assert f"chmod 600 '{path}'" in str(caught.value)
    assert holds_nothing_of(KEY, caught.value)
    path.chmod(0o400)
    assert read_private_key(path).public_key == KEY.public_key


def test_a_private_key_of_somebody_else_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_private_key(path, KEY)
    monkeypatch.setattr(key_files.os, "geteuid", lambda: path.stat().st_uid + 1)
    with pytest.raises(ConfigError, match="belongs to another user"):
        read_private_key(path)


def test_a_private_key_is_read_through_no_link(path: Path) -> None:
    write_private_key(path, KEY)
    link = path.with_name("link")
    for target in (path, path.with_name("nowhere"), path.parent, link):
        link.symlink_to(target)
        with pytest.raises(ConfigError, match="link is a symbolic link; name the file"):
            read_private_key(link)
        link.unlink()


@pytest.mark.parametrize("what", ["folder", "pipe"])
def test_what_is_no_file_is_refused_at_once(path: Path, what: str) -> None:
    {"folder": path.mkdir, "pipe": lambda: os.mkfifo(path, 0o600)}[what]()
    path.chmod(0o600)
    for read in (read_private_key, read_public_key):
        with pytest.raises(ConfigError, match="is no regular file"):
            read(path)


def test_a_file_that_is_not_there_comes_with_a_remedy(path: Path) -> None:
    for name in (path, path / "below"):
        with pytest.raises(ConfigError) as caught:
            read_private_key(name)
        assert str(name) in str(caught.value)
    with pytest.raises(ConfigError, match=r"`fedgdl keys new '.*key of 3 clients.json'`"):
        read_private_key(path)


def test_a_file_that_may_not_be_read(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> NoReturn:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(key_files.os, "open", refuse)
    with pytest.raises(ConfigError, match=r"cannot be read \(Permission denied\)"):
        read_private_key(path)


def damaged(document: bytes) -> Iterator[bytes]:
    yield from (document[:end] for end in range(0, len(document), 7))
    for index in range(0, len(document), 5):
        yield document[:index] + bytes([document[index] ^ 1]) + document[index + 1 :]
    yield from (document + b" ", document * 2, b"\0" * 100, bytes(10**6), b'{"p":', b"[" * 50_000, b"\xff\xfe")


def test_every_damage_is_refused_and_nothing_of_the_content_told(path: Path) -> None:
    write_private_key(path, KEY)
    for wrong in [*damaged(KEY.to_document()), KEY.public_key.to_bytes()]:
        path.write_bytes(wrong)
        with pytest.raises(CryptoError) as caught:
            read_private_key(path)
        assert str(caught.value) == (
            f"{path} holds no Paillier private key: it was changed, cut short or is something else. "
            "Restore it, or make another with `fedgdl keys new`"
        )
        assert holds_nothing_of(KEY, caught.value)
        assert caught.value.__context__ is None


def test_every_damage_of_a_public_key_is_refused(path: Path) -> None:
    write_public_key(path, KEY.public_key)
    for wrong in [*damaged(KEY.public_key.to_bytes()), KEY.to_document()]:
        path.write_bytes(wrong)
        with pytest.raises(CryptoError, match="holds no Paillier public key") as caught:
            read_public_key(path)
        assert holds_nothing_of(KEY, caught.value)
