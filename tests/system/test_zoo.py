"""The whole zoo from the command line: all recipes, Ctrl-C at a terminal, and a killed program."""

import json
import subprocess
from pathlib import Path

import pexpect
import psutil
import pytest
from program import PROGRAM, environment_with

from fedgdl.zoo.registry import all_recipes

OWN = """
import time
from fedgdl.progress import watched
from fedgdl.zoo.recipe import Expected, Outcome, Recipe, equal

def wait(setting):
    for _step in watched(range(3000), "waiting"):
        time.sleep(0.1)
    return Outcome({"steps": 3000})

LONG = Recipe(
    name="own-long", chapter=4, section="Compare", summary="waits", model="none", data="none", settings={}, run=wait,
    expected=(Expected("steps", 3000, equal, "goal"),),
)
"""


@pytest.mark.parametrize("workers", ["1", "2"])
def test_ctrl_c_keeps_what_is_finished(tmp_path: Path, workers: str) -> None:
    (tmp_path / "own.py").write_text(OWN)
    terminal = pexpect.spawn(
        PROGRAM,
        ["zoo", "run", "ch05-freezing-one-weight", "own:LONG", "--workers", workers, "--out", "run"],
        cwd=str(tmp_path),
        env=environment_with(None),
        encoding="utf-8",
        timeout=60,
    )
    terminal.setwinsize(40, 140)
    terminal.expect("ch05-freezing-one-weight: all met")
    terminal.expect(r"own-long.* (\d+)/3000")  # its bar moves
    family = psutil.Process(terminal.pid).children(recursive=True)
    terminal.sendintr()
    terminal.expect("Interrupted; finished recipes are kept")
    terminal.expect("1 of 2 recipes finished: 3 met, 0 missed, 0 skipped")
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert terminal.exitstatus == 130
    assert "Traceback" not in (terminal.before or "")
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["ch05-freezing-one-weight"]
    assert json.loads((tmp_path / "run" / "ch05-freezing-one-weight" / "result.json").read_text())["status"] == "done"
    assert not psutil.wait_procs(family, timeout=5)[1]


def test_ctrl_c_before_anything_is_finished_says_so(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(OWN)
    terminal = pexpect.spawn(
        PROGRAM,
        ["zoo", "run", "own:LONG", "--out", "run"],
        cwd=str(tmp_path),
        env=environment_with(None),
        encoding="utf-8",
        timeout=60,
    )
    terminal.setwinsize(40, 140)
    terminal.expect(r"own-long.* (\d+)/3000")
    terminal.sendintr()
    terminal.expect(r"Interrupted\.")
    terminal.expect("0 of 1 recipe finished")
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert "kept" not in (terminal.before or "")
    assert terminal.exitstatus == 130


def test_a_killed_program_leaves_no_process(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(OWN)
    terminal = pexpect.spawn(
        PROGRAM,
        ["zoo", "run", "own:LONG", "ch05-freezing-one-weight", "--workers", "2", "--out", "run"],
        cwd=str(tmp_path),
        env=environment_with(None),
        encoding="utf-8",
        timeout=60,
    )
    terminal.setwinsize(40, 140)
    terminal.expect(r"own-long.* (\d+)/3000")
    family = psutil.Process(terminal.pid).children(recursive=True)
    assert family
    terminal.kill(9)
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert not psutil.wait_procs(family, timeout=5)[1]


def missed_by_all(folder: Path, data: Path | None, *options: str) -> list[str]:
    """Runs `fedgdl zoo run --all --quick` and returns the recipes that failed or missed a number."""
    done = subprocess.run(
        [PROGRAM, "zoo", "run", "--all", "--quick", "--json", *options],
        cwd=folder,
        env=environment_with(data),
        capture_output=True,
        text=True,
        check=False,
    )
    document = json.loads(done.stdout)
    assert {recipe["name"] for recipe in document["recipes"]} == {recipe.name for recipe in all_recipes()}
    missed = [
        recipe["name"]
        for recipe in document["recipes"]
        if recipe["status"] != "done" or any(row["status"] == "missed" for row in recipe["rows"])
    ]
    assert done.returncode == (1 if missed else 0)
    return missed


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_the_whole_zoo_meets_its_quick_rows_on_generated_data(tmp_path: Path) -> None:
    assert missed_by_all(tmp_path, None) == []


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_the_whole_zoo_meets_its_quick_rows_on_real_data(tmp_path: Path, real_data: Path) -> None:
    assert missed_by_all(tmp_path, real_data, "--real-only") == []
