"""What a history makes of its records."""

from collections.abc import Sequence

import numpy as np
import pytest
from federation import make_experiment
from hypothesis import given
from hypothesis import strategies as st

from experiments import RunHistory
from fedgdl.config import Experiment, TrainingConfig
from fedgdl.federated import ClientRecord, RoundRecord
from fedgdl.parameters import Layout, Parameters


def history_of(
    accuracies: Sequence[float | None], experiment: Experiment | None = None, clients: tuple[ClientRecord, ...] = ()
) -> RunHistory:
    """Returns a history of rounds with these test accuracies."""
    history = RunHistory(
        experiment=experiment if experiment is not None else make_experiment(),
        data_description="",
        data_fingerprint="",
        is_synthetic=True,
        versions={},
        model=Parameters(Layout.of({"w": (1,)})),
    )
    for index, accuracy in enumerate(accuracies, start=1):
        loss = None if accuracy is None else 1 - accuracy
        history.add_round(RoundRecord(index, "done", loss, accuracy, 1.0, 0, 0, clients), history.model)
    return history


@pytest.mark.parametrize(
    ("accuracies", "target", "rounds"),
    [
        ([0.5, 0.75, 1.0], 0.75, 2.0),
        ([0.5, 0.75, 1.0], 0.875, 2.5),  # halfway between rounds 2 and 3
        ([0.5, 0.75, 1.0], 0.25, 1.0),  # never before the first test
        ([0.5, 0.25, 0.75], 0.625, 2.5),  # the curve stays at 0.5 in round 2: monotone
        ([None, None, 0.5, None, 1.0], 0.75, 4.0),  # straight from round 3 to round 5
        ([0.5, 0.75], 0.8, None),
        ([None, None], 0.1, None),
        ([], 0.1, None),
        ([0.9, 0.2, 0.95], 0.9, 1.0),
    ],
)
def test_rounds_to_an_accuracy_follow_the_best_so_far(
    accuracies: list[float | None], target: float, rounds: float | None
) -> None:
    found = history_of(accuracies).rounds_to(target)
    assert found == (None if rounds is None else pytest.approx(rounds, rel=1e-12))


@given(st.lists(st.none() | st.floats(0, 1), max_size=12), st.floats(0, 1, exclude_min=True))
def test_rounds_to_an_accuracy_are_those_of_numpy_s_interpolation(
    accuracies: list[float | None], target: float
) -> None:
    """Oracle: invert the monotone curve, drawn with a point a tested round, at the first point at or above."""
    tested = [(index, accuracy) for index, accuracy in enumerate(accuracies, start=1) if accuracy is not None]
    found = history_of(accuracies).rounds_to(target)
    best = np.maximum.accumulate([accuracy for _, accuracy in tested]) if tested else np.zeros(0)
    above = np.flatnonzero(best >= target)
    if not above.size:
        assert found is None
        return
    at = int(above[0])
    last = tested[at][0]
    expected = last if at == 0 else np.interp(target, best[at - 1 : at + 1], [tested[at - 1][0], last])
    assert found == pytest.approx(expected, rel=1e-9)
    assert found is not None
    assert found <= last


def test_the_last_test_and_the_visits_of_the_clients_that_answered() -> None:
    training = TrainingConfig(0.1, epochs=3, batch_size=4, drop_last=True)
    clients = (ClientRecord("ann", "done", 10, 0.5, 0.5), ClientRecord("ben", "failed", reason="gone"))
    history = history_of([0.5, 0.75, None], make_experiment(training=training), clients)
    assert history.num_visits == 3 * 3 * 8
    assert history.last_evaluated is history.rounds[1]
    assert history_of([None]).last_evaluated is None
