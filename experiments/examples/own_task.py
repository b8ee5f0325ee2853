"""A task of one's own: five clients learn which of three herbs grows at a place.

Run it with `python own_task.py`; or, in its folder, name it in a configuration as `task = "own_task:HerbsTask"`.
"""

import numpy as np

from experiments import load_config, simulate
from fedgdl import nn
from fedgdl.config import Experiment
from fedgdl.data import ArrayExamples
from fedgdl.data.own import OwnDataset, from_arrays
from fedgdl.federated import Task

SETTINGS = ["name=herbs", "data.source=own", 'data.partition={kind="iid", clients=5}', "engine.workers=2"]
TRAINING = ["training.learning_rate=0.5", "training.batch_size=20", "training.loss_reduction=mean"]


class HerbsTask(Task[ArrayExamples]):
    """Tells thyme, mint and sage apart by how wet and how sunny a place is."""

    def load_data(self, experiment: Experiment) -> OwnDataset[ArrayExamples]:
        """Returns 600 places, 200 of each herb around its favourite one."""
        favourites = np.array([[0, 2], [2, -1], [-2, -1]])
        places = np.repeat(favourites, 200, axis=0) + np.random.default_rng(1).normal(size=(600, 2))
        return from_arrays(places, np.repeat(["thyme", "mint", "sage"], 200), experiment.data, experiment.seed)

    def build_model(
        self, data: OwnDataset[ArrayExamples], experiment: Experiment, rng: np.random.Generator
    ) -> nn.Module:
        """Returns a network with one hidden layer."""
        return nn.Sequential(nn.Linear(2, 16, rng=rng), nn.Tanh(), nn.Linear(16, data.num_classes, rng=rng))


if __name__ == "__main__":  # worker processes import this file
    for record in simulate(load_config("spam", [*SETTINGS, *TRAINING]), task=HerbsTask()).rounds:
        print(f"round {record.round_index}: accuracy {record.accuracy:.2f}")  # noqa: T201 (an example)
