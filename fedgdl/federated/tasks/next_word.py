"""Telling the next word of a sentence from those before it.

Example:
    >>> import numpy as np
    >>> from fedgdl.data import ArrayExamples
    >>> batch = ArrayExamples(np.array([[4, 0, 1]]), np.array([[0, 1, -1]]))  # the last place is padding
    >>> NextWordTask().count_correct(np.eye(5)[[[0, 2, 2]]], batch), NextWordTask().count_targets(batch)
    (1, 2)
"""

from typing import Any, ClassVar

import numpy as np

from fedgdl.config import Experiment
from fedgdl.errors import ConfigError
from fedgdl.federated.tasks.kinds import SequencesTask, Unit, check_sizes
from fedgdl.models import NextWordModel
from fedgdl.nn import Module

__all__ = ["NextWordTask"]


class NextWordTask(SequencesTask):
    """Predicts each word of a sentence from those before it, with one recurrent layer.

    It has as many units as the one number in `model.hidden` says, by default 64, on vectors of
    `model.embedding_size`, by default 16, thinned out by `model.dropout`.
    """

    unit: ClassVar[Unit] = "words"

    def build_model(self, data: Any, experiment: Experiment, rng: np.random.Generator) -> Module:  # noqa: ANN401
        """Returns a new model of the data's words.

        Raises:
            ConfigError: `model.hidden` has another number of sizes than one.
        """
        sizes = check_sizes(experiment, "hidden", "embedding_size", "dropout")
        hidden = (64,) if sizes.hidden is None else sizes.hidden
        if len(hidden) != 1:
            message = f'task = "{experiment.task}" has one recurrent layer: model.hidden = [64], got {list(hidden)}'
            raise ConfigError(message)
        return NextWordModel(
            data.num_words,
            sizes.embedding_size or 16,
            hidden[0],
            dropout=sizes.dropout,
            rng=rng,
            dtype=experiment.dtype,
        )
