"""Enron-Spam, preprocessed: the mailboxes of six Enron employees, each mixed with spam of one source.

Six archives `enron1.tar.gz` to `enron6.tar.gz`, each with a folder of the same name that holds
`ham/NUMBER.DATE.OWNER.ham.txt` and `spam/NUMBER.DATE.SOURCE.spam.txt`: Latin-1 texts with CRLF line
ends that begin `Subject: `. NUMBER is the message's place in time among ham and spam together.
The natural clients are the owners of the mailboxes; spam belongs to the mailbox it came to.

The book's own use of the first archive is `fedgdl.data.sources.enron_book`.

Source:
    V. Metsis, I. Androutsopoulos, G. Paliouras, "Spam Filtering with Naive Bayes - Which Naive
    Bayes?", CEAS 2006, section 3.

Example:
    >>> [file.path for file in SOURCE.files[:2]]
    ['enron/enron1.tar.gz', 'enron/enron2.tar.gz']
"""

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Final

from fedgdl.config import DataConfig
from fedgdl.data.archives import read_tar
from fedgdl.data.mail import HAM, SPAM, Mail, MailSource, clean_split
from fedgdl.data.source import SourceFile, blame
from fedgdl.data.split import Split
from fedgdl.errors import DataCorrupt
from fedgdl.progress import watched

__all__ = ["CITATION", "LICENCE", "PARTS", "SOURCE", "members", "read_part"]

CITATION: Final = (
    "V. Metsis, I. Androutsopoulos, G. Paliouras. Spam Filtering with Naive Bayes - Which Naive Bayes? CEAS 2006."
)
LICENCE: Final = "none stated; the ham was published by the US Federal Energy Regulatory Commission"

_URL: Final = "http://www2.aueb.gr/users/ion/data/enron-spam/preprocessed/"
_MESSAGE_NAME: Final = re.compile(r"(?P<number>\d+)\.[\d-]+\.(?P<owner>[^.]+)\.(?P<kind>ham|spam)\.txt")
_HEADER: Final = b"Subject:"

_MAILBOXES: Final = {
    "farmer": "farmer-d",
    "kaminski": "kaminski-v",
    "kitchen": "kitchen-l",
    "williams": "williams-w3",
    "beck": "beck-s",
    "lokay": "lokay-m",
}
"""The mailboxes' names in the Enron corpus (the paper's table 1); the files' names have the surname alone."""

_CONTROL_BYTES: Final = bytes(byte for byte in range(32) if byte not in b"\t\n\r")
_MAX_CONTROL_SHARE: Final = 0.1
"""A text with more control characters than this is none. The real e-mails have stray ones, NULs
included, but at most 3.6 % of a message."""


def members(part: str, path: Path) -> list[tuple[str, bytes]]:
    """Returns (member name, bytes) of each e-mail of a part's archive, in the archive's order.

    Args:
        part: the folder that the archive should hold, `"enron1"` to `"enron6"`.
        path: the archive.

    Raises:
        DataCorrupt: the archive is damaged, has no ham or no spam folder, is of another part, or holds
            an e-mail that is none.
    """
    wanted = re.compile(rf"{part}/(ham|spam)/[^/]+\.txt")
    found, others = [], set()
    for name, data in read_tar(path):
        if wanted.fullmatch(name):
            _check_text(name, data)
            found.append((name, data))
        else:
            others.add(name.partition("/")[0])
    for kind in ("ham", "spam"):
        if not any(name.startswith(f"{part}/{kind}/") for name, _ in found):
            elsewhere = ", ".join(sorted(others - {part})[:3])
            message = f"it has no e-mails in the folder {part}/{kind}/" + (
                f"; it holds {elsewhere} instead: is it another archive under this name?" if elsewhere else ""
            )
            raise DataCorrupt(message)
    return found


def read_part(part: str, path: Path) -> Iterator[Mail]:
    """Yields the e-mails of one part in time order, without the word `Subject:`, with the mailbox's owner.

    Raises:
        DataCorrupt: see `members`; or a file name is not of the form NUMBER.DATE.OWNER.ham.txt.
    """
    numbered = []
    owner = ""
    for name, data in members(part, path):
        match = _MESSAGE_NAME.fullmatch(name.rpartition("/")[2])
        if match is None or f"/{match['kind']}/" not in name:
            message = f"the file name {name!r} is not of the form {part}/ham/NUMBER.DATE.OWNER.ham.txt"
            raise DataCorrupt(message)
        if match["kind"] == "ham":
            if owner not in ("", match["owner"]):
                message = f"it holds ham of two mailboxes, {owner} and {match['owner']}, but a part is one mailbox"
                raise DataCorrupt(message)
            owner = match["owner"]
        numbered.append((int(match["number"]), match["kind"], data))
    owner = _MAILBOXES.get(owner, owner)
    for _, kind, data in sorted(numbered):
        yield Mail(data[len(_HEADER) :].decode("latin-1"), SPAM if kind == "spam" else HAM, owner)


def _check_text(name: str, data: bytes) -> None:
    if not data.startswith(_HEADER):
        message = f"the member {name} is no e-mail: it does not begin with 'Subject:'"
        raise DataCorrupt(message)
    num_control = len(data) - len(data.translate(None, _CONTROL_BYTES))
    if num_control > _MAX_CONTROL_SHARE * len(data):
        message = f"the member {name} is no text: {num_control} of its {len(data)} bytes are control characters"
        raise DataCorrupt(message)


def _split(paths: tuple[Path, ...], config: DataConfig, seed: int) -> Split:
    return clean_split(_all_mails(paths), config, seed)


def _all_mails(paths: tuple[Path, ...]) -> Iterator[Mail]:
    for part, path in watched(list(zip(PARTS, paths, strict=True)), "preparing Enron-Spam"):
        with blame(str(path), SOURCE.remedy):
            yield from read_part(part, path)


def _part(name: str, num_bytes: int, sha256: str) -> SourceFile:
    return SourceFile(
        path=f"enron/{name}.tar.gz",
        url=f"{_URL}{name}.tar.gz",
        num_bytes=num_bytes,
        sha256=sha256,
        members=partial(members, name),
    )


PARTS: Final = {
    part.path.removeprefix("enron/").removesuffix(".tar.gz"): part
    for part in (
        _part("enron1", 1_800_000, "51d45ab6077120b524f83b68583a9f175cc7f1118df3f3a12897e663c637cfd5"),
        _part("enron2", 2_900_000, "f2be4d8ddba1aa1e74a401b363313f8d917139cdb6d9f18b64b5050393a2e9d3"),
        _part("enron3", 4_600_000, "d410681eabe7d884a2f2b8149b7be665a5c164d060e1144f5f23d494ed1d16ac"),
        _part("enron4", 2_500_000, "f9248f380dc66b223ce8cc45151276462ec5a9d90aa460ab81dc615877abae5d"),
        _part("enron5", 2_400_000, "142bab2dec9c223e7f878568382d51ad419e78bc75aa54c3a8fafae41d0d6e38"),
        _part("enron6", 3_100_000, "eae6ba2f4de7df63f40f168e909313b4e9ce3907702c4ad0d760a60f2fef46a5"),
    )
}
"""The six archives by the name of their folder."""

SOURCE: Final = MailSource(
    name="enron",
    title="Enron-Spam, six mailboxes",
    licence=LICENCE,
    citation=CITATION,
    files=tuple(PARTS.values()),
    split=_split,
)
