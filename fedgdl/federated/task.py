"""What a federation learns: a task is a model, its loss, its metrics and the clients' data.

A task of your own derives from `Task` and says where its data is and how its model is built. All else has
defaults for classification: a batch then has `inputs`, which the model takes, and `labels`, whole numbers, and the
model gives a score for each class. Name it in the configuration as `task = "module:Name"`, or hand an instance to
`experiments.simulate`.

Not here: the library's own tasks (`fedgdl.federated.tasks`).

Example:
    >>> import numpy as np
    >>> from types import SimpleNamespace
    >>> from fedgdl import nn
    >>> class Stripes(Task):
    ...     def load_data(self, experiment):
    ...         ...
    ...     def build_model(self, data, experiment, rng):
    ...         return nn.Linear(4, 3, rng=rng)
    >>> words = SimpleNamespace(labels=np.array([[0, 2, -1], [1, -1, -1]]))  # two sequences, padded to three labels
    >>> Stripes().count_targets(words)
    3
"""

import inspect
from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any, Final, Generic, TypeVar

import numpy as np
import numpy.typing as npt

from fedgdl.autograd import Tensor, softmax_cross_entropy
from fedgdl.config import Experiment, nearest
from fedgdl.data.dataset import Batch, FederatedDataset
from fedgdl.errors import ConfigError
from fedgdl.federated.own_code import call_own, import_own
from fedgdl.nn import Module

__all__ = ["TASKS", "Task", "build_task_model", "check_task", "find_task", "load_task_data"]

BatchT = TypeVar("BatchT", bound=Batch)

TASKS: Final = {
    "characters": "fedgdl.federated.tasks.characters:CharactersTask",
    "digits": "fedgdl.federated.tasks.digits:DigitsTask",
    "digits-cnn": "fedgdl.federated.tasks.digits:DigitsCnnTask",
    "next-word": "fedgdl.federated.tasks.next_word:NextWordTask",
    "sentiment": "fedgdl.federated.tasks.sentiment:SentimentTask",
    "spam": "fedgdl.federated.tasks.spam:SpamTask",
}

_METHODS: Final = {
    "load_data": ("experiment",),
    "build_model": ("data", "experiment", "rng"),
    "predict": ("model", "batch"),
    "loss": ("prediction", "batch"),
    "count_correct": ("prediction", "batch"),
    "count_targets": ("batch",),
    "metrics": ("prediction", "batch"),
}
"""What every task has: name -> parameters after self, which are passed in this order."""

_WITHOUT_DEFAULT: Final = ("load_data", "build_model")

_DATASET: Final = ("client_ids", "client", "test", "fingerprint", "description", "is_synthetic")
"""What every `FederatedDataset` has."""


class Task(ABC, Generic[BatchT]):
    """A learning problem. An instance holds no state between calls and can be made without arguments.

    What is predicted and counted is a *target*: a label. An example has one, or, where it is a sequence, one for each
    of its positions; labels below 0 fill shorter sequences up and are no targets. Losses and accuracies are per target.
    """

    @abstractmethod
    def load_data(self, experiment: Experiment) -> FederatedDataset[BatchT]:
        """Returns the clients' and the test examples; called by the coordinator and by every worker."""

    @abstractmethod
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

    def predict(self, model: Module, batch: BatchT) -> Tensor:
        """Returns the model's output for a batch; its first axis is the examples.

        By default `model(batch.inputs)`: scores (examples, classes), or (examples, positions, classes).
        """
        scores: Tensor = model(_part(batch, "inputs", "predict"))
        return scores

    def loss(self, prediction: Tensor, batch: BatchT) -> Tensor:
        """Returns the scalar sum (not the mean) of the targets' losses.

        By default the cross-entropy of the softmax of the scores.
        """
        labels = _labels(batch, "loss").astype(np.int64, copy=False)
        if labels.ndim == 1 or not (labels < 0).any():
            return softmax_cross_entropy(prediction, labels, "sum")
        losses = softmax_cross_entropy(prediction, np.maximum(labels, 0), "none")
        return (losses * (labels >= 0).astype(losses.dtype)).sum()

    def count_correct(self, prediction: npt.NDArray[Any], batch: BatchT) -> int:
        """Returns how many targets are predicted right.

        By default those whose own class has the highest score.
        """
        labels = _labels(batch, "count_correct")
        return int(np.count_nonzero(prediction.argmax(-1) == labels))

    def count_targets(self, batch: BatchT) -> int:
        """Returns how many targets a batch has.

        By default its number of examples or, where these are sequences, of labels from 0 on.
        """
        if np.ndim(getattr(batch, "labels", ())) <= 1:
            return len(batch)
        return int(np.count_nonzero(_labels(batch, "count_targets") >= 0))

    def metrics(self, prediction: npt.NDArray[Any], batch: BatchT) -> dict[str, float]:
        """Returns further sums over the targets, name -> sum; a round's record has them divided by the targets.

        By default none. Asked for test examples only.
        """
        return {}


def find_task(name: str) -> Task[Any]:
    """Returns a new instance of the named task.

    Args:
        name: a task of this library, or `"module:Name"` of a class that can be imported.

    Raises:
        ConfigError: there is no such task, module or class, the module cannot be imported, the class cannot be made
            without arguments, it lacks a method that a task has, or has one that takes something else.
        TaskError: making an instance raised.
    """
    path = TASKS.get(name, name)
    module_name, colon, class_name = path.partition(":")
    what = f'task = "{name}"'
    if not (colon and _is_dotted_name(module_name) and class_name.isidentifier()):
        known = ", ".join(sorted(TASKS))
        message = f'{what} is not known{nearest(name, TASKS)} (known: {known}; or "module:Name" of your own)'
        raise ConfigError(message)
    module = import_own(module_name, what)
    task_class = getattr(module, class_name, None)
    if not isinstance(task_class, type):
        problem = f"{class_name} is not a class"
        if task_class is None:
            problem = f"module {module_name!r} has no attribute {class_name!r}{nearest(class_name, vars(module))}"
        message = f"{what}: {problem}"
        raise ConfigError(message)
    problem = _lacking(task_class) or _needed(task_class)
    if problem:
        message = f"{what}: {problem}"
        raise ConfigError(message)
    task: Task[Any] = call_own(f"{what}: {class_name}()", task_class)
    misfit = _misfit(task)
    if misfit:
        message = f"{what}: {misfit}"
        raise ConfigError(message)
    return task


def check_task(task: object) -> None:
    """Refuses what is no task: it must have all methods of `Task`, derived from it or not.

    Raises:
        ConfigError: names the methods that it lacks, or one that takes something else, and what to do.
    """
    if isinstance(task, type):
        message = f"a task is an instance, not the class {task.__name__}: pass {task.__name__}()"
        raise ConfigError(message)
    problem = _lacking(task) or _misfit(task)
    if problem:
        raise ConfigError(problem)


def load_task_data(task: Task[BatchT], experiment: Experiment) -> FederatedDataset[BatchT]:
    """Returns what a task's `load_data` gives, once it is known to be a data set.

    Raises:
        ConfigError: it is something else.
        TaskError: the task's own code raised.
        FedgdlError: it raised that.
    """
    method = f"{type(task).__name__}.load_data"
    data: Any = call_own(method, task.load_data, experiment)
    lacking = [part for part in _DATASET if not hasattr(data, part)]
    if lacking:
        without = "" if data is None else f" without {', '.join(lacking)}"
        message = (
            f"{method} returned {_returned(data)}{without}; expected data split into clients: what a function of "
            f"fedgdl.data.own returns, or an object that has {', '.join(_DATASET)}"
        )
        raise ConfigError(message)
    dataset: FederatedDataset[BatchT] = data
    return dataset


def build_task_model(
    task: Task[Any],
    data: Any,  # noqa: ANN401 (whatever `load_data` returned)
    experiment: Experiment,
    rng: np.random.Generator,
) -> Module:
    """Returns what a task's `build_model` gives, once it is known to be a model.

    Raises:
        ConfigError: it is something else.
        TaskError: the task's own code raised.
        FedgdlError: it raised that.
    """
    method = f"{type(task).__name__}.build_model"
    model: object = call_own(method, task.build_model, data, experiment, rng)
    if not isinstance(model, Module):
        message = f"{method} returned {_returned(model)}; expected a model, a fedgdl.nn.Module"
        raise ConfigError(message)
    return model


def _returned(value: object) -> str:
    """Returns in words what came instead of something better."""
    if value is None:
        return "None (is its return statement missing?)"
    return f"the class {value.__name__}, no instance" if isinstance(value, type) else f"a {type(value).__name__}"


def _lacking(task: object) -> str:
    """Returns which methods a task, or the class of one, lacks and what to do; nothing where it has all."""
    name = task.__name__ if isinstance(task, type) else type(task).__name__
    undefined: Iterable[str] = getattr(task, "__abstractmethods__", ())
    missing = [method for method in _METHODS if method in undefined or not callable(getattr(task, method, None))]
    if not missing:
        return ""
    text = f"the task {name} has no {', '.join(map(_definition, missing))}"
    to_define = [method for method in missing if method in _WITHOUT_DEFAULT]
    remedies = [f"define {' and '.join(to_define)}"] if to_define else []
    if len(to_define) < len(missing):
        remedies.append("derive the class from fedgdl.federated.Task, which has defaults for classification")
    return f"{text}; {', and '.join(remedies)}"


def _needed(task_class: type) -> str:
    """Returns that the class of a task cannot be made as it is; nothing where it can."""
    try:
        inspect.signature(task_class).bind()
    except TypeError as error:
        return f"it cannot be made without arguments: {error}"
    except ValueError:  # something compiled, which does not say what it takes
        pass
    return ""


def _misfit(task: object) -> str:
    """Returns which method of a task cannot be called as a task's is, and what to do; nothing where all can."""
    for method, arguments in _METHODS.items():
        try:
            signature = inspect.signature(getattr(task, method))
        except ValueError:  # something compiled, which does not say what it takes
            continue
        try:
            signature.bind(*arguments)
        except TypeError as error:
            return (
                f"{type(task).__name__}.{method} does not take what it is given: {error}; define {_definition(method)}"
            )
    return ""


def _definition(method: str) -> str:
    return f"{method}({', '.join(('self', *_METHODS[method]))})"


def _labels(batch: Batch, method: str) -> npt.NDArray[np.integer]:
    """Returns the labels of a batch.

    Raises:
        ConfigError: it has none that are whole numbers, so the task needs a method of its own.
    """
    labels: npt.NDArray[np.integer] = np.asarray(_part(batch, "labels", method))
    if labels.dtype.kind not in "biu":
        message = (
            f"a batch of {type(batch).__name__} has labels that are {labels.dtype}, where Task.{method} reads whole "
            f"numbers; define {method} in your own task"
        )
        raise ConfigError(message)
    return labels


def _part(batch: Batch, name: str, method: str) -> Any:  # noqa: ANN401 (inputs are whatever the model takes)
    """Returns the inputs or labels of a batch.

    Raises:
        ConfigError: it has none, so the task needs a method of its own in place of the default.
    """
    try:
        return getattr(batch, name)
    except AttributeError:
        kind = type(batch).__name__
        message = f"a batch of {kind} has no {name}, which Task.{method} reads; define {method} in your own task"
        raise ConfigError(message) from None


def _is_dotted_name(text: str) -> bool:
    return all(part.isidentifier() for part in text.split("."))
