"""Reading digits, with dense layers or convolutions.

Example:
    >>> import numpy as np
    >>> from fedgdl.data import ArrayExamples
    >>> batch = ArrayExamples(np.zeros((2, 28, 28), np.uint8), np.array([3, 1]))
    >>> DigitsTask().count_correct(np.eye(10)[[3, 4]], batch)
    1
"""

from typing import Any

import numpy as np

from fedgdl.autograd import Tensor
from fedgdl.config import Experiment
from fedgdl.data import ArrayExamples, FederatedDataset
from fedgdl.errors import ConfigError
from fedgdl.federated.task import Task
from fedgdl.federated.tasks.kinds import check_sizes, load_images
from fedgdl.models import DigitsCnn, DigitsMlp
from fedgdl.nn import Module

__all__ = ["DigitsCnnTask", "DigitsTask"]


class DigitsTask(Task[ArrayExamples]):
    """Tells which digit an image shows, with dense layers: `model.hidden`, by default (200, 200), and `model.dropout`.

    The defaults are the "2NN" of McMahan et al., 2017; see `fedgdl.models.digits`.
    """

    def load_data(self, experiment: Experiment) -> FederatedDataset[ArrayExamples]:
        """Returns the images, shared by all processes through memory-mapped files.

        Raises:
            DataError: the data set is missing or damaged, or its partition leaves a client empty.
            ConfigError: it has no images.
        """
        return load_images(experiment)

    def build_model(self, data: Any, experiment: Experiment, rng: np.random.Generator) -> Module:  # noqa: ANN401
        """Returns a new network of dense layers.

        Raises:
            ConfigError: a size is set that it does not have.
        """
        sizes = check_sizes(experiment, "hidden", "dropout")
        hidden = (200, 200) if sizes.hidden is None else sizes.hidden
        return DigitsMlp(hidden, sizes.dropout, rng=rng, dtype=experiment.dtype)

    def predict(self, model: Module, batch: ArrayExamples) -> Tensor:
        """Returns the score of each class, (examples, 10), for grey levels of 0 to 255."""
        dtype = next(model.parameters()).dtype
        scores: Tensor = model(np.divide(batch.inputs, 255, dtype=dtype))
        return scores


class DigitsCnnTask(DigitsTask):
    """Tells which digit an image shows, with convolutions: `model.hidden` and `model.dropout`.

    The sizes are by default (32, 64, 512): the first two are channels, the others units of dense layers. The defaults
    are the network of McMahan et al., 2017; see `fedgdl.models.digits`.
    """

    def build_model(self, data: Any, experiment: Experiment, rng: np.random.Generator) -> Module:  # noqa: ANN401
        """Returns a new convolutional network.

        Raises:
            ConfigError: a size is set that it does not have, or there are fewer than two.
        """
        sizes = check_sizes(experiment, "hidden", "dropout")
        hidden = (32, 64, 512) if sizes.hidden is None else sizes.hidden
        if len(hidden) < 2:
            message = (
                f'task = "{experiment.task}" needs at least two sizes in model.hidden, the channels of its two '
                f"convolutions (then the units of dense layers), got {list(hidden)}"
            )
            raise ConfigError(message)
        return DigitsCnn(hidden, sizes.dropout, rng=rng, dtype=experiment.dtype)
