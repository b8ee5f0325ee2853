"""Small made-up data sets under the official names, and a loopback web server that offers files."""

import io
import tarfile
import threading
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Literal

import numpy as np

OWNERS = ("farmer", "kaminski", "kitchen", "williams", "beck", "lokay")
MAILBOXES = ("beck-s", "farmer-d", "kaminski-v", "kitchen-l", "lokay-m", "williams-w3")

_SPAM_WORDS = ("prize", "winner", "offer", "pills", "money", "click", "free")
_HAM_WORDS = ("meeting", "agenda", "gas", "contract", "schedule", "lunch", "report")


def make_text(number: int, *, is_spam: bool) -> bytes:
    """Returns an e-mail that no other number gives: a few words of its class and its own number."""
    rng = np.random.default_rng([number, is_spam])
    words = rng.choice(_SPAM_WORDS if is_spam else _HAM_WORDS, 3)
    return f"Subject: about {words[0]}\r\nword{number} {words[1]} , {words[2]}\r\n".encode()


def enron_members(part: int, num_ham: int, num_spam: int) -> dict[str, bytes]:
    """Returns the members of a made-up part by name; ham has the even numbers first, as in time order."""
    members = {f"enron{part}/Summary.txt": b"made up"}
    kinds = [False] * num_ham + [True] * num_spam
    np.random.default_rng(part).shuffle(kinds)
    for number, is_spam in enumerate(kinds, start=1):
        kind, sender = ("spam", "GP") if is_spam else ("ham", OWNERS[part - 1])
        name = f"enron{part}/{kind}/{number:04}.2001-02-{number % 28 + 1:02}.{sender}.{kind}.txt"
        members[name] = make_text(10_000 * part + number, is_spam=is_spam)
    return members


def write_tar(path: Path, members: Mapping[str, bytes], *, mode: Literal["w:gz", "w:"] = "w:gz") -> Path:
    """Writes a tar archive, compressed or plain."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, mode) as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def write_zip(path: Path, members: Mapping[str, bytes]) -> Path:
    """Writes a zip archive."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def write_enron(root: Path, num_ham: int = 12, num_spam: int = 8, parts: range = range(1, 7)) -> Path:
    """Writes made-up archives of some parts below a data root, and returns the root."""
    for part in parts:
        write_tar(root / "enron" / f"enron{part}.tar.gz", enron_members(part, num_ham, num_spam))
    return root


def write_sms(root: Path, num_messages: int = 40) -> Path:
    """Writes a made-up collection of messages, every fourth of them spam, and returns the root."""
    path = root / "sms" / "SMSSpamCollection"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(sms_bytes(num_messages))
    return root


def sms_bytes(num_messages: int) -> bytes:
    """Returns a made-up collection of messages as the file's bytes."""
    lines = []
    for number in range(num_messages):
        is_spam = number % 4 == 0
        words = make_text(number, is_spam=is_spam).decode().split()[1:]
        lines.append(f"{'spam' if is_spam else 'ham'}\t{' '.join(words)} £\n")
    return "".join(lines).encode()


class _QuietRequests(SimpleHTTPRequestHandler):
    """Serves a folder, and under `/short/` the same files with only half of the bytes that were promised."""

    def log_message(self, *_: Any) -> None:
        """Keeps the tests' standard error clean."""

    def do_GET(self) -> None:
        if not self.path.startswith("/short/"):
            super().do_GET()
            return
        data = Path(self.translate_path(self.path.removeprefix("/short"))).read_bytes()
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data[: len(data) // 2])


@contextmanager
def serve(folder: Path) -> Iterator[str]:
    """Gives the address of a web server on the loopback interface that offers a folder."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_QuietRequests, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
