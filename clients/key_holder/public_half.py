"""The public half of a private key's file, for those who must not have the other half: another process reads the file.

Not here: the format of the file (`fedgdl.crypto.paillier.private.key_files`).

Example:
    >>> public_half(Path("no-such-key.json"))  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    fedgdl.errors.ConfigError: there is no key file no-such-key.json; `fedgdl keys new ...
"""

import subprocess
import sys
from pathlib import Path

from fedgdl.crypto.paillier import PaillierPublicKey
from fedgdl.errors import ConfigError, CryptoError

__all__ = ["main", "public_half"]


def public_half(path: Path) -> PaillierPublicKey:
    """Returns the public half of a private key's file; what is private never comes into this process.

    Raises:
        ConfigError: the file cannot be used; says why.
    """
    finished = subprocess.run(  # noqa: S603 (this very module, with a path that it opens as a file)
        [sys.executable, "-m", "clients.key_holder.public_half", str(path)], capture_output=True, check=False
    )
    if finished.returncode:
        message = finished.stderr.decode(errors="backslashreplace").strip() or "its reader was killed"
        raise ConfigError(message.splitlines()[-1])
    return PaillierPublicKey.from_bytes(finished.stdout)


def main(path: str) -> int:
    """Writes the public half to the standard output, or why it cannot to the standard error; returns the exit code."""
    from fedgdl.crypto.paillier.private import read_private_key  # lazily: whoever imports this gets public halves alone

    try:
        sys.stdout.buffer.write(read_private_key(Path(path)).public_key.to_bytes())
    except (ConfigError, CryptoError) as error:
        sys.stderr.write(str(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
