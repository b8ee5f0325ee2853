"""The examples in the docstrings of all modules and on the pages of docs/ run; public modules have one."""

import doctest
import importlib
import importlib.util
import pkgutil
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from checkout import PACKAGES


def find_modules(package: str) -> list[str]:
    """Returns the names of an installed package and all modules below it, without importing them."""
    spec = importlib.util.find_spec(package)
    assert spec is not None, f"{package} is not installed"
    return [package, *_below(package, spec.submodule_search_locations or ())]


def _below(package: str, folders: Iterable[str]) -> Iterator[str]:
    for found in pkgutil.iter_modules(folders, f"{package}."):
        if found.name.endswith(".__main__"):
            continue  # importing it would run the program
        yield found.name
        if found.ispkg:
            below = found.name.rpartition(".")[2]
            yield from _below(found.name, [str(Path(folder) / below) for folder in folders])


PAGES = sorted((Path(__file__).parents[1] / "docs").glob("*.md"))
MODULES = [name for package in PACKAGES for name in find_modules(package)]


def must_have_an_example(name: str, *, is_package: bool) -> bool:
    """Tells whether a module is a public one of the library; an `__init__` only gathers names."""
    parts = name.split(".")
    return parts[0] == "fedgdl" and not is_package and not any(part.startswith("_") for part in parts)


@pytest.mark.parametrize("name", MODULES)
def test_examples(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # an example may write files,
    monkeypatch.setenv("FEDGDL_CACHE", str(tmp_path))  # or prepare data,
    monkeypatch.delenv("FEDGDL_DATA", raising=False)  # and looks the same with or without the real data sets
    if name == "experiments.benchmarks.core.with_torch":
        pytest.importorskip("torch", reason="torch is not installed: what is compared with it cannot be imported")
    module = importlib.import_module(name)
    results = doctest.testmod(module)  # prints what differs
    assert results.failed == 0
    assert module.__doc__, f"{name} has no docstring"
    if must_have_an_example(name, is_package=hasattr(module, "__path__")):
        assert results.attempted > 0, f"{name} is public and shows no example"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_pages(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    results = doctest.testfile(str(page), module_relative=False)  # prints what differs
    assert results.failed == 0
    assert results.attempted > 0, f"{page.name} shows no example"
