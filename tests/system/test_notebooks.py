"""The notebooks of the book's chapters 13 to 15 run from top to bottom in a real kernel, on generated data."""

import json
import re
import subprocess
import sys
from importlib.resources import as_file, files
from typing import Any

import pytest
from program import environment_with

RUN_NOTEBOOK = """
import sys
import nbformat
from nbclient import NotebookClient

notebook = nbformat.read(sys.argv[1], as_version=4)
nbformat.validate(notebook)
NotebookClient(notebook, timeout=90, kernel_name="python3").execute()
nbformat.write(notebook, sys.argv[2])
"""

SAID = {  # in the printed output and the tables of each
    "chapter_13": (
        "its gradient is [2. 2. 2. 2. 2.]",
        "| losses | 1.06372865, 0.75148144, ... 0.04700013 (10) rounded to 8 digits | 1.063728646,",
        "| losses | 1.388503243, 0.9558181509, ... 0.1652738926 (10) to 1e-12 | 1.388503243,",
        "| share right, less that by counting | -0.01 or more |",
    ),
    "chapter_14": (
        "| relu: gradients 1 to 10 back | 5, 25, ... 9765625 (10) to 1e-12 | 5, 25, ... 9765625 (10) | book | met |",
        "| what the LSTM has left",
        "epoch 3: held-out perplexity",
        "--- temperature 1.0",
    ),
    "chapter_15": (
        "| test accuracy after epoch 3 | 0.85 or more |",
        "round 4: accuracy",
        "| words whose weight moved | computer, is, ... pizza (5) | computer, is, ... pizza (5) | book | met |",
        "password   -0.0025",
    ),
}
NUM_ROWS = {"chapter_13": 7, "chapter_14": 22, "chapter_15": 5}
NUM_PLOTS = {"chapter_13": 2, "chapter_14": 2, "chapter_15": 2}


@pytest.fixture(scope="module", params=SAID)
def executed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, dict[str, Any]]:
    """Returns the name of a shipped notebook, and the notebook after every cell has been run by a kernel."""
    name, folder = request.param, tmp_path_factory.mktemp(request.param)
    with as_file(files("experiments") / "examples" / f"{name}.ipynb") as path:
        finished = subprocess.run(
            [sys.executable, "-c", RUN_NOTEBOOK, str(path), "executed.ipynb"],
            cwd=folder,
            env=environment_with(None),
            capture_output=True,
            text=True,
            check=False,
            timeout=110,
        )
    assert finished.returncode == 0, finished.stderr
    document: dict[str, Any] = json.loads((folder / "executed.ipynb").read_text())
    return name, document


def outputs(document: dict[str, Any]) -> list[dict[str, Any]]:
    return [output for cell in document["cells"] for output in cell.get("outputs", ())]


@pytest.mark.slow
def test_a_notebook_says_what_it_should(executed: tuple[str, dict[str, Any]]) -> None:
    name, document = executed
    text = "\n".join(
        "".join(output.get("text", output.get("data", {}).get("text/markdown", ""))) for output in outputs(document)
    )
    assert [words for words in SAID[name] if words not in text] == []
    rows = [line for line in text.splitlines() if re.search(r" \| (book|derived|goal) \| ", line)]
    assert len(rows) == NUM_ROWS[name]
    assert [row for row in rows if not row.endswith("| met |")] == []


@pytest.mark.slow
def test_a_notebook_shows_its_plots(executed: tuple[str, dict[str, Any]]) -> None:
    name, document = executed
    plots = [output for output in outputs(document) if "image/png" in output.get("data", ())]
    assert len(plots) == NUM_PLOTS[name]


def test_a_shipped_notebook_holds_no_output() -> None:
    for name in SAID:
        document = json.loads((files("experiments") / "examples" / f"{name}.ipynb").read_text())
        assert outputs(document) == []
        assert all(cell.get("execution_count") is None for cell in document["cells"])
