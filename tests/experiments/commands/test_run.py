import json
import subprocess
import sys
import tomllib
from importlib.resources import files
from pathlib import Path

import pexpect
import pytest
from program import PROGRAM, environment_with, fedgdl, fedgdl_json

from experiments.report.words import rounds_in_words
from fedgdl.parameters import load_parameters

SMALL = ["--set", "data.source=synthetic-mail", "--set", "data.examples=1000", "--engine", "inline"]


def test_a_run_leaves_all_its_files_and_a_readable_table(tmp_path: Path) -> None:
    finished = fedgdl("run", "spam", *SMALL, "--rounds", "2", "--out", "here", cwd=tmp_path)
    assert (finished.returncode, finished.stderr) == (0, "")
    assert "synthetic" in finished.stdout
    for heading in ("round", "accuracy", "loss", "alice", "bob", "sue"):
        assert heading in finished.stdout
    assert max(map(len, finished.stdout.splitlines()[2:])) <= 80
    folder = tmp_path / "here"
    assert {path.name for path in folder.iterdir()} == {
        "config.toml",
        "curves.png",
        "history.jsonl",
        "model.safetensors",
        "result.json",
        "run.log",
    }
    rounds = [json.loads(line) for line in (folder / "history.jsonl").read_text().splitlines()]
    result = json.loads((folder / "result.json").read_text())
    assert result["rounds"] == rounds
    assert load_parameters(folder / "model.safetensors").sha256() == result["model_sha256"]
    assert (folder / "curves.png").read_bytes().startswith(b"\x89PNG")
    assert tomllib.loads((folder / "config.toml").read_text())["rounds"] == 2
    log = (folder / "run.log").read_text()
    assert "round 2: 3 of 3 clients" in log


@pytest.mark.parametrize(
    ("key_holder", "words"),
    [
        (["process"], "the coordinator sees no single client's numbers"),
        (["coordinator", "--set", "aggregation.insecure=true"], "the coordinator holds the key and could read it"),
    ],
)
def test_the_table_says_whether_the_coordinator_could_know_what_is_in_it(
    key_holder: list[str], words: str, tmp_path: Path
) -> None:
    keys = ["--set", "aggregation.kind=paillier", "--set", "aggregation.insecure_key_bits=256"]
    holder, *more = key_holder
    finished = fedgdl(
        *("run", "spam", *SMALL, "--rounds", "1", *keys, "--set", f"aggregation.key_holder={holder}", *more),
        cwd=tmp_path,
    )
    assert finished.returncode == 0
    text = " ".join(finished.stdout.split())
    assert f"(the simulator's truth: {words})" in text
    assert text.count("the simulator's truth") == 1


def test_the_kept_config_repeats_the_run_bit_for_bit(tmp_path: Path) -> None:
    first = fedgdl_json("run", "spam", *SMALL, "--rounds", "2", "--out", "one", cwd=tmp_path)
    second = fedgdl_json("run", "one/config.toml", "--out", "two", cwd=tmp_path)
    assert second["model_sha256"] == first["model_sha256"]
    assert second["config"] == first["config"]
    assert second["data_fingerprint"] == first["data_fingerprint"]


def test_worker_processes_log_into_the_run_s_log(tmp_path: Path) -> None:
    fedgdl_json("run", "spam", *SMALL[:-2], "--workers", "2", "--rounds", "1", "--out", "run", cwd=tmp_path)
    log = (tmp_path / "run" / "run.log").read_text()
    for client in ("alice", "bob", "sue"):
        assert f"clients.worker: round 1: {client} trains" in log
    assert "worker-1[" in log


def test_json_is_one_document_and_nothing_else(tmp_path: Path) -> None:
    finished = fedgdl("run", "spam", *SMALL, "--rounds", "1", "--json", cwd=tmp_path)
    document = json.loads(finished.stdout)
    assert document["folder"].startswith("runs/spam-")
    assert (tmp_path / document["folder"] / "result.json").is_file()
    assert finished.stderr == ""


def test_a_target_accuracy_ends_the_run_and_says_after_how_many_rounds(tmp_path: Path) -> None:
    finished = fedgdl("run", "spam", *SMALL, "--until-accuracy", "0.6", "--rounds", "50", "--out", "run", cwd=tmp_path)
    assert (finished.returncode, finished.stderr) == (0, "")
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    accuracies = [record["accuracy"] for record in result["rounds"]]
    assert result["status"] == "done"
    assert accuracies[-1] >= 0.6 > max(accuracies[:-1], default=0)
    rounds = rounds_in_words(result["rounds_to_target"])
    assert f"test accuracy 60.00% was reached after {rounds}\n" in finished.stdout
    assert tomllib.loads((tmp_path / "run" / "config.toml").read_text())["until_accuracy"] == 0.6


@pytest.mark.parametrize("as_json", [[], ["--json"]], ids=["table", "json"])
def test_a_target_accuracy_that_is_missed_is_exit_code_1_and_all_is_kept(as_json: list[str], tmp_path: Path) -> None:
    arguments = ["--until-accuracy", "1", "--rounds", "3", "--set", "evaluate_every=2", "--out", "run", *as_json]
    finished = fedgdl("run", "spam", *SMALL, *arguments, cwd=tmp_path)
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    best = max(record["accuracy"] for record in result["rounds"] if record["accuracy"] is not None)
    assert finished.returncode == 1
    words = f"missed: test accuracy 100.00% was not reached in 3 rounds; the best was {best:.2%}"
    assert finished.stderr.strip() == words
    assert [record["accuracy"] is None for record in result["rounds"]] == [True, False, False]
    assert (result["status"], result["rounds_to_target"]) == ("done", None)
    assert (tmp_path / "run" / "model.safetensors").is_file()


def test_baselines_are_run_kept_shown_and_drawn(tmp_path: Path) -> None:
    both = ["--baseline", "central", "--baseline", "local"]
    finished = fedgdl("run", "spam", *SMALL, "--rounds", "2", *both, "--out", "run", cwd=tmp_path)
    assert (finished.returncode, finished.stderr) == (0, "")
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    central, local = result["baselines"]["central"], result["baselines"]["local"]
    assert result["example_visits"] == central["num_visits"] == local["num_visits"] == 2 * 800
    gap = 100 * (central["accuracy"] - result["rounds"][-1]["accuracy"])
    for words in (f"{central['accuracy']:.2%}", f"{gap:+.2f}", f"{local['accuracy']:.2%}", "client by client (3 of 3)"):
        assert words in finished.stdout
    assert {score["client_id"] for score in local["clients"]} == {"alice", "bob", "sue"}
    assert (tmp_path / "run" / "baselines.png").read_bytes().startswith(b"\x89PNG")
    log = (tmp_path / "run" / "run.log").read_text()
    assert log.count("the run is over: done, after 2 of its rounds") == 1
    assert "the local baseline is over: done, 1,600 visits" in log


def test_ctrl_c_in_a_baseline_keeps_the_run_and_what_the_baseline_had_done(tmp_path: Path) -> None:
    many = [
        "--set",
        "data.partition={kind='iid', clients=400}",
        "--set",
        "cohort_size=2",
        "--set",
        "training.epochs=50",
    ]
    arguments = ["run", "spam", *SMALL, "--rounds", "2", *many, "--baseline", "local", "--out", "run"]
    terminal = pexpect.spawn(
        PROGRAM, arguments, cwd=str(tmp_path), env=environment_with(None), encoding="utf-8", timeout=60
    )
    terminal.setwinsize(40, 120)
    terminal.expect(r"local baseline: clients[^\r\n]* [1-9]\d/400")
    terminal.sendintr()
    terminal.expect("Interrupted; what the baselines had done is kept")
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert terminal.exitstatus == 130
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert (result["status"], len(result["rounds"])) == ("done", 2)
    local = result["baselines"]["local"]
    assert local["status"] == "interrupted"
    assert 10 <= len(local["clients"]) < 400


def test_two_runs_never_share_a_folder(tmp_path: Path) -> None:
    folders = {fedgdl_json("run", "spam", *SMALL, "--rounds", "1", cwd=tmp_path)["folder"] for _ in range(2)}
    assert len(folders) == 2


def test_a_folder_with_files_is_never_written_to(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("precious")
    finished = fedgdl("run", "spam", *SMALL, "--out", "mine", cwd=tmp_path)
    assert finished.returncode == 2
    assert "not an empty folder" in finished.stderr
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["thesis.txt"]


def test_what_was_not_tested_is_said_below_the_table(tmp_path: Path) -> None:
    finished = fedgdl("run", "spam", *SMALL, "--rounds", "3", "--set", "evaluate_every=2", cwd=tmp_path)
    assert "tested every 2 rounds and after the last" in finished.stdout


def test_one_defect_of_a_task_fills_no_screen_and_its_log_has_all(tmp_path: Path) -> None:
    """The last layer does not fit the one before: the training of each of five clients raises, in two workers."""
    example = files("experiments") / "examples" / "own_task.py"
    (tmp_path / "own_task.py").write_text(
        example.read_text(encoding="utf-8").replace("nn.Linear(16, ", "nn.Linear(7, ")
    )
    (tmp_path / "herbs.toml").write_text(OWN)
    finished = fedgdl("run", "herbs.toml", "--out", "run", cwd=tmp_path)
    assert finished.returncode == 1
    assert finished.stderr.count("Traceback") == 1
    warning, error = finished.stderr.splitlines()[-2:]
    assert warning.startswith("warning: round 1: no update of client-000")
    assert warning.endswith(" ... and 4 more clients for the same reason")
    assert error.startswith("error: the training of every client of round 1 raised; GraphError: linear: ")
    log = (tmp_path / "run" / "run.log").read_text()
    for number in range(1, 6):
        assert f"the training of client-000{number} raised: GraphError" in log
        assert f"no update of client-000{number}: GraphError" in log


def test_the_list_names_every_experiment_with_what_it_is(tmp_path: Path) -> None:
    text = fedgdl("run", "--list", cwd=tmp_path).stdout
    document = fedgdl_json("run", "--list", cwd=tmp_path)
    names = [item["name"] for item in document["experiments"]]
    assert {"spam", "spam-book", "spam-owners"} <= set(names)
    assert [line.split()[0] for line in text.splitlines()] == names


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["run", "spam-bok"], ["did you mean spam-book?"]),
        (["run", "spam", "--set", "training.epoch=2"], ["training.epoch is not a known key", "did you mean epochs?"]),
        (["run", "spam", "--set", "training.epochs=many"], ["training.epochs", "many"]),
        (["run", "spam", "--set", "training.epochs=0"], ["training.epochs = 0"]),
        (["run", "spam", "--rounds", "0"], ["rounds = 0"]),
        (["run", "spam", "--set", "engine.kind=threads"], ["engine.kind", '"inline", "processes"']),
        (["run", "spam", "--set", "strategy.weighting=equally"], ["strategy.weighting", "did you mean equal?"]),
        (["run", "spam", "--until-accuracy", "95"], ["until_accuracy = 95.0"]),
        (["run", "spam", "--baseline", "centre"], ["--baseline", "centre"]),
        (["run", "spam", "--set", "nonsense"], ["expected key=value"]),
        (["run", "spam", "--set", "task=spma"], ["did you mean spam?"]),
        (["run", "spam", "--set", "task=no_such_module:Task"], ["no_such_module"]),
        (["run", "broken.toml"], ["broken.toml is no TOML", "line 1"]),
        (["run", "missing.toml"], ["there is no file 'missing.toml' (shipped: babi, "]),
        (["run"], ["--list"]),
    ],
)
def test_a_mistake_ends_with_2_and_words_a_newcomer_can_act_on(
    tmp_path: Path, arguments: list[str], words: list[str]
) -> None:
    (tmp_path / "broken.toml").write_text("name = spam")
    finished = fedgdl(*arguments, cwd=tmp_path)
    assert finished.returncode == 2
    assert finished.stdout == ""
    assert "Traceback" not in finished.stderr
    for word in words:
        assert word in finished.stderr
    assert not (tmp_path / "runs").exists()


def test_an_unknown_data_set_is_refused_with_the_nearest_name(tmp_path: Path) -> None:
    finished = fedgdl("run", "spam", "--set", "data.source=synthetic-mial", cwd=tmp_path)
    assert finished.returncode == 2
    assert "did you mean synthetic-mail?" in finished.stderr
    assert "Traceback" not in finished.stderr


def test_a_missing_data_set_says_how_to_get_it(tmp_path: Path) -> None:
    finished = fedgdl("run", "spam-book", cwd=tmp_path, FEDGDL_CACHE=str(tmp_path / "cache"))
    assert finished.returncode == 1
    assert "fedgdl data fetch enron" in finished.stderr
    assert "FEDGDL_DATA" in finished.stderr


def test_a_truncated_archive_is_refused_by_name(tmp_path: Path, real_data: Path) -> None:
    folder = tmp_path / "data" / "enron"
    folder.mkdir(parents=True)
    whole = (real_data / "enron" / "enron1.tar.gz").read_bytes()
    (folder / "enron1.tar.gz").write_bytes(whole[: len(whole) // 2])
    finished = fedgdl("run", "spam-book", cwd=tmp_path, data=tmp_path / "data")
    assert finished.returncode == 1
    assert "enron1.tar.gz" in finished.stderr
    assert "fedgdl data fetch enron" in finished.stderr
    assert "Traceback" not in finished.stderr


OWN = """
name = "herbs"
task = "own_task:HerbsTask"
rounds = 2
[data.partition]
kind = "iid"
clients = 5
[training]
learning_rate = 0.5
batch_size = 20
[engine]
workers = 2
"""


def test_a_task_of_one_s_own_is_found_beside_its_config_in_worker_processes_too(tmp_path: Path) -> None:
    example = files("experiments") / "examples" / "own_task.py"
    (tmp_path / "own_task.py").write_text(example.read_text(encoding="utf-8"))
    (tmp_path / "herbs.toml").write_text(OWN)
    result = fedgdl_json("run", "herbs.toml", "--baseline", "central", "--baseline", "local", cwd=tmp_path)
    assert [record["status"] for record in result["rounds"]] == ["done", "done"]
    assert result["rounds"][1]["loss"] < result["rounds"][0]["loss"]
    assert result["config"]["data"]["source"] == ""
    assert [result["baselines"][kind]["status"] for kind in ("central", "local")] == ["done", "done"]


def test_files_that_cannot_be_written_are_named_and_the_table_is_shown_all_the_same(tmp_path: Path) -> None:
    """A folder stands where the model's file should be, as good as a full disk."""
    script = tmp_path / "blocked.py"
    script.write_text(
        "import sys\n"
        "from pathlib import Path\n"
        "from experiments.cli import main\n"
        "from experiments import run_folder\n"
        "class Blocked(run_folder.RunFolder):\n"
        "    def run_started(self, history):\n"
        "        super().run_started(history)\n"
        "        (self.path / 'model.safetensors').mkdir()\n"
        "run_folder.RunFolder = Blocked\n"
        "main()\n"
    )
    arguments = [sys.executable, str(script), "run", "spam", *SMALL, "--rounds", "1", "--out", "run"]
    finished = subprocess.run(
        arguments, cwd=tmp_path, env=environment_with(None), capture_output=True, text=True, check=False
    )
    assert finished.returncode == 1
    assert "model.safetensors could not be written" in finished.stderr
    assert "Traceback" not in finished.stderr
    assert "accuracy" in finished.stdout
    assert (tmp_path / "run" / "result.json").stat().st_size > 0


def test_generated_data_may_be_kept_from_standing_in(tmp_path: Path) -> None:
    refused = fedgdl("run", "mnist", "--real-only", "--rounds", "1", cwd=tmp_path, FEDGDL_CACHE=str(tmp_path))
    assert refused.returncode == 1
    assert "'mnist'" in refused.stderr
    assert "fedgdl data fetch mnist" in refused.stderr
    assert not (tmp_path / "runs").exists()
