"""The state of the source tree: pins, sizes, folder notes, and what a start of the program loads."""

import ast
import importlib.metadata
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from checkout import PACKAGES, find_checkout
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import fedgdl

LONGEST_FILE = 400
PIN = re.compile(r"(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)==(?P<version>[0-9][0-9a-z.+]*)(; (?P<marker>[^/@]+))?")


@pytest.fixture(scope="module")
def root() -> Path:
    return find_checkout()


@pytest.fixture(scope="module")
def project(root: Path) -> dict[str, Any]:
    document: dict[str, Any] = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["project"]
    return document


@pytest.fixture(scope="module")
def pins(root: Path) -> dict[str, str]:
    """Returns the pinned version of each package; a line that is no plain pin (a host, a path) fails."""
    found: dict[str, str] = {}
    for line in (root / "constraints.txt").read_text("utf-8").splitlines():
        if line and not line.startswith("#"):
            match = PIN.fullmatch(line)
            assert match, f"constraints.txt: {line!r} is not name==version"
            found[canonicalize_name(match["name"])] = match["version"]
    return found


def declared_requirements(project: dict[str, Any]) -> list[Requirement]:
    extras = [line for lines in project.get("optional-dependencies", {}).values() for line in lines]
    return [Requirement(line) for line in (*project["dependencies"], *extras)]


def test_every_dependency_is_pinned_as_declared(project: dict[str, Any], pins: dict[str, str]) -> None:
    for requirement in declared_requirements(project):
        name = canonicalize_name(requirement.name)
        assert name in pins, f"{name} is not in constraints.txt"
        assert requirement.specifier.contains(pins[name]), f"{name}=={pins[name]} contradicts pyproject.toml"


def test_what_the_dependencies_need_is_pinned_too(project: dict[str, Any], pins: dict[str, str]) -> None:
    todo = declared_requirements(project)
    seen: set[str] = set()
    while todo:
        requirement = todo.pop()
        name = canonicalize_name(requirement.name)
        applies = requirement.marker is None or requirement.marker.evaluate({"extra": ""})
        if name in seen or not applies:
            continue
        seen.add(name)
        assert name in pins, f"{name} is not in constraints.txt"
        try:
            todo += [Requirement(line) for line in importlib.metadata.requires(name) or ()]
        except importlib.metadata.PackageNotFoundError:
            continue  # an extra that is not installed here; that it is pinned is seen
    assert len(seen) >= len(project["dependencies"])


def test_one_version(project: dict[str, Any]) -> None:
    assert project["version"] == fedgdl.__version__ == importlib.metadata.version("fedgdl")


def test_hooks_are_local(root: Path) -> None:
    hooks = (root / ".pre-commit-config.yaml").read_text("utf-8")
    assert set(re.findall(r"repo: *(.+)", hooks)) == {"local"}
    assert set(re.findall(r"language: *(.+)", hooks)) == {"system"}


def python_files(root: Path, package: str) -> list[Path]:
    return sorted((root / package).rglob("*.py"))


@pytest.mark.parametrize("package", PACKAGES)
def test_no_file_is_too_long(root: Path, package: str) -> None:
    lengths = {
        path.relative_to(root).as_posix(): len(path.read_text("utf-8").splitlines())
        for path in python_files(root, package)
    }
    assert lengths
    assert {name: length for name, length in lengths.items() if length > LONGEST_FILE} == {}


def complaints_about(folder: Path) -> list[str]:
    """Returns what a package folder lacks."""
    init = folder / "__init__.py"
    if not init.is_file():
        return ["no __init__.py"]
    no_docstring = ast.get_docstring(ast.parse(init.read_text("utf-8"))) is None
    no_note = not (folder / "README.md").is_file()
    return ["no docstring in __init__.py"] * no_docstring + ["no README.md"] * no_note


@pytest.mark.parametrize("package", PACKAGES)
def test_every_package_folder_says_what_it_is(root: Path, package: str) -> None:
    folders = sorted({path.parent for path in python_files(root, package)})
    assert root / package in folders
    assert {str(folder.relative_to(root)): said for folder in folders if (said := complaints_about(folder))} == {}


def test_help_loads_no_heavy_package(tmp_path: Path) -> None:
    command = [sys.executable, "-X", "importtime", "-m", "experiments.cli", "--help"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Usage" in done.stdout
    loaded = {line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.splitlines() if "|" in line}
    assert "experiments" in loaded
    assert loaded.isdisjoint({"matplotlib", "pooch"})
