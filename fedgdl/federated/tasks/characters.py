"""Telling the next character of a text from those before it.

Example:
    >>> import numpy as np
    >>> from fedgdl.data import ArrayExamples
    >>> batch = ArrayExamples(np.array([[0, 1, 1]]), np.array([[1, 1, -1]]))  # the last place is padding
    >>> CharactersTask().count_correct(np.eye(2)[[[1, 0, 1]]], batch), CharactersTask().count_targets(batch)
    (1, 2)
"""

from typing import Any, ClassVar

import numpy as np

from fedgdl.config import Experiment
from fedgdl.errors import ConfigError
from fedgdl.federated.tasks.kinds import SequencesTask, Unit, check_sizes
from fedgdl.models import CharacterModel
from fedgdl.nn import Module

__all__ = ["CharactersTask"]


class CharactersTask(SequencesTask):
    """Predicts each character of a text from those before it in its window, with LSTM layers.

    Their units are `model.hidden`, by default (256, 256), on vectors of `model.embedding_size`, by default 8, as in
    McMahan et al., 2017 (see `fedgdl.models.characters`), thinned out by `model.dropout`. The windows have
    `data.sequence_length` characters, and each is read from an empty memory.
    """

    unit: ClassVar[Unit] = "characters"

    def build_model(self, data: Any, experiment: Experiment, rng: np.random.Generator) -> Module:  # noqa: ANN401
        """Returns a new model of the data's characters.

        Raises:
            ConfigError: `model.hidden` is empty.
        """
        sizes = check_sizes(experiment, "hidden", "embedding_size", "dropout")
        hidden = (256, 256) if sizes.hidden is None else sizes.hidden
        if not hidden:
            message = f'task = "{experiment.task}" needs the units of at least one LSTM layer in model.hidden, got []'
            raise ConfigError(message)
        return CharacterModel(
            data.num_words,
            sizes.embedding_size or 8,
            hidden,
            dropout=sizes.dropout,
            rng=rng,
            dtype=experiment.dtype,
        )
