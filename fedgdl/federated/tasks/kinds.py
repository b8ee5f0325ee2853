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
"synthetic-mail" has bags of words; for those take task = "sentiment" or task = "spam"
"""

from typing import ClassVar, Final, Literal, cast

import numpy as np
import numpy.typing as npt

from fedgdl.autograd import Tensor
from fedgdl.config import Experiment, ModelConfig
from fedgdl.data import ArrayExamples, BagExamples, FederatedDataset, PreparedDataset, load_dataset
from fedgdl.errors import ConfigError
from fedgdl.federated.task import Task
from fedgdl.models.digits import SIDE
from fedgdl.nn import Module

__all__ = ["SequencesTask", "Unit", "check_sizes", "load_bags", "load_images", "token_ids"]

Unit = Literal["characters", "words"]
"""What a place of a text holds."""

_IMAGES: Final = f"images of {SIDE} x {SIDE} pixels"
_BAGS: Final = "bags of words"
_SEQUENCES: Final[dict[Unit, str]] = {
    "characters": "texts in order, in characters",
    "words": "texts in order, in words",
}
"""What a source calls the entries of its vocabulary -> what its examples are."""

_TASKS: Final = {
    _IMAGES: 'task = "digits" or task = "digits-cnn"',
    _BAGS: 'task = "sentiment" or task = "spam"',
    _SEQUENCES["characters"]: 'task = "characters"',
    _SEQUENCES["words"]: 'task = "next-word"',
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
    """Predicts each place of a text from those before it; its model returns scores (T, B, V) and a state.

    Attributes:
        unit: what a place of its texts holds.
    """

    unit: ClassVar[Unit]

    def load_data(self, experiment: Experiment) -> FederatedDataset[ArrayExamples]:
        """Returns texts in order, inputs (n, T) ids, labels (n, T) the ids that follow, or -1 for padding.

        They are shared by all processes through memory-mapped files.

        Raises:
            DataError: the data set is missing or damaged, or its partition leaves a client empty.
            ConfigError: it has no texts in order, or has them in other units.
        """
        return cast("FederatedDataset[ArrayExamples]", _load(experiment, _SEQUENCES[self.unit]))

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
    found = _kind(data)
    if found != wanted:
        message = (
            f'task = "{experiment.task}" learns from {wanted}, but data.source = "{data.source.name}" has {found}; '
            f"for those take {_TASKS[found]}"
        )
        raise ConfigError(message)
    return data


def _kind(data: PreparedDataset) -> str:
    if isinstance(data.test, BagExamples):
        return _BAGS
    if data.test.labels.ndim == 1:
        return _IMAGES
    return _SEQUENCES[data.source.word_noun]
