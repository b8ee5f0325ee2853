"""The examples run as they are: the scripts from anywhere, the notebook in a real kernel."""

import json
import subprocess
import sys
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import pytest
from program import environment_with

RUN_NOTEBOOK = """
import sys
import nbformat
from nbclient import NotebookClient

notebook = nbformat.read(sys.argv[1], as_version=4)
NotebookClient(notebook, timeout=90, kernel_name="python3").execute()
nbformat.write(notebook, sys.argv[2])
"""


def run(*arguments: str, cwd: Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=cwd,
        env=environment_with(None),
        capture_output=True,
        text=True,
        check=False,
        timeout=110,
    )


def test_the_own_task_learns_its_herbs(tmp_path: Path) -> None:
    with as_file(files("experiments") / "examples" / "own_task.py") as script:
        finished = run(str(script), cwd=tmp_path)
    assert (finished.returncode, finished.stderr) == (0, "")
    rounds = finished.stdout.splitlines()
    assert [line.partition(":")[0] for line in rounds] == [f"round {index}" for index in range(1, 6)]
    # Each herb's places spread by 1 about a favourite at least 3.6 from the others: Bayes' error is some 6 %.
    assert float(rounds[-1].split()[-1]) > 0.9


def test_the_own_data_learns_its_leaves(tmp_path: Path) -> None:
    with as_file(files("experiments") / "examples") as folder:
        finished = run(str(folder / "own_data.py"), cwd=tmp_path)
        csv = (folder / "leaves.csv").read_text()
    assert (finished.returncode, finished.stderr) == (0, "")
    description, result = finished.stdout.splitlines()
    assert description == "leaves.csv: 128 training and 32 test examples, 4 clients"  # a fifth of 160 rows for testing
    assert len(csv.splitlines()) == 1 + 128 + 32
    assert float(result.split()[-1]) > 0.85


def test_the_own_data_may_be_another_file_whose_mistakes_are_named(tmp_path: Path) -> None:
    (tmp_path / "mine.csv").write_text("garden,width,height,tree\nann,1,2,oak\nann,1,wide,oak\n")
    with as_file(files("experiments") / "examples" / "own_data.py") as script:
        finished = run(str(script), "mine.csv", cwd=tmp_path)
    assert finished.returncode == 1
    assert "mine.csv, line 3, column 'height': 'wide' is no number" in finished.stderr


def test_a_script_without_its_guard_is_told_what_to_do(tmp_path: Path) -> None:
    script = tmp_path / "unguarded.py"
    script.write_text(
        "from experiments import load_config, simulate\n"
        "simulate(load_config('spam', ['data.source=synthetic-mail', 'data.examples=1000']))\n"
    )
    finished = run(str(script), cwd=tmp_path)
    assert finished.returncode == 1
    assert '__name__ == "__main__"' in finished.stderr


def test_a_program_from_standard_input_is_told_what_to_do(tmp_path: Path) -> None:
    program = (
        "from experiments import load_config, simulate\nsimulate(load_config('spam', ['data.source=synthetic-mail']))"
    )
    finished = subprocess.run(
        [sys.executable, "-"],
        input=program,
        cwd=tmp_path,
        env=environment_with(None),
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 1
    assert "save it as a file" in finished.stderr


@pytest.fixture(scope="module")
def notebook(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Returns the shipped notebook after every cell has been run by a kernel."""
    folder = tmp_path_factory.mktemp("notebook")
    with as_file(files("experiments") / "examples" / "first_federation.ipynb") as path:
        finished = run("-c", RUN_NOTEBOOK, str(path), "executed.ipynb", cwd=folder)
    assert finished.returncode == 0, finished.stderr
    document: dict[str, Any] = json.loads((folder / "executed.ipynb").read_text())
    return document


def outputs(notebook: dict[str, Any]) -> str:
    return "".join(
        "".join(output.get("text", ""))
        for cell in notebook["cells"]
        for output in cell.get("outputs", ())
        if output["output_type"] == "stream"
    )


@pytest.mark.slow
def test_the_notebook_runs_from_top_to_bottom_in_both_engines(notebook: dict[str, Any]) -> None:
    text = outputs(notebook)
    assert "round 4: accuracy" in text
    assert "herbs: accuracy 0.9" in text
    assert "same bits: True" in text


@pytest.mark.slow
def test_the_notebook_shows_its_plot(notebook: dict[str, Any]) -> None:
    kinds = {
        kind for cell in notebook["cells"] for output in cell.get("outputs", ()) for kind in output.get("data", ())
    }
    assert "image/png" in kinds
