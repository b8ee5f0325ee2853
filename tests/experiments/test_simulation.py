import json
import logging
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from federation import make_experiment

from experiments import Callback, RunHistory, load_config, simulate
from experiments.simulation import shipped_configs
from fedgdl.config import EngineConfig, Experiment, TrainingConfig, parse_experiment
from fedgdl.errors import ConfigError, DataMissing
from fedgdl.federated import RoundRecord
from server.recorder import Recorder

SMALL = ["data.source=synthetic-mail", "data.examples=1000", "rounds=2"]


@pytest.mark.parametrize("name", shipped_configs())
def test_every_shipped_config_is_valid_and_named_after_its_file(name: str) -> None:
    assert load_config(name).name == name


def test_a_file_of_one_s_own_is_read_and_overridden(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('name = "mine"\ntask = "spam"\n[data]\nsource = "sms"\n[training]\nlearning_rate = 0.5\n')
    config = load_config(path, ["training.learning_rate=0.25", "data.root=/somewhere"])
    assert (config.name, config.training.learning_rate, config.data.root) == ("mine", 0.25, "/somewhere")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("spam-bok", ["no experiment 'spam-bok'", "did you mean spam-book?", "(shipped: ", "spam, spam-book"]),
        ("nothing-like-it", ["no experiment", "or give the path of a .toml file"]),
        ("missing.toml", ["there is no file 'missing.toml' (shipped: babi, "]),
        ("spma.toml", ["there is no file 'spma.toml'; did you mean spam? (shipped: "]),
    ],
)
def test_an_unknown_experiment_is_refused_with_what_there_is(name: str, words: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(name)
    for word in words:
        assert word in str(caught.value)


def test_a_config_that_is_no_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "picture.toml"
    path.write_bytes(b"\x89PNG\xff\xfe")
    with pytest.raises(ConfigError, match=r"picture\.toml cannot be read"):
        load_config(path)
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        load_config(tmp_path)


class Diary(Callback):
    """Writes down which events came, in their order."""

    def __init__(self) -> None:
        self.events: list[Any] = []

    def run_started(self, history: RunHistory) -> None:
        self.events.append(("started", history.status))

    def round_started(self, history: RunHistory, round_index: int, cohort_size: int) -> None:
        self.events.append(("round", round_index, cohort_size))

    def client_answered(self, history: RunHistory, round_index: int, client_id: str, *, has_update: bool) -> None:
        self.events.append((client_id, round_index, has_update))

    def round_finished(self, history: RunHistory, record: RoundRecord) -> None:
        self.events.append(("finished", record.round_index, len(history.rounds)))

    def run_finished(self, history: RunHistory) -> None:
        self.events.append(("ended", history.status))


def test_callbacks_hear_of_everything_in_order() -> None:
    diary = Diary()
    nan = 'faults.events=[{kind="nan", client="bob", round=2}]'
    simulate(load_config("spam", [*SMALL, "engine.kind=inline", nan]), [diary])
    assert diary.events == [
        ("started", "running"),
        ("round", 1, 3),
        ("alice", 1, True),
        ("bob", 1, True),
        ("sue", 1, True),
        ("finished", 1, 1),
        ("round", 2, 3),
        ("alice", 2, True),
        ("bob", 2, False),
        ("sue", 2, True),
        ("finished", 2, 2),
        ("ended", "done"),
    ]


def test_a_callback_that_raises_ends_the_run_as_failed_and_others_hear_of_it() -> None:
    class Broken(Callback):
        def round_finished(self, history: RunHistory, record: RoundRecord) -> None:
            message = "a defect of the callback"
            raise RuntimeError(message)

    diary = Diary()
    with pytest.raises(RuntimeError, match="a defect of the callback"):
        simulate(load_config("spam", [*SMALL, "engine.workers=1"]), [diary, Broken()])
    assert diary.events[-1] == ("ended", "failed")


@pytest.fixture(scope="module")
def history() -> RunHistory:
    return simulate(load_config("spam-owners", [*SMALL, "engine.kind=inline", "cohort_size=4"]))


def test_the_history_is_json_as_documented(history: RunHistory) -> None:
    document = json.loads(json.dumps(history.to_dict()))
    assert document["status"] == "done"
    assert document["data_is_synthetic"]
    assert msgspec.convert(document["config"], Experiment) == history.experiment
    assert document["model_sha256"] == history.model.sha256()
    assert {"fedgdl", "numpy", "python"} <= document["versions"].keys()
    for index, record in enumerate(document["rounds"], start=1):
        assert record["round_index"] == index
        assert 0 <= record["accuracy"] <= 1
        assert 0 < record["loss"] < 1
        assert {"seconds", "bytes_up", "bytes_down", "clients"} <= record.keys()
        ids = [client["client_id"] for client in record["clients"]]
        assert ids == sorted(ids)
        assert len(ids) == 4
        for client in record["clients"]:
            assert client["status"] == "done"
            assert 0 < client["train_loss"] < 1


def test_the_plot_has_a_curve_for_the_test_set_and_each_client(history: RunHistory) -> None:
    loss_axes, accuracy_axes = history.plot().axes
    clients = {client.client_id for record in history.rounds for client in record.clients}
    for axes in (loss_axes, accuracy_axes):
        assert {line.get_label() for line in axes.get_lines()} == {"test", *clients}
    assert list(loss_axes.get_lines()[0].get_ydata()) == [record.loss for record in history.rounds]
    assert "synthetic" in history.plot().get_suptitle()


def test_both_engines_and_any_number_of_workers_give_the_same_bits_with_shuffling_and_sampling() -> None:
    config = [*SMALL, "data.partition={kind='iid', clients=9}", "cohort_size=5", "training.batch_size=32"]
    inline = simulate(load_config("spam", [*config, "engine.kind=inline"]))
    for workers in (1, 3):
        processes = simulate(load_config("spam", [*config, f"engine.workers={workers}"]))
        assert processes.model.sha256() == inline.model.sha256()
        assert [record.loss for record in processes.rounds] == [record.loss for record in inline.rounds]


def test_another_seed_gives_another_model() -> None:
    config = [*SMALL, "engine.kind=inline"]
    one, same, other = (simulate(load_config("spam", [*config, f"seed={seed}"])) for seed in (1, 1, 2))
    assert one.model.sha256() == same.model.sha256() != other.model.sha256()


def test_the_recorder_sees_the_same_payloads_in_every_engine() -> None:
    records = []
    for engine in ("engine.kind=inline", "engine.workers=2"):
        recorder = Recorder(keep=True)
        simulate(load_config("spam", [*SMALL, engine]), recorder=recorder)
        order = sorted(recorder.payloads, key=lambda record: (record.round_index, record.client_id))
        records.append((order, {index: vector.tobytes() for index, vector in recorder.parameters.items()}))
    assert records[0] == records[1]
    assert len(records[0][0]) == 6
    assert not np.frombuffer(records[0][1][1], np.float32).any()  # the first round starts from zero weights


def test_equal_weighting_is_the_plain_mean_of_the_clients() -> None:
    """Oracle: the mean of the clients' deltas, read from the recorded payloads, in float64."""
    from server.aggregation import read_plain_update

    recorder = Recorder(keep=True)
    config = [*SMALL, "rounds=1", "engine.kind=inline", "strategy.weighting=equal", "dtype=float64"]
    history = simulate(load_config("spam", config), recorder=recorder)
    shapes = {"weighted_delta": history.model.vector.shape, "weight": (1,)}
    deltas = [
        read_plain_update(record.payload, shapes, np.dtype(np.float64))[1]["weighted_delta"]
        for record in recorder.payloads
    ]
    np.testing.assert_allclose(history.model.vector, np.mean(deltas, axis=0), rtol=1e-12, atol=1e-15)


def test_a_missing_data_set_is_told_before_any_process_is_started(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("FEDGDL_DATA", raising=False)
    monkeypatch.setenv("FEDGDL_CACHE", str(tmp_path))
    with pytest.raises(DataMissing, match="fedgdl data fetch"):
        simulate(load_config("spam-book"))


def test_the_fallback_is_used_and_said(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delenv("FEDGDL_DATA", raising=False)
    monkeypatch.setenv("FEDGDL_CACHE", str(tmp_path))
    with caplog.at_level(logging.INFO):
        history = simulate(load_config("spam", ["rounds=1", "engine.kind=inline", "data.examples=1000"]))
    assert history.is_synthetic
    assert "synthetic" in history.data_description


def test_a_task_that_cannot_be_sent_to_workers_is_refused_in_words() -> None:
    from fedgdl.federated.tasks.spam import SpamTask

    class Unsendable(SpamTask):
        def __reduce__(self) -> str:
            message = "no"
            raise TypeError(message)

    with pytest.raises(
        ConfigError, match=r"Unsendable cannot be sent to worker processes: no; try engine\.kind=inline"
    ):
        simulate(load_config("spam", SMALL), task=Unsendable())


def test_an_empty_client_is_named_and_left_out() -> None:
    from fedgdl.data import BagExamples, PreparedDataset
    from fedgdl.federated.tasks.spam import SpamTask

    class EmptyBob(SpamTask):
        def load_data(self, experiment: Any) -> PreparedDataset:
            mail = super().load_data(experiment)
            of_all = mail.client
            mail.client = lambda client_id: BagExamples.of([], []) if client_id == "bob" else of_all(client_id)  # type: ignore[method-assign]
            return mail

    history = simulate(load_config("spam", [*SMALL, "engine.kind=inline"]), task=EmptyBob())
    (failure,) = history.rounds[0].failures
    assert failure.client_id == "bob"
    assert "no examples" in failure.reason


def test_an_experiment_put_together_in_python_is_checked_like_a_file() -> None:
    experiment = msgspec.structs.replace(load_config("spam", SMALL), rounds=0)
    with pytest.raises(ConfigError, match="rounds = 0"):
        simulate(experiment)


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ('{kind="nan", client="bobb", round=1}', "did you mean bob"),
        ('{kind="nan", client="bob", round=3}', "round = 3 never comes: rounds = 2"),
    ],
)
def test_a_fault_that_would_never_happen_is_refused(fault: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        simulate(load_config("spam", [*SMALL, "engine.kind=inline", f"faults.events=[{fault}]"]))


@pytest.mark.parametrize("kind", ["plain", "secagg"])
def test_more_updates_than_there_are_clients_are_refused_before_anything_is_trained(kind: str) -> None:
    config = [*SMALL, "engine.kind=inline", f"aggregation.kind={kind}"]
    with pytest.raises(ConfigError, match=r"strategy\.min_updates = 7 can never be met: there are only 6 clients"):
        simulate(load_config("spam-owners", [*config, "strategy.min_updates=7"]))
    enough = simulate(load_config("spam-owners", [*config, "strategy.min_updates=6", "rounds=1"]))
    assert enough.status == "done"


def test_a_run_ends_after_the_first_tested_round_that_is_good_enough() -> None:
    config = [*SMALL, "engine.kind=inline", "rounds=6"]
    accuracies = [record.accuracy for record in simulate(load_config("spam", config)).rounds]
    assert None not in accuracies
    target = accuracies[2]
    first = next(index for index, accuracy in enumerate(accuracies, start=1) if accuracy >= target)  # type: ignore[operator]
    history = simulate(load_config("spam", [*config, f"until_accuracy={target}"]))
    assert history.status == "done"
    assert [record.accuracy for record in history.rounds] == accuracies[:first]
    tested_seldom = simulate(load_config("spam", [*config, f"until_accuracy={target}", "evaluate_every=2"]))
    assert [record.accuracy for record in tested_seldom.rounds] in (
        [None, accuracies[1]],
        [None, accuracies[1], None, accuracies[3]],
    )
    assert tested_seldom.has_reached_target
    assert tested_seldom.to_dict()["rounds_to_target"] == tested_seldom.rounds_to(target)


def test_a_target_that_is_not_reached_leaves_the_run_done_and_says_so() -> None:
    history = simulate(load_config("spam", [*SMALL, "engine.kind=inline", "until_accuracy=1"]))
    assert (history.status, len(history.rounds), history.has_reached_target) == ("done", 2, False)
    assert history.to_dict()["rounds_to_target"] is None
    assert "rounds_to_target" not in simulate(load_config("spam", [*SMALL, "engine.kind=inline"])).to_dict()


def test_dropout_and_momentum_give_the_same_bits_in_every_engine() -> None:
    """Cohorts of four of seven clients: who trains where and after whom is of no account."""
    training = TrainingConfig(
        0.0625, 2, 2, momentum=0.5, weight_decay=0.01, clip_grad_norm=3.0, learning_rate_decay=0.5
    )
    config = {"task": "federation:ThinnedLineTask", "training": training, "cohort_size": 2, "rounds": 3}
    inline = simulate(make_experiment(**config))
    for workers in (1, 2):
        engine = EngineConfig(workers=workers)
        processes = simulate(make_experiment(**config, engine=engine))
        assert processes.model.sha256() == inline.model.sha256()
        assert [record.loss for record in processes.rounds] == [record.loss for record in inline.rounds]
    without = {**config, "task": "federation:LineTask"}
    assert simulate(make_experiment(**without)).model.sha256() != inline.model.sha256()


def test_an_object_that_is_no_task_is_refused_by_what_it_lacks() -> None:
    class OldTask:
        load_data = build_model = predict = loss = count_correct = print

    with pytest.raises(ConfigError, match=r"OldTask has no count_targets\(self, batch\), metrics"):
        simulate(make_experiment(), task=OldTask())  # type: ignore[arg-type]


def test_a_task_of_ones_own_needs_no_data_source() -> None:
    text = "name='points'\ntask='federation:LineTask'\ntraining={learning_rate=0.1}\nengine={kind='inline'}"
    history = simulate(parse_experiment(text, "points.toml"))
    assert history.status == "done"
    assert history.experiment.data.source == ""
