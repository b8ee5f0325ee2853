"""The table and the picture of a run beside its baselines."""

import dataclasses
from io import StringIO

import numpy as np
import pytest
from federation import LineTask, make_data, make_experiment
from rich.console import Console

from experiments import RunHistory, simulate, simulate_baselines
from experiments.baselines.results import CentralBaseline, ClientScore, LocalBaseline
from experiments.report.baselines import baseline_notes, baseline_table, draw_baselines, in_points

TASK = LineTask(make_data({"ann": 4, "ben": 6, "cat": 5}, num_test=40))


@pytest.fixture
def history() -> RunHistory:
    experiment = make_experiment(rounds=4, evaluate_every=2)
    history = simulate(experiment, task=TASK)
    simulate_baselines(experiment, history=history, task=TASK)
    return history


def text_of(history: RunHistory) -> str:
    console = Console(file=StringIO(), width=100)
    console.print(baseline_table(history))
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


def test_the_table_has_the_gaps_in_points(history: RunHistory) -> None:
    federated = history.rounds[-1].accuracy
    text = text_of(history)
    assert federated is not None
    for kind in ("central", "local"):
        (line,) = [line for line in text.splitlines() if kind in line]
        accuracy = history.baselines[kind].accuracy
        assert accuracy is not None
        assert line.split()[1:3] == [f"{accuracy:.2%}", f"{100 * (accuracy - federated):+.2f}"]


@pytest.mark.parametrize(
    ("accuracy", "reference", "words"), [(0.5, 0.25, "+25.00"), (0.25, 0.25, "+0.00"), (None, 0.5, ""), (0.5, None, "")]
)
def test_a_gap_is_in_points_where_there_are_two_accuracies(
    accuracy: float | None, reference: float | None, words: str
) -> None:
    assert in_points(accuracy, reference) == words


def test_what_was_interrupted_or_gave_nothing_is_said(history: RunHistory) -> None:
    nobody = [ClientScore(name, 0, 0, reason="no data") for name in "abcde"]
    some = [ClientScore("z", 4, 8, 0.5, 0.25)]
    history.baselines = {
        "central": CentralBaseline(4, status="interrupted"),
        "local": LocalBaseline(9, [*nobody, *some]),
    }
    assert "central (interrupted)" in text_of(history)
    notes = baseline_notes(history)
    assert notes[0] == "local, above: the mean of clients that trained alone, weighted by their examples"
    assert notes[1] == "local, client by client (1 of 9): mean 25.00%, min 25.00%, median 25.00%, max 25.00%"
    assert notes[2:] == [*(f"local: no model of {name}: no data" for name in "abc"), "... and of 2 more"]
    draw_baselines(history)


def test_a_run_that_was_never_tested_has_a_table_too(history: RunHistory) -> None:
    history.rounds = [dataclasses.replace(record, accuracy=None, loss=None) for record in history.rounds]
    assert "federated" in text_of(history)
    draw_baselines(history)


def test_the_picture_has_the_tested_rounds_of_both_and_the_mean_of_clients_alone(history: RunHistory) -> None:
    for axes, name in zip(draw_baselines(history).axes, ("loss", "accuracy"), strict=True):
        federated, central, local = axes.get_lines()
        assert list(federated.get_xdata()) == list(central.get_xdata()) == [2, 4]
        assert list(federated.get_ydata()) == [getattr(history.rounds[index], name) for index in (1, 3)]
        found = history.baselines["central"]
        assert isinstance(found, CentralBaseline)
        assert list(central.get_ydata()) == [getattr(point, name) for point in found.points]
        assert set(np.asarray(local.get_ydata())) == {getattr(history.baselines["local"], name)}


def test_curves_leave_out_rounds_without_a_test(history: RunHistory) -> None:
    for axes in history.plot().axes:
        (test,) = [line for line in axes.get_lines() if line.get_label() == "test"]
        assert list(test.get_xdata()) == [2, 4]
