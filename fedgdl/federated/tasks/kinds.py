"""What the library's tasks share: each loads data of its own kind, and takes the model sizes that it has.

Not here: the tasks, one module each, and tasks of one's own, which need none of this.

Example:
    >>> from fedgdl.config import DataConfig, Experiment, TrainingConfig
    >>> data = DataConfig("synthetic-mail", examples=100)
    >>> experiment = Experiment(name="mix-up", task="digits", data=data, training=TrainingConfig(0.1))
    >>> load_images(experiment)
    Traceback (most recent call last):
        ...
    fedgdl.errors.ConfigError: task = "digits" learns from images of 28 x 28 pixels, but data.source = \
"synthetic-mail" has bags of words; for those there are task = "sentiment" and task = "spam"
"""

from typing import Final, Literal, cast

import numpy as np
import numpy.typing as npt

from fedgdl.autograd import Tensor
from fedgdl.config import Experiment, ModelConfig
from fedgdl.data import ArrayExamples, BagExamples, FederatedDataset, PreparedDataset, load_dataset
from fedgdl.errors import ConfigError
from fedgdl.federated.task import Task
from fedgdl.models.digits import SIDE
from fedgdl.nn import Module

__all__ = ["SequencesTask", "check_sizes", "load_bags", "load_images", "token_ids"]

_IMAGES: Final = f"images of {SIDE} x {SIDE} pixels"
_BAGS: Final = "bags of words"
_SEQUENCES: Final = "texts in order"
_TASKS: Final = {
    _IMAGES: 'task = "digits" and task = "digits-cnn"',
    _BAGS: 'task = "sentiment" and task = "spam"',
    _SEQUENCES: 'task = "characters" and task = "next-word"',
}

ModelKey = Literal["hidden", "embedding_size", "dropout"]


def load_images(experiment: Experiment) -> FederatedDataset[ArrayExamples]:
    """Returns the images of a configuration: inputs (n, 28, 28) uint8, a label each.

    Raises:
        DataError: the data set is missing or damaged, or its partition leaves a client empty.
        ConfigError: the data set has something else.
    """
    return cast("FederatedDataset[ArrayExamples]", _load(experiment, _IMAGES))


def load_bags(experiment: Experiment) -> FederatedDataset[BagExamples]:
    """Returns the bags of words of a configuration, a label each.

    Raises:
        DataError: the data set is missing or damaged, or its partition leaves a client empty.
        ConfigError: the data set has something else.
    """
    return cast("FederatedDataset[BagExamples]", _load(experiment, _BAGS))


class SequencesTask(Task[ArrayExamples]):
    """Predicts each place of a text from those before it; its model returns scores (T, B, V) and a state."""

    def load_data(self, experiment: Experiment) -> FederatedDataset[ArrayExamples]:
        """Returns texts in order, inputs (n, T) ids, labels (n, T) the ids that follow, or -1 for padding.

        They are shared by all processes through memory-mapped files.

        Raises:
            DataError: the data set is missing or damaged, or its partition leaves a client empty.
            ConfigError: it has no texts in order.
        """
        return cast("FederatedDataset[ArrayExamples]", _load(experiment, _SEQUENCES))

    def predict(self, model: Module, batch: ArrayExamples) -> Tensor:
        """Returns the scores after each place, (examples, T, ids)."""
        scores, _ = model(np.swapaxes(token_ids(batch.inputs), -1, -2))
        by_example: Tensor = scores.swapaxes(-2, -3)
        return by_example


def check_sizes(experiment: Experiment, *taken: ModelKey) -> ModelConfig:
    """Returns the configuration of the model, once it sets no other keys than those that this model has.

    Raises:
        ConfigError: names the key that is set in vain.
    """
    given, untouched = experiment.model, ModelConfig()
    for key in ModelConfig.__struct_fields__:
        if key not in taken and getattr(given, key) != getattr(untouched, key):
            allowed = " and ".join(f"model.{name}" for name in taken) or "no sizes at all"
            message = f'task = "{experiment.task}" has no model.{key}: leave it out (its model takes {allowed})'
            raise ConfigError(message)
    return given


def token_ids(ids: npt.NDArray[np.integer]) -> npt.NDArray[np.int64]:
    """Returns ids as models take them, without a copy where they are so already."""
    return ids.astype(np.int64, copy=False)


def _load(experiment: Experiment, wanted: str) -> PreparedDataset:
    data = load_dataset(experiment.data, experiment.seed)
    found = _kind(data.test)
    if found != wanted:
        message = (
            f'task = "{experiment.task}" learns from {wanted}, but data.source = "{data.source.name}" has {found}; '
            f"for those there are {_TASKS[found]}"
        )
        raise ConfigError(message)
    return data


def _kind(examples: BagExamples | ArrayExamples) -> str:
    if isinstance(examples, BagExamples):
        return _BAGS
    return _SEQUENCES if examples.labels.ndim == 2 else _IMAGES
