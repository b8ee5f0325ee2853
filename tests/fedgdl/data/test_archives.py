import gzip
import io
import tarfile
import zipfile
from pathlib import Path
from typing import Literal

import pytest
from mail_archives import write_tar, write_zip

from fedgdl.data.archives import read_bounded, read_gzip, read_tar, read_zip
from fedgdl.errors import DataCorrupt

MEMBERS = {"a/one.txt": b"one" * 100, "a/two.txt": b"", "b.txt": b"\0\xff"}


@pytest.mark.parametrize("mode", ["w:gz", "w:"])
def test_a_tar_archive_is_read_whole_compressed_or_not(tmp_path: Path, mode: Literal["w:gz", "w:"]) -> None:
    path = write_tar(tmp_path / "x.tar.gz", {f"./{name}": data for name, data in MEMBERS.items()}, mode=mode)
    assert dict(read_tar(path)) == MEMBERS


def test_a_zip_archive_is_read_whole(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "x.zip", {**MEMBERS, "folder/": b""})
    assert dict(read_zip(path)) == MEMBERS


def test_a_gzip_file_cut_short_anywhere_is_refused(tmp_path: Path) -> None:
    whole = write_tar(tmp_path / "x.tar.gz", MEMBERS).read_bytes()
    path = tmp_path / "cut.tar.gz"
    for length in range(2, len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(DataCorrupt, match=r"cut short|damaged"):
            list(read_tar(path))


def test_a_zip_file_cut_short_anywhere_is_refused(tmp_path: Path) -> None:
    whole = write_zip(tmp_path / "x.zip", MEMBERS).read_bytes()
    path = tmp_path / "cut.zip"
    for length in range(len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(DataCorrupt, match=r"cut short"):
            list(read_zip(path))


def test_a_changed_byte_of_compressed_data_is_refused(tmp_path: Path) -> None:
    whole = bytearray(write_tar(tmp_path / "x.tar.gz", MEMBERS).read_bytes())
    whole[len(whole) // 2] ^= 0x10
    path = tmp_path / "changed.tar.gz"
    path.write_bytes(whole)
    with pytest.raises(DataCorrupt, match="damaged"):
        list(read_tar(path))


@pytest.mark.parametrize(
    "content",
    [b"", b"hello" * 1_000, gzip.compress(b"hello" * 1_000, mtime=0), b"<html>404</html>"],
    ids=["empty", "text", "compressed text", "web page"],
)
def test_what_is_no_archive_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.tar.gz"
    path.write_bytes(content)
    for read in (read_tar, read_zip):
        with pytest.raises(DataCorrupt, match="it is no"):
            list(read(path))


@pytest.mark.parametrize("name", ["../x.txt", "a/../../x.txt", "/etc/x.txt", "a\\x.txt"])
def test_a_name_that_points_outside_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataCorrupt, match="unsafe name"):
        list(read_tar(write_tar(tmp_path / "x.tar.gz", {name: b"x"})))
    with pytest.raises(DataCorrupt, match="unsafe name"):
        list(read_zip(write_zip(tmp_path / "x.zip", {name: b"x"})))


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE])
def test_a_link_in_a_tar_archive_is_refused(tmp_path: Path, kind: bytes) -> None:
    path = tmp_path / "x.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        link = tarfile.TarInfo("a/link.txt")
        link.type, link.linkname = kind, "/etc/passwd"
        archive.addfile(link)
    with pytest.raises(DataCorrupt, match=r"a link \('a/link\.txt'\)"):
        list(read_tar(path))


@pytest.mark.parametrize("kind", [tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE])
def test_a_device_or_pipe_in_a_tar_archive_is_refused(tmp_path: Path, kind: bytes) -> None:
    path = tmp_path / "x.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        device = tarfile.TarInfo("a/device")
        device.type = kind
        archive.addfile(device)
    with pytest.raises(DataCorrupt, match=r"a device or pipe \('a/device'\)"):
        list(read_tar(path))


def test_a_link_in_a_zip_archive_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w") as archive:
        link = zipfile.ZipInfo("link.txt")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(DataCorrupt, match="a link"):
        list(read_zip(path))


def test_an_archive_that_unpacks_to_too_much_is_refused(tmp_path: Path) -> None:
    bomb = {"zeros.txt": bytes(9 * 2**20)}  # 9 MiB in 9 KB
    with pytest.raises(DataCorrupt, match=r"zeros\.txt has more than 8,388,608 bytes"):
        list(read_tar(write_tar(tmp_path / "x.tar.gz", bomb)))
    with pytest.raises(DataCorrupt, match=r"zeros\.txt has more than 8,388,608 bytes"):
        list(read_zip(write_zip(tmp_path / "x.zip", bomb)))
    with pytest.raises(DataCorrupt, match="what it unpacks to has more than 1,000,000 bytes"):
        list(read_tar(tmp_path / "x.tar.gz", max_bytes=1_000_000))


def test_many_small_files_count_together(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "x.zip", {f"{number}.txt": bytes(1_000) for number in range(20)})
    assert len(list(read_zip(path, max_bytes=20_000))) == 20
    with pytest.raises(DataCorrupt, match="bytes"):
        list(read_zip(path, max_bytes=19_999))


def test_an_encrypted_zip_is_refused(tmp_path: Path) -> None:
    data = bytearray(write_zip(tmp_path / "x.zip", {"a.txt": b"a"}).read_bytes())
    for magic, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(magic) + flags] |= 1  # the flag that says: encrypted
    (tmp_path / "x.zip").write_bytes(data)
    with pytest.raises(DataCorrupt, match="encrypted"):
        list(read_zip(tmp_path / "x.zip"))


def test_a_gzip_file_is_unpacked_and_a_plain_one_is_read_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "packed.gz").write_bytes(gzip.compress(b"letters"))
    (tmp_path / "plain.gz").write_bytes(b"letters")
    assert read_gzip(tmp_path / "packed.gz") == read_gzip(tmp_path / "plain.gz") == b"letters"
    for name in ("packed.gz", "plain.gz"):
        with pytest.raises(DataCorrupt, match="more than 6 bytes"):
            read_gzip(tmp_path / name, max_bytes=6)


def test_a_file_that_cannot_be_read_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(DataCorrupt, match="cannot be read"):
        read_bounded(tmp_path)
    with pytest.raises(DataCorrupt, match="cannot be read"):
        list(read_zip(tmp_path / "none.zip"))


def test_a_member_cut_short_in_a_plain_tar_is_refused(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:") as archive:
        info = tarfile.TarInfo("a.txt")
        info.size = 1_000
        archive.addfile(info, io.BytesIO(bytes(1_000)))
    path = tmp_path / "x.tar"
    path.write_bytes(buffer.getvalue()[:900])
    with pytest.raises(DataCorrupt, match="cut short"):
        list(read_tar(path))
