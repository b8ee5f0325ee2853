"""Starts the installed `fedgdl` program, as a person would."""

import json
import os
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

import psutil

PROGRAM = str(Path(sysconfig.get_path("scripts")) / "fedgdl")


def fedgdl(
    *arguments: str, cwd: Path, data: Path | None = None, **environment: str
) -> "subprocess.CompletedProcess[str]":
    """Runs `fedgdl` with some arguments in a folder; without `data` the machine's own data sets are hidden."""
    return subprocess.run(
        [PROGRAM, *arguments],
        cwd=cwd,
        env=environment_with(data, **environment),
        capture_output=True,
        text=True,
        check=False,
        timeout=110,
    )


def fedgdl_json(*arguments: str, cwd: Path, data: Path | None = None) -> dict[str, Any]:
    """Runs `fedgdl ... --json`, which must succeed and print one JSON document, and returns that."""
    finished = fedgdl(*arguments, "--json", cwd=cwd, data=data)
    assert finished.returncode == 0, finished.stderr
    document: dict[str, Any] = json.loads(finished.stdout)
    return document


def run_script(text: str, cwd: Path) -> "subprocess.Popen[str]":
    """Starts a Python script, written to a file in a folder, with pipes to all its streams."""
    path = cwd / "script.py"
    path.write_text(text)
    return subprocess.Popen(
        [sys.executable, str(path)],
        cwd=cwd,
        env=environment_with(None),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        stdin=subprocess.PIPE,
        text=True,
    )


def environment_with(data: Path | None, **more: str) -> dict[str, str]:
    """Returns this process's environment with the given data folder, or none, and some more variables."""
    environment = {name: value for name, value in os.environ.items() if name != "FEDGDL_DATA"}
    if data is not None:
        environment["FEDGDL_DATA"] = str(data)
    return environment | more


def orphaned_blocks() -> set[str]:
    """Returns the names of our shared-memory blocks whose coordinator is no longer alive."""
    return {name for name in _blocks() if not psutil.pid_exists(int(name.split("_")[1]))}


def blocks_of(process_id: int) -> set[str]:
    """Returns the names of a coordinator's shared-memory blocks."""
    return {name for name in _blocks() if name.startswith(f"fedgdl_{process_id}_")}


def _blocks() -> set[str]:
    """Returns the names of our shared-memory blocks, where the system shows them as files."""
    folder = Path("/dev/shm")  # noqa: S108 (no file is made there)
    return {entry.name for entry in folder.glob("fedgdl_*_*")} if folder.is_dir() else set()
