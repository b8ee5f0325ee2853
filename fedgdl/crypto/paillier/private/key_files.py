"""Keys in files: private ones that nobody but their owner can read, from the moment they exist.

A file is written beside its final place, under a name of its own and with mode 0600, and then linked to the final
name, which fails where something is there already: no key is ever overwritten, and none is there half written.

Not here: what a document of a key looks like (`documents`).

Threat model: other people with accounts on the machine, who may have put links or files of theirs where a key is
    expected. A private key is read through no link, from no file of somebody else's, and not at all when others may
    read it: such a key has to be thought of as known to them.

Not protected against: whoever can act as the owner or the system's administrator; copies that backups keep; a disk
    that is taken away: the file is not encrypted.

Example:
    >>> import tempfile
    >>> from fedgdl.crypto.paillier.private.generation import generate
    >>> key, path = generate(128), Path(tempfile.mkdtemp()) / "key.json"  # far too short: for examples and tests
    >>> write_private_key(path, key)
    >>> oct(path.stat().st_mode)
    '0o100600'
    >>> read_private_key(path).public_key == key.public_key
    True
"""

import errno
import os
import secrets
import shlex
import stat
from contextlib import suppress
from pathlib import Path
from typing import Final

from fedgdl.crypto.paillier.private.documents import MAX_DOCUMENT_BYTES
from fedgdl.crypto.paillier.private.private_key import PaillierPrivateKey
from fedgdl.crypto.paillier.public_key import PaillierPublicKey
from fedgdl.errors import ConfigError, CryptoError

__all__ = ["read_private_key", "read_public_key", "write_private_key", "write_public_key"]

_PRIVATE: Final = 0o600
_PUBLIC: Final = 0o644
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO
_NEW_KEY: Final = "Restore it, or make another with `fedgdl keys new`"


def write_private_key(path: Path, key: PaillierPrivateKey) -> None:
    """Writes a private key to a new file of mode 0600.

    Raises:
        ConfigError: there is something at the path already, or it cannot be written; the message says what to do.
    """
    _write(path, key.to_document(), _PRIVATE)


def read_private_key(path: Path) -> PaillierPrivateKey:
    """Returns the private key of a file that `write_private_key` wrote.

    Raises:
        ConfigError: there is no such file, it is a link or somebody else's, or others may read it; the message says
            what to do.
        CryptoError: its content is not that of a private key; the message tells nothing of it.
    """
    document = _read(path, is_private=True)
    with suppress(CryptoError):
        return PaillierPrivateKey.from_document(document)
    message = f"{path} holds no Paillier private key: it was changed, cut short or is something else. {_NEW_KEY}"
    raise CryptoError(message)


def write_public_key(path: Path, key: PaillierPublicKey) -> None:
    """Writes a public key to a new file that everybody may read.

    Raises:
        ConfigError: there is something at the path already, or it cannot be written; the message says what to do.
    """
    _write(path, key.to_bytes(), _PUBLIC)


def read_public_key(path: Path) -> PaillierPublicKey:
    """Returns the public key of a file that `write_public_key` wrote.

    Raises:
        ConfigError: there is no such file, or it cannot be read.
        CryptoError: its content is not that of a public key.
    """
    document = _read(path, is_private=False)
    with suppress(CryptoError):
        return PaillierPublicKey.from_bytes(document)
    message = f"{path} holds no Paillier public key: it was changed, cut short or is something else"
    raise CryptoError(message)


def _write(path: Path, data: bytes, mode: int) -> None:
    scratch = path.parent / f".{path.name}.{secrets.token_hex(8)}.part"
    try:
        try:
            with os.fdopen(os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.link(scratch, path)
        finally:
            scratch.unlink(missing_ok=True)
    except FileExistsError:
        message = f"{path} exists already; keys are never overwritten. Choose another name, or move it away first"
        raise ConfigError(message) from None
    except OSError as error:
        message = f"{path} cannot be written ({error.strerror}); choose a name in a folder that is there and yours"
        raise ConfigError(message) from None


def _read(path: Path, *, is_private: bool) -> bytes:
    """Returns a file's bytes, a few more than the longest document has at most."""
    try:
        # A pipe is not waited for, and a link to somewhere else not followed.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | (os.O_NOFOLLOW if is_private else 0))
        try:
            _require_file(path, os.fstat(descriptor), is_private=is_private)
            with os.fdopen(descriptor, "rb", closefd=False) as file:
                return file.read(MAX_DOCUMENT_BYTES + 1)
        finally:
            os.close(descriptor)
    except FileNotFoundError:
        message = f"there is no key file {path}; `fedgdl keys new {shlex.quote(str(path))}` makes a private key"
        raise ConfigError(message) from None
    except OSError as error:
        if is_private and error.errno in {errno.ELOOP, errno.EMLINK}:
            message = f"{path} is a symbolic link; name the file of the private key itself"
        else:
            message = f"the key file {path} cannot be read ({error.strerror})"
        raise ConfigError(message) from None


def _require_file(path: Path, status: os.stat_result, *, is_private: bool) -> None:
    """Checks what kind of file it is, and of a private key's file that it is its owner's alone."""
    name = shlex.quote(str(path))
    if not stat.S_ISREG(status.st_mode):
        message = f"{path} is no regular file, so no key file"
    elif is_private and status.st_uid != os.geteuid():
        message = f"the private key {path} belongs to another user, who can read and replace it; make one of your own"
    elif is_private and status.st_mode & _OTHERS:
        message = (
            f"the private key {path} can be read or changed by others (its mode is "
            f"{stat.S_IMODE(status.st_mode):04o}); if nobody has, run `chmod 600 {name}`, else make another"
        )
    else:
        return
    raise ConfigError(message)
