"""The README shows what really happens: its commands run, and its output is theirs."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from checkout import find_checkout
from program import environment_with, fedgdl

README = (find_checkout() / "README.md").read_text(encoding="utf-8")
CONSOLES = re.findall(r"```console\n(.*?)```", README, re.DOTALL)
SHOWN = [block for block in CONSOLES if not block.strip().splitlines()[-1].startswith("$")]
COMMANDS = [line.removeprefix("$ ") for block in CONSOLES for line in block.splitlines() if line.startswith("$ ")]
PROGRAMS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


def comparable(output: str) -> list[str]:
    """Returns the lines of an output without what differs from run to run: seconds, model, folder, spaces."""
    lines = [" ".join(line.split()) for line in output.splitlines() if not line.startswith("model ")]
    return [re.sub(r" \d\.\d\d$", "", line) for line in lines if line]


@pytest.mark.parametrize("block", SHOWN, ids=lambda block: block.splitlines()[0])
def test_the_output_shown_is_what_the_command_prints(block: str, tmp_path: Path) -> None:
    command, _, shown = block.partition("\n")
    finished = fedgdl(*shlex.split(command)[2:], cwd=tmp_path, COLUMNS="80")
    assert finished.returncode == 0, finished.stderr
    assert comparable(finished.stdout) == comparable(shown)


@pytest.mark.parametrize("command", [line for line in COMMANDS if "fetch" not in line])
def test_every_command_shown_runs(command: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    data = request.getfixturevalue("real_data") if command == "fedgdl run spam-book" else None
    finished = fedgdl(*shlex.split(command)[1:], cwd=tmp_path, data=data)
    assert finished.returncode == 0, finished.stderr


def test_fetching_is_the_only_command_not_run_here() -> None:
    assert [line for line in COMMANDS if "fetch" in line] == ["fedgdl data fetch enron"]


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.splitlines()[0])
def test_every_program_shown_runs(program: str, tmp_path: Path) -> None:
    script = tmp_path / "shown.py"
    script.write_text(program)
    command = [sys.executable, str(script)]
    environment = environment_with(None)
    finished = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert (finished.returncode, finished.stderr) == (0, "")
    expected = re.search(r"print\(.*\)  # (.*)", program)
    assert expected is None or finished.stdout.strip() == expected[1]
