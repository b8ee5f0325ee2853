"""What the built distribution holds, and that it runs by itself in an environment of its own."""

import json
import os
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import pytest
from checkout import PACKAGES, find_checkout

import fedgdl

pytestmark = pytest.mark.slow


def run(command: Sequence[str | Path], cwd: Path) -> str:
    """Runs a program and returns what it printed; fails with its output when it fails."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environment["FEDGDL_CACHE"] = str(cwd / "cache")
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns a folder with the wheel and the source distribution of the checkout."""
    folder = tmp_path_factory.mktemp("dist")
    build = [sys.executable, "-m", "build", "--wheel", "--sdist", "--no-isolation", "--outdir", str(folder)]
    run([*build, find_checkout()], cwd=folder)
    return folder


@pytest.fixture(scope="module")
def wheel(dist: Path) -> Path:
    (found,) = dist.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def wheel_names(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def source_files(pattern: str) -> set[str]:
    """Returns the paths of the four packages' files that match, relative to the checkout."""
    root = find_checkout()
    paths = [path.relative_to(root) for package in PACKAGES for path in (root / package).rglob(pattern)]
    return {path.as_posix() for path in paths if "__pycache__" not in path.parts}


def test_wheel_has_the_four_packages_and_nothing_else(wheel_names: set[str]) -> None:
    info = f"fedgdl-{fedgdl.__version__}.dist-info"
    assert {PurePosixPath(name).parts[0] for name in wheel_names} == {*PACKAGES, info}
    assert {f"{info}/licenses/LICENSE", f"{info}/licenses/NOTICE"} <= wheel_names


def test_wheel_has_every_module_and_data_file(wheel_names: set[str]) -> None:
    configs = {name for name in source_files("*.toml") if name.startswith("experiments/configs/")}
    assert configs
    assert configs <= wheel_names
    pages = source_files("*.html")
    assert "experiments/audit/audit.html" in pages
    assert pages <= wheel_names
    assert {f"{package}/py.typed" for package in PACKAGES} <= wheel_names
    assert source_files("*.py") == {name for name in wheel_names if name.endswith(".py")}


def test_wheel_has_no_tests(wheel_names: set[str]) -> None:
    assert [name for name in wheel_names if PurePosixPath(name).name.startswith(("test_", "conftest"))] == []


def test_sdist_has_the_licence_and_what_the_tests_need(dist: Path) -> None:
    (path,) = dist.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"LICENSE", "NOTICE", "README.md", "CHANGELOG.md", "constraints.txt", "pyproject.toml"} <= names
    assert "tests/conftest.py" in names


@pytest.fixture(scope="module")
def scripts(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns the programs of a fresh environment: the wheel, and the dependencies borrowed from this one."""
    home = tmp_path_factory.mktemp("fresh") / "venv"
    venv.create(home)
    programs = home / ("Scripts" if os.name == "nt" else "bin")
    install = [sys.executable, "-m", "pip", "--python", str(programs / "python"), "--quiet", "install", "--no-deps"]
    run([*install, "--no-index", "--disable-pip-version-check", wheel], cwd=home)
    where = run([programs / "python", "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], cwd=home)
    borrowed = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    Path(where.strip(), "borrowed.pth").write_text("\n".join(sorted(borrowed)) + "\n", "utf-8")
    return programs


def test_installed_packages_are_the_wheels(scripts: Path, tmp_path: Path) -> None:
    names = ", ".join(PACKAGES)
    code = f"import {names}; print(*[package.__file__ for package in ({names})], sep='\\n')"
    origins = run([scripts / "python", "-W", "error", "-c", code], cwd=tmp_path).splitlines()
    assert len(origins) == len(PACKAGES)
    assert all(Path(origin).is_relative_to(scripts.parent) for origin in origins), origins


def test_installed_program_runs_outside_the_checkout(scripts: Path, tmp_path: Path) -> None:
    assert fedgdl.__version__ in run([scripts / "fedgdl", "--version"], cwd=tmp_path)

    small = ["--set", "data.source=synthetic-mail", "--set", "data.examples=300", "--rounds", "1"]
    printed = run([scripts / "fedgdl", "run", "spam", *small, "--json", "--out", tmp_path / "out"], cwd=tmp_path)
    assert [entry["status"] for entry in json.loads(printed)["rounds"]] == ["done"]
