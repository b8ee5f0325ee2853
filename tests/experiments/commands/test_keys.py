"""`fedgdl keys`: makes a key that only its owner can read, tells what of it is public, and nothing else."""

import json
import stat
from pathlib import Path

import pytest
from paillier_keys import djn_key
from program import fedgdl, fedgdl_json

from fedgdl.crypto.paillier.private import read_private_key, write_private_key


def test_a_new_key_is_made_and_shown(tmp_path: Path) -> None:
    path = tmp_path / "key.json"
    made = fedgdl("keys", "new", "key.json", "--insecure-bits", "256", cwd=tmp_path)
    assert (made.returncode, made.stderr) == (0, "")
    key = read_private_key(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert key.public_key.num_bits == 256
    assert made.stdout.splitlines() == [
        "key.json: a private key of 256 bits, scheme djn",
        f"key id {key.public_key.key_id}",
        "insecure: a modulus this short can be factored; for teaching only",
    ]
    document = fedgdl_json("keys", "show", str(path), cwd=tmp_path)
    assert document == {
        "path": str(path),
        "key_id": key.public_key.key_id,
        "key_bits": 256,
        "scheme": "djn",
        "is_insecure": True,
        "public_key": {"n": f"{key.public_key.n:x}", "hs": f"{key.public_key.hs:x}"},
    }
    assert all(f"{factor:x}" not in made.stdout + json.dumps(document) for factor in key.factors)


@pytest.mark.slow
def test_a_key_has_3072_bits_unless_said_otherwise(tmp_path: Path) -> None:
    document = fedgdl_json("keys", "new", "usual.json", cwd=tmp_path)
    assert (document["key_bits"], document["is_insecure"]) == (3072, False)
    document = fedgdl_json("keys", "new", "shorter.json", "--bits", "2048", cwd=tmp_path)
    assert (document["key_bits"], document["is_insecure"]) == (2048, False)


@pytest.mark.parametrize("options", [["--bits", "2049"], ["--insecure-bits", "2048"]])
def test_sizes_that_are_no_key_s_are_refused(tmp_path: Path, options: list[str]) -> None:
    refused = fedgdl("keys", "new", "key.json", *options, cwd=tmp_path)
    assert refused.returncode == 2
    assert "Traceback" not in refused.stderr
    assert list(tmp_path.iterdir()) == []


def test_what_is_wrong_with_a_file_is_said_in_one_line(tmp_path: Path) -> None:
    missing = fedgdl("keys", "show", "key.json", cwd=tmp_path)
    assert (missing.returncode, missing.stdout, missing.stderr) == (
        2,
        "",
        "error: there is no key file key.json; `fedgdl keys new key.json` makes a private key\n",
    )
    path = tmp_path / "key.json"
    write_private_key(path, djn_key(256))
    digits = json.loads(path.read_text())["p"]
    path.write_text(path.read_text().replace(digits, digits[::-1]))
    damaged = fedgdl("keys", "show", "key.json", cwd=tmp_path)
    assert (damaged.returncode, damaged.stdout) == (1, "")
    assert damaged.stderr.startswith("error: key.json holds no Paillier private key")
    assert damaged.stderr.count("\n") == 1
    assert digits not in damaged.stderr
    assert digits[::-1] not in damaged.stderr
