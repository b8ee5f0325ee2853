"""What a federation learns: a task is a model, its loss, its metrics and the clients' data.

A task of your own is a small class with the five methods of `Task`; name it in the
configuration as `task = "module:Name"`, or hand an instance to `experiments.simulate`.

Example:
    >>> find_task("spam").__class__.__name__
    'SpamTask'
"""

import importlib
from typing import Any, Final, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from fedgdl.autograd import Tensor
from fedgdl.config import Experiment, nearest
from fedgdl.data.dataset import Batch, FederatedDataset
from fedgdl.errors import ConfigError
from fedgdl.nn import Module

__all__ = ["TASKS", "Task", "find_task"]

BatchT = TypeVar("BatchT", bound=Batch)

TASKS: Final = {
    "characters": "fedgdl.federated.tasks.characters:CharactersTask",
    "digits": "fedgdl.federated.tasks.digits:DigitsTask",
    "digits-cnn": "fedgdl.federated.tasks.digits:DigitsCnnTask",
    "next-word": "fedgdl.federated.tasks.next_word:NextWordTask",
    "sentiment": "fedgdl.federated.tasks.sentiment:SentimentTask",
    "spam": "fedgdl.federated.tasks.spam:SpamTask",
}


class Task(Protocol[BatchT]):
    """A learning problem. An instance holds no state between calls and can be made without arguments."""

    def load_data(self, experiment: Experiment) -> FederatedDataset[BatchT]:
        """Returns the clients' and the test examples; called by the coordinator and by every worker."""
        ...

    def build_model(
        self,
        data: Any,  # noqa: ANN401 (whatever `load_data` returned)
        experiment: Experiment,
        rng: np.random.Generator,
    ) -> Module:
        """Returns a new model, initialised from the given stream; `data` is what `load_data` returned.

        One model serves a worker's clients one after another, and only its parameters are set anew for each: it must
        keep no other state that training changes, or results would depend on who trains where.
        """
        ...

    def predict(self, model: Module, batch: BatchT) -> Tensor:
        """Returns the model's output for a batch; its first axis is the examples."""
        ...

    def loss(self, prediction: Tensor, batch: BatchT) -> Tensor:
        """Returns the scalar sum (not the mean) of the examples' losses."""
        ...

    def count_correct(self, prediction: npt.NDArray[Any], batch: BatchT) -> int:
        """Returns how many examples are predicted right."""
        ...


def find_task(name: str) -> Task[Any]:
    """Returns a new instance of the named task.

    Args:
        name: a task of this library, or `"module:Name"` of a class that can be imported.

    Raises:
        ConfigError: there is no such task, module or class, or the class cannot be made without arguments.
    """
    path = TASKS.get(name, name)
    module_name, colon, class_name = path.partition(":")
    if not (colon and _is_dotted_name(module_name) and class_name.isidentifier()):
        known = ", ".join(sorted(TASKS))
        message = f'task = "{name}" is not known{nearest(name, TASKS)} (known: {known}; or "module:Name" of your own)'
        raise ConfigError(message)
    try:
        task_class = getattr(importlib.import_module(module_name), class_name)
    except (ImportError, AttributeError) as error:
        message = f'task = "{name}": {error}; is the module in the folder where the run is started, or on PYTHONPATH?'
        raise ConfigError(message) from error
    if not isinstance(task_class, type):
        message = f'task = "{name}": {class_name} is not a class'
        raise ConfigError(message)
    try:
        task: Task[Any] = task_class()
    except TypeError as error:
        message = f'task = "{name}" cannot be made without arguments: {error}'
        raise ConfigError(message) from error
    return task


def _is_dotted_name(text: str) -> bool:
    return all(part.isidentifier() for part in text.split("."))
