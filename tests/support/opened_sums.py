"""A protected run whose opened sums are compared with what its clients encoded."""

from pathlib import Path

import numpy as np

from clients.observer import vector_path
from experiments import Callback, RunHistory, load_config, simulate
from fedgdl.federated import make_strategy, make_update_encoding
from server.recorder import Recorder


def assert_opened_sums_are_exact(overrides: list[str], stage: str, folder: Path) -> None:
    """Runs `spam` with four clients and two rounds.

    Args:
        overrides: of the configuration.
        stage: whose payloads are protected updates: no two of them may be alike.
        folder: for the encoded vectors.
    """

    class Here(Callback):
        def observer_folder(self, history: RunHistory) -> Path:
            return folder

    recorder = Recorder(keep=True)
    history = simulate(load_config("spam", overrides), [Here()], recorder=recorder, keep_vectors=True)
    experiment = history.experiment
    encoding = make_update_encoding(experiment, make_strategy(experiment.strategy), history.model.layout)
    for record in history.rounds:
        vectors = [np.load(vector_path(folder, record.round_index, client.client_id)) for client in record.clients]
        opened = recorder.sums[record.round_index]
        expected = encoding.decode(sum(vectors[1:], vectors[0]), num_clients=4)
        for name, values in expected.sums.items():
            assert np.array_equal(opened.sums[name], values)
    sent = [kept for kept in recorder.payloads if kept.stage == stage]
    assert len({kept.payload for kept in sent}) == len(sent) == 8
