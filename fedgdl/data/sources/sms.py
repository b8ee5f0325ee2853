r"""SMS Spam Collection v.1: 5,574 English text messages, one a line: `ham` or `spam`, a tab, the message.

The collection does not say who got a message, so it has no natural clients: partition it with
`"iid"` or `"shares"`.

Source:
    T. A. Almeida, J. M. Gomez Hidalgo, A. Yamakami, "Contributions to the Study of SMS Spam
    Filtering: New Collection and Results", DocEng 2011.

Example:
    >>> [(mail.label, mail.text) for mail in read_messages(b"ham\tsee you at noon\n")]
    [(0, 'see you at noon')]
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from fedgdl.config import DataConfig
from fedgdl.data.archives import read_bounded, read_zip
from fedgdl.data.mail import HAM, SPAM, Mail, MailSource, clean_split
from fedgdl.data.source import SourceFile, blame
from fedgdl.data.split import Split
from fedgdl.errors import DataCorrupt

__all__ = ["SOURCE", "members", "read_messages"]

_FILE: Final = "SMSSpamCollection"
_LABELS: Final = {"ham": HAM, "spam": SPAM}
_ZIP_MAGIC: Final = b"PK\x03\x04"


def members(path: Path) -> list[tuple[str, bytes]]:
    """Returns the collection's one file as (name, bytes), from the official zip or as it is.

    Raises:
        DataCorrupt: the zip is damaged or does not hold the collection.
    """
    data = read_bounded(path)
    if data.startswith(_ZIP_MAGIC):
        found = [member for member in read_zip(path) if member[0].rpartition("/")[2] == _FILE]
        if len(found) != 1:
            message = f"the zip archive does not hold one file {_FILE}"
            raise DataCorrupt(message)
        data = found[0][1]
    return [(_FILE, data)]


def read_messages(data: bytes) -> Iterator[Mail]:
    """Yields the messages of the collection's file, in file order.

    Raises:
        DataCorrupt: it is not UTF-8, has no message, or a line is not a label, a tab and a message.
    """
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        message = f"it is no UTF-8 text (byte {error.start})"
        raise DataCorrupt(message) from error
    lines = text.removesuffix("\n").split("\n")
    for number, line in enumerate(lines, start=1):
        label, tab, words = line.partition("\t")
        if not tab or label not in _LABELS or "\0" in words:
            message = f"line {number} is not `ham` or `spam`, a tab and a message; is it another file under this name?"
            raise DataCorrupt(message)
        yield Mail(words, _LABELS[label])


def _split(paths: tuple[Path, ...], config: DataConfig, seed: int) -> Split:
    with blame(str(paths[0]), SOURCE.remedy):
        ((_, data),) = members(paths[0])
        return clean_split(read_messages(data), config, seed)


SOURCE: Final = MailSource(
    name="sms",
    title="SMS Spam Collection v.1",
    licence="CC BY 4.0",
    citation=(
        "T. A. Almeida, J. M. Gomez Hidalgo, A. Yamakami. Contributions to the Study of SMS Spam Filtering: "
        "New Collection and Results. DocEng 2011."
    ),
    files=(
        SourceFile(
            path=f"sms/{_FILE}",
            url="https://archive.ics.uci.edu/static/public/228/sms+spam+collection.zip",
            num_bytes=478_000,
            sha256="1adb227fce200615a7841b3d3781a07baf3e2bb05296d32dec5b4d274bd005bf",
            members=members,
            is_unpacked=True,
        ),
    ),
    split=_split,
)
