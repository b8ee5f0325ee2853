"""The public half of a key file comes without the private one having been in this process."""

from pathlib import Path

import pytest

from clients.key_holder.public_half import public_half
from fedgdl.crypto.paillier.private import generate, private_key, write_private_key
from fedgdl.errors import ConfigError


def test_another_process_reads_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key = generate(256)
    write_private_key(tmp_path / "key.json", key)

    def read_here(*_: object) -> None:
        pytest.fail("the private key has been read in this process")

    monkeypatch.setattr(private_key.PaillierPrivateKey, "from_document", read_here)
    assert public_half(tmp_path / "key.json") == key.public_key


def test_what_is_wrong_with_the_file_is_told(tmp_path: Path) -> None:
    path = tmp_path / "key.json"
    write_private_key(path, generate(256))
    path.chmod(0o644)
    with pytest.raises(ConfigError, match="chmod"):
        public_half(path)
    path.chmod(0o600)
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(ConfigError, match="holds no Paillier private key"):
        public_half(path)
