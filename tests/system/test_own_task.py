"""A task of one's own, in a module outside the package, through the real program with worker processes."""

import json
from pathlib import Path

import pytest
from program import fedgdl, fedgdl_json

TASK = '''
import numpy as np

from fedgdl import nn
from fedgdl.data.own import from_arrays
from fedgdl.federated import Task


class Corners(Task):
    """Tells which quarter of the plane a point is in."""

    def load_data(self, experiment):
        points = np.random.default_rng(1).uniform(-1, 1, (400, 2))
        quarters = (points[:, 0] > 0) * 2 + (points[:, 1] > 0)
        return from_arrays(points, quarters, experiment.data, experiment.seed)

    def build_model(self, data, experiment, rng):
        return nn.Sequential(nn.Linear(2, 4, rng=rng))

    def metrics(self, prediction, batch):
        return {"confident": float((prediction.max(-1) > 2).sum())}
'''

CONFIG = """
name = "corners"
task = "my_tasks:Corners"
rounds = 6
[data]
source = "own"
partition = { kind = "iid", clients = 4 }
[training]
learning_rate = 1.0
batch_size = 10
epochs = 2
[engine]
workers = 2
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "corners.toml").write_text(CONFIG)
    (tmp_path / "my_tasks.py").write_text(TASK)
    return tmp_path


def test_it_is_about_twenty_lines() -> None:
    assert len([line for line in TASK.splitlines() if line.strip()]) <= 20


def test_it_learns_in_worker_processes_with_the_bits_of_one_process(folder: Path) -> None:
    processes = fedgdl_json("run", "corners.toml", cwd=folder)
    inline = fedgdl_json("run", "corners.toml", "--engine", "inline", cwd=folder)
    assert [record["status"] for record in processes["rounds"]] == ["done"] * 6
    assert processes["rounds"][-1]["accuracy"] > 0.9  # the quarters are linearly separable by class scores
    assert processes["rounds"][-1]["loss"] < processes["rounds"][0]["loss"]
    assert 0 <= processes["rounds"][-1]["metrics"]["confident"] <= 1
    assert processes["model_sha256"] == inline["model_sha256"]
    assert [r["loss"] for r in processes["rounds"]] == [r["loss"] for r in inline["rounds"]]
    assert len(processes["rounds"][0]["clients"]) == 4


def test_it_may_be_anywhere_on_the_path(folder: Path) -> None:
    elsewhere = folder / "library"
    elsewhere.mkdir()
    (folder / "my_tasks.py").rename(elsewhere / "my_tasks.py")
    finished = fedgdl("run", "corners.toml", "--rounds", "1", "--json", cwd=folder, PYTHONPATH=str(elsewhere))
    assert finished.returncode == 0, finished.stderr
    assert json.loads(finished.stdout)["rounds"][0]["status"] == "done"


def test_a_module_that_is_not_there_is_a_usage_error(folder: Path) -> None:
    (folder / "my_tasks.py").unlink()
    finished = fedgdl("run", "corners.toml", cwd=folder)
    assert finished.returncode == 2
    assert 'task = "my_tasks:Corners": No module named' in finished.stderr
    assert "PYTHONPATH" in finished.stderr


def test_a_class_that_lacks_a_method_is_named(folder: Path) -> None:
    whole = (folder / "my_tasks.py").read_text()
    (folder / "my_tasks.py").write_text(whole.replace("def build_model", "def make_model"))
    finished = fedgdl("run", "corners.toml", cwd=folder)
    assert finished.returncode == 2
    assert "has no build_model(self, data, experiment, rng); define build_model" in finished.stderr


def test_data_that_does_not_suit_is_named_before_any_worker_starts(folder: Path) -> None:
    whole = (folder / "my_tasks.py").read_text()
    (folder / "my_tasks.py").write_text(
        whole.replace("return from_arrays", "points[7] = np.nan\n        return from_arrays")
    )
    finished = fedgdl("run", "corners.toml", cwd=folder)
    assert finished.returncode == 1
    assert "row 7 of the inputs: nan is no number" in finished.stderr
    assert "Traceback" not in finished.stderr


def test_texts_of_one_s_own_go_into_the_librarys_task(tmp_path: Path) -> None:
    words = {"good": ["tasty", "fine", "lovely"], "bad": ["awful", "bland", "burnt"]}
    for mood, praise in words.items():
        (tmp_path / "reviews" / mood).mkdir(parents=True)
        for number in range(30):
            path = tmp_path / "reviews" / mood / f"{number:02}.txt"
            path.write_text(f"the pizza was {praise[number % 3]} and {praise[number % 2]}")
    (tmp_path / "pizza.py").write_text(
        "from fedgdl.data.own import from_text_folder\n"
        "from fedgdl.federated.tasks.sentiment import SentimentTask\n"
        "class PizzaTask(SentimentTask):\n"
        "    def load_data(self, experiment):\n"
        "        return from_text_folder('reviews', experiment.data, experiment.seed)\n"
    )
    config = CONFIG.replace("corners", "pizza").replace("my_tasks:Corners", "pizza:PizzaTask")
    (tmp_path / "pizza.toml").write_text(config)
    result = fedgdl_json("run", "pizza.toml", cwd=tmp_path)
    assert result["rounds"][-1]["accuracy"] == 1.0  # every word but those of praise and blame is in all texts


@pytest.mark.parametrize(
    ("before", "after", "code", "told", "frame"),
    [
        ("return nn.Seq", "nn.Seq", 2, "Corners.build_model returned None (is its return statement missing?)", ""),
        ("return from_arrays(", "from_arrays(", 2, "Corners.load_data returned None (is its return", ""),
        (
            "return from_arrays(",
            "return 1, str(len)  # (",
            2,
            "Corners.load_data returned a tuple without client_ids,",
            "",
        ),
        ("class Corners(Task)", "class Corners(Task", 2, "my_tasks.py, line 9: ", ""),
        ("class Corners(Task)", "class Corners(Tsak)", 2, "importing my_tasks raised NameError: ", "in <module>"),
        ("return from_arrays(", "return 1 / 0, (", 1, "Corners.load_data raised ZeroDivisionError", "in load_data"),
        ("nn.Linear(", "nn.Linnear(", 1, "Corners.build_model raised AttributeError", "in build_model"),
    ],
)
def test_a_mistake_in_it_is_told_in_a_line_and_by_frames_of_its_own(
    before: str, after: str, code: int, told: str, frame: str, folder: Path
) -> None:
    whole = (folder / "my_tasks.py").read_text()
    (folder / "my_tasks.py").write_text(whole.replace(before, after))
    finished = fedgdl("run", "corners.toml", cwd=folder)
    error, *note = finished.stderr.splitlines()
    assert finished.returncode == code
    assert error.startswith("error: ")
    assert told in error
    if not frame:
        assert note == []
        return
    assert note[0] == "Traceback (most recent call last):"
    assert note[1].startswith(f'  File "{folder / "my_tasks.py"}", line ')
    assert note[1].endswith(frame)
