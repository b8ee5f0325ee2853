"""What a run's progress bars say."""

import re
from io import StringIO
from typing import Any

import pytest
from federation import LineTask, make_data, make_experiment
from rich.console import Console
from rich.progress import TimeRemainingColumn

from experiments import Callback, RunHistory, simulate
from experiments.progress import ProgressBar, _bars, rate_in_words
from fedgdl.federated import RoundRecord
from fedgdl.progress import report


def terminal() -> Console:
    return Console(file=StringIO(), force_terminal=True, width=160)


@pytest.mark.parametrize(
    ("speed", "words"), [(600.0, "600.0/s"), (1.0, "1.0/s"), (0.5, "2.0 s each"), (1 / 3_000, "3,000.0 s each")]
)
def test_a_slow_rate_is_told_by_the_step(speed: float, words: str) -> None:
    assert rate_in_words(speed) == words


def test_rounds_of_many_minutes_have_a_rate_and_a_time_left() -> None:
    """The clock is the bar's own: three rounds of ten minutes each, then a look five minutes into the fourth."""
    now = [0.0]
    progress = _bars(terminal())
    progress.get_time = lambda: now[0]
    rounds = progress.add_task("rounds", total=6)
    for _ in range(3):
        now[0] += 600
        progress.advance(rounds)
    now[0] += 300
    (task,) = progress.tasks
    assert task.speed == pytest.approx(1 / 600)
    assert task.time_remaining == 1_800
    assert TimeRemainingColumn().render(task).plain == "0:30:00"


def test_six_hundred_rounds_are_counted_and_the_last_test_stays_in_sight() -> None:
    descriptions = []

    class Look(Callback):
        def round_finished(self, history: RunHistory, record: RoundRecord) -> None:
            task: Any = bar._progress.tasks[0]
            descriptions.append((task.completed, task.total, task.description))

    console = terminal()
    bar = ProgressBar(console)
    task = LineTask(make_data({"ann": 2, "ben": 2}))
    experiment = make_experiment(rounds=600, evaluate_every=250, until_accuracy=1.0)
    history = simulate(experiment, [bar, Look()], task=task)
    assert len(history.rounds) in {250, 500, 600}  # whenever all test points are near the line
    assert [done for done, _, _ in descriptions] == list(range(1, len(history.rounds) + 1))
    assert {total for _, total, _ in descriptions} == {600}
    assert descriptions[248][2] == "rounds to 100.00%"
    first = history.rounds[249].accuracy
    assert first is not None
    assert descriptions[249][2] == f"rounds to 100.00% (accuracy {first:.2%})"
    assert isinstance(console.file, StringIO)
    drawn = console.file.getvalue()
    assert re.search(r"\d/600", drawn)


def test_long_work_within_a_round_has_a_bar_of_its_own_until_it_is_done_or_given_up() -> None:
    shown = []

    class Work(Callback):
        def round_started(self, history: RunHistory, round_index: int, cohort_size: int) -> None:
            for done in range(4 if round_index == 1 else 2):  # the second time it comes to no end
                report("opening the sum", done, 3)
                shown.append([(task.description, task.completed) for task in bar._progress.tasks[2:]])

        def round_finished(self, history: RunHistory, record: RoundRecord) -> None:
            shown.append([(task.description, task.completed) for task in bar._progress.tasks[2:]])

    bar = ProgressBar(terminal())
    simulate(make_experiment(rounds=3), [bar, Work()], task=LineTask(make_data({"ann": 2, "ben": 2})))
    first = [[("opening the sum", done)] for done in range(3)]
    left = [("opening the sum", 1)]
    assert shown == [*first, [], [], *first[:2], left, *first[:2], left]
    report("opening the sum", 1, 3)  # after the run nobody watches any more
    assert [(task.description, task.completed) for task in bar._progress.tasks[2:]] == left
