"""The packages that are no programs say so, and `python -m experiments.cli` is `fedgdl`."""

import subprocess
import sys
from pathlib import Path

import pytest
from program import environment_with, fedgdl

import fedgdl as library


@pytest.mark.parametrize("package", ["server", "clients"])
def test_server_and_clients_say_what_they_are_and_what_to_type(package: str, tmp_path: Path) -> None:
    finished = subprocess.run(
        [sys.executable, "-m", package],
        cwd=tmp_path,
        env=environment_with(None),
        capture_output=True,
        text=True,
        check=True,
    )
    assert "fedgdl run spam" in finished.stdout
    assert finished.stderr == ""


def test_the_module_does_what_the_program_does(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "experiments.cli", "--version"]
    finished = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert finished.stdout == fedgdl("--version", cwd=tmp_path).stdout == f"fedgdl {library.__version__}\n"


def test_a_run_from_the_module_has_its_worker_processes(tmp_path: Path) -> None:
    arguments = ["run", "spam", "--set", "data.source=synthetic-mail", "--rounds", "1", "--out", "run"]
    command = [sys.executable, "-m", "experiments.cli", *arguments]
    environment = environment_with(None)
    finished = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    assert finished.stderr == ""
    assert "worker-1[" in (tmp_path / "run" / "run.log").read_text()


@pytest.mark.parametrize(
    "arguments", [["--help"], ["run", "--help"], ["attack", "words", "--help"], ["data", "--help"]]
)
def test_help_needs_no_array_library(arguments: list[str], tmp_path: Path) -> None:
    code = f"import sys; sys.argv[1:] = {arguments!r}\nfrom experiments.cli import main\n"
    code += "try:\n    main()\nexcept SystemExit:\n    print('numpy' in sys.modules, 'matplotlib' in sys.modules)"
    finished = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert finished.stdout.splitlines()[-1] == "False False"
