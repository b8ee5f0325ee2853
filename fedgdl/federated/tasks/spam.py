"""The spam filter of Grokking Deep Learning, chapter 15, as a federated task.

Example:
    >>> import numpy as np
    >>> from fedgdl.data import BagExamples
    >>> batch = BagExamples.of([[0, 1], [1]], labels=[1, 0])
    >>> SpamTask().count_correct(np.array([0.9, 0.6]), batch)
    1
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from fedgdl.autograd import Tensor, squared_error
from fedgdl.config import Experiment
from fedgdl.data import BagExamples, FederatedDataset
from fedgdl.federated.task import Task
from fedgdl.federated.tasks.kinds import check_sizes, load_bags
from fedgdl.models import SpamModel
from fedgdl.nn import Module

__all__ = ["SpamTask"]


class SpamTask(Task[BagExamples]):
    """Tells spam from ham by the words an e-mail holds: a linear classifier on a bag of words.

    Source: Andrew W. Trask, Grokking Deep Learning, 2019, chapter 15, "Learning to detect spam".
    """

    def load_data(self, experiment: Experiment) -> FederatedDataset[BagExamples]:
        """Returns the prepared e-mails, shared by all processes through memory-mapped files.

        Raises:
            DataError: the data set is missing or damaged, or its partition leaves a client empty.
            ConfigError: it has no bags of words.
        """
        return load_bags(experiment)

    def build_model(self, data: Any, experiment: Experiment, rng: np.random.Generator) -> Module:  # noqa: ANN401
        """Returns a spam model with one zero weight for each word; draws nothing from `rng`.

        Raises:
            ConfigError: a size is set that it does not have.
        """
        check_sizes(experiment)
        return SpamModel(data.num_words, dtype=experiment.dtype)

    def predict(self, model: Module, batch: BagExamples) -> Tensor:
        """Returns the probability that each e-mail is spam, shape (examples,)."""
        probabilities: Tensor = model(batch.token_ids, batch.offsets)
        return probabilities

    def loss(self, prediction: Tensor, batch: BagExamples) -> Tensor:
        """Returns the sum over the e-mails of (probability - label) squared."""
        return squared_error(prediction, batch.labels.astype(prediction.data.dtype))

    def count_correct(self, prediction: npt.NDArray[Any], batch: BagExamples) -> int:
        """Returns how many e-mails lie on the right side of 0.5; exactly 0.5 counts as ham."""
        return int(np.count_nonzero((prediction > 0.5) == (batch.labels > 0.5)))
