"""The import contracts of pyproject.toml hold, and each of them notices when it is broken."""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
from pathlib import Path

import pytest
from checkout import PACKAGES, find_checkout

# (contract, file, what is added to it): one import each that the contract must refuse.
VIOLATIONS = [
    ("storeys", "fedgdl/errors.py", "import server.round_state"),
    ("storeys", "fedgdl/federated/planted.py", "import clients.worker"),
    ("storeys", "clients/planted.py", "import server.coordinator"),
    ("storeys", "clients/planted.py", "from experiments import simulation"),
    ("storeys", "server/planted.py", "def late() -> None:\n    import clients.worker"),
    ("floors", "fedgdl/errors.py", "from fedgdl.config import Experiment"),
    ("floors", "fedgdl/config/planted.py", "import fedgdl.autograd"),
    ("floors", "fedgdl/autograd/planted.py", "from fedgdl import nn"),
    ("floors", "fedgdl/optim/planted.py", "import fedgdl.nn"),
    ("floors", "fedgdl/seeding.py", "import fedgdl.parameters"),
    ("floors", "fedgdl/models/planted.py", "import fedgdl.data"),
    ("floors", "fedgdl/data/planted.py", "import fedgdl.federated"),
    ("floors", "fedgdl/crypto/planted.py", "import fedgdl.data"),
    ("floors", "fedgdl/crypto/masking/planted.py", "from fedgdl.federated import Strategy"),
    ("floors", "fedgdl/federated/planted.py", "import fedgdl.wire"),
    ("floors", "fedgdl/wire/planted.py", "import fedgdl.runtime"),
    ("floors", "fedgdl/zoo/planted.py", "import fedgdl.wire"),
    ("floors", "fedgdl/utils.py", "import math"),
    ("no-programs-in-the-library", "fedgdl/planted.py", "import subprocess"),
    ("no-programs-in-the-library", "fedgdl/data/planted.py", "import typer"),
    ("logs", "server/planted.py", "import multiprocessing_logging"),
    ("logs", "fedgdl/runtime/planted.py", "from multiprocessing_logging import MultiProcessingHandler"),
    ("truth", "server/planted.py", "import experiments.observer"),
    ("truth", "experiments/attacks/words.py", "from clients.observer import vector_path"),
    ("truth", "experiments/attacks/planted.py", "def late() -> None:\n    from experiments import observer"),
    ("truth", "experiments/audit/document.py", "import experiments.observer"),
    ("truth", "clients/protection/planted.py", "from clients import observer"),
    ("private-keys", "clients/protection/planted.py", "from fedgdl.crypto.paillier import private"),
    ("private-keys", "experiments/planted.py", "from fedgdl.crypto.paillier.private import PaillierPrivateKey"),
    ("private-keys", "experiments/audit/planted.py", "import fedgdl.crypto.paillier.private.primes"),
    ("private-keys", "fedgdl/crypto/paillier/pool.py", "def late() -> None:\n    from .private import key_share"),
    ("no-private-key-in-the-server", "server/planted.py", "import fedgdl.crypto.paillier.private.private_key"),
    ("no-private-key-in-the-server", "fedgdl/wire/codec.py", "from fedgdl.crypto.paillier.private import KeyShare"),
    (
        "no-private-key-in-the-server",
        "fedgdl/crypto/paillier/threshold.py",
        "from fedgdl.crypto.paillier import private",
    ),
    ("phe", "clients/planted.py", "import phe"),
    ("phe", "fedgdl/planted.py", "from phe import paillier"),
    ("phe", "fedgdl/crypto/paillier/packing.py", "import phe"),
    ("phe", "experiments/commands/planted.py", "def late() -> None:\n    import phe"),
    ("round-state", "server/round_state.py", "import socket"),
    ("round-state", "server/round_state.py", "from concurrent.futures import Future"),
    ("round-state", "server/round_state.py", "from pathlib import Path"),
]


def contract_names(root: Path) -> dict[str, str]:
    """Returns the name of each contract by its id."""
    document = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))
    return {contract["id"]: contract["name"] for contract in document["tool"]["importlinter"]["contracts"]}


def lint_imports(root: Path) -> tuple[int, str]:
    """Runs `lint-imports` in a source tree and returns its exit code and all it printed."""
    command = [str(Path(sysconfig.get_path("scripts"), "lint-imports")), "--no-cache", "--no-logo"]
    done = subprocess.run(  # wide: otherwise long names are wrapped
        command, cwd=root, env={**os.environ, "COLUMNS": "400"}, capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout + done.stderr


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Returns a copy of the four packages and pyproject.toml, to be broken at will."""
    checkout = find_checkout()
    for package in PACKAGES:
        shutil.copytree(checkout / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(checkout / "pyproject.toml", tmp_path)
    return tmp_path


def test_all_contracts_hold(tree: Path) -> None:
    code, output = lint_imports(tree)
    assert code == 0, output
    for name in contract_names(tree).values():
        assert f"{name} KEPT" in output


@pytest.mark.parametrize(
    ("contract", "file", "addition"), VIOLATIONS, ids=[f"{row[0]}: {row[1]}: {row[2]}" for row in VIOLATIONS]
)
def test_a_violation_breaks_its_contract(tree: Path, contract: str, file: str, addition: str) -> None:
    path = tree / file
    path.write_text((path.read_text("utf-8") if path.exists() else "") + f"\n{addition}\n", "utf-8")

    code, output = lint_imports(tree)

    assert code != 0, output
    name = contract_names(tree)[contract]
    assert re.search(rf"^{re.escape(name)} BROKEN", output, re.MULTILINE), output


def test_each_contract_has_a_violation_here() -> None:
    assert {contract for contract, _, _ in VIOLATIONS} == set(contract_names(find_checkout()))


def modules_after(statement: str, cwd: Path) -> set[str]:
    """Returns the names of all modules that a fresh interpreter holds after one statement."""
    code = f"{statement}\nimport sys\nprint(*sys.modules, sep='\\n')"
    done = subprocess.run([sys.executable, "-c", code], cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


def test_the_round_state_drags_in_no_process_or_socket(tmp_path: Path) -> None:
    """import-linter sees who imports whom, not what an `__init__` on the way brings along; this does.

    `threading` is not in the list: NumPy imports it. Nor are `os` and `pathlib`: every interpreter has them.
    """
    before = modules_after("pass", tmp_path)
    added = modules_after("import server.round_state", tmp_path) - before
    assert "server.round_state" in added
    assert added.isdisjoint({"asyncio", "concurrent.futures", "multiprocessing", "socket", "subprocess"})


@pytest.mark.parametrize(
    ("program", "stranger"), [("server.coordinator", "clients"), ("clients.worker", "server"), ("fedgdl", "server")]
)
def test_a_program_does_not_load_the_other(program: str, stranger: str, tmp_path: Path) -> None:
    loaded = modules_after(f"import {program}", tmp_path)
    assert program in loaded
    assert loaded.isdisjoint({stranger, "experiments", "phe"})


PRIVATE = "fedgdl.crypto.paillier.private"


@pytest.mark.parametrize(
    ("statement", "loaded"),
    [
        ("import server.coordinator", "server.coordinator"),
        ("import server.aggregation.paillier, server.key_holder", "fedgdl.crypto.paillier"),
        ("import clients.worker", "clients.worker"),
        ("import clients.protection.paillier", "fedgdl.crypto.paillier"),
        ("import clients.key_holder.rules, clients.key_holder.transcript", "fedgdl.crypto.paillier"),
    ],
)
def test_who_only_encrypts_or_adds_loads_nothing_that_decrypts(statement: str, loaded: str, tmp_path: Path) -> None:
    """What an `__init__` brings along counts here, too."""
    modules = modules_after(statement, tmp_path)
    assert loaded in modules
    assert not [name for name in modules if name == PRIVATE or name.startswith(f"{PRIVATE}.")]
    assert "phe" not in modules


def test_a_plain_run_s_programs_load_no_encryption(tmp_path: Path) -> None:
    statement = "import server.coordinator, clients.worker, clients.worker_process, experiments.simulation"
    modules = modules_after(statement, tmp_path)
    assert modules.isdisjoint({"fedgdl.crypto.paillier", "gmpy2", "phe", "cryptography"})
