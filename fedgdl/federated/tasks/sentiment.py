"""Telling the class of a text by its words: whether a review likes its film, say.

Example:
    >>> import numpy as np
    >>> from fedgdl.data import BagExamples
    >>> batch = BagExamples.of([[0, 1], [1]], labels=[1, 0])
    >>> SentimentTask().count_correct(np.array([[0.2, 0.9], [0.2, 0.9]]), batch)
    1
"""

from typing import Any

import numpy as np

from fedgdl.autograd import Tensor
from fedgdl.config import Experiment
from fedgdl.data import BagExamples, FederatedDataset
from fedgdl.federated.task import Task
from fedgdl.federated.tasks.kinds import check_sizes, load_bags, token_ids
from fedgdl.models import SentimentModel
from fedgdl.nn import Module

__all__ = ["SentimentTask"]


class SentimentTask(Task[BagExamples]):
    """Classifies bags of words: the sum of the words' vectors, then a score for each class.

    The vectors have `model.embedding_size` elements, by default 16, thinned out by `model.dropout`.
    """

    def load_data(self, experiment: Experiment) -> FederatedDataset[BagExamples]:
        """Returns the texts as bags of words, shared by all processes through memory-mapped files.

        Raises:
            DataError: the data set is missing or damaged, or its partition leaves a client empty.
            ConfigError: it has no bags of words.
        """
        return load_bags(experiment)

    def build_model(self, data: Any, experiment: Experiment, rng: np.random.Generator) -> Module:  # noqa: ANN401
        """Returns a new classifier of the data's words and classes.

        Raises:
            ConfigError: a size is set that it does not have.
        """
        sizes = check_sizes(experiment, "embedding_size", "dropout")
        return SentimentModel(
            data.num_words,
            data.num_classes,
            sizes.embedding_size or 16,
            dropout=sizes.dropout,
            rng=rng,
            dtype=experiment.dtype,
        )

    def predict(self, model: Module, batch: BagExamples) -> Tensor:
        """Returns the score of each class, (examples, classes)."""
        scores: Tensor = model(token_ids(batch.token_ids), batch.offsets)
        return scores
