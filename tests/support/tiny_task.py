"""Tiny experiments of the library's own tasks, on generated data."""

from typing import Any

import numpy as np

from fedgdl.config import DataConfig, EngineConfig, Experiment, ModelConfig, PartitionConfig, TrainingConfig
from fedgdl.federated import Task, find_task
from fedgdl.nn import Module
from fedgdl.seeding import stream

IID = PartitionConfig("iid", clients=4)


def tiny(task: str, source: str, *, learning_rate: float = 0.1, **model: Any) -> Experiment:
    """Returns two rounds of a task with four clients and few examples, inline."""
    data = DataConfig(source, partition=IID, examples=200, train_examples=80, test_examples=40, sequence_length=12)
    return Experiment(
        name="tiny",
        task=task,
        data=data,
        training=TrainingConfig(learning_rate, batch_size=8),
        model=ModelConfig(**model),
        rounds=2,
        engine=EngineConfig("inline"),
    )


TINY = {
    "characters": tiny("characters", "synthetic-verse", hidden=(6, 5), embedding_size=3, dropout=0.2),
    "digits": tiny("digits", "synthetic-digits", hidden=(12,), dropout=0.2),
    "digits-cnn": tiny("digits-cnn", "synthetic-digits", hidden=(2, 3, 8)),
    "next-word": tiny("next-word", "synthetic-stories", hidden=(6,), embedding_size=3),
    "sentiment": tiny("sentiment", "synthetic-reviews", embedding_size=4, learning_rate=1.0),
    "spam": tiny("spam", "synthetic-mail"),
}
"""One for each task of the library."""


def parts(experiment: Experiment) -> tuple[Task[Any], Any, Module]:
    """Returns an experiment's task, its data and a new model of it."""
    task = find_task(experiment.task)
    data = task.load_data(experiment)
    return task, data, task.build_model(data, experiment, stream(experiment.seed, "initialise"))


def zero_loss(experiment: Experiment) -> tuple[float, int]:
    """Returns the mean loss of the test targets under a model of zeros, and how many targets there are."""
    task, data, model = parts(experiment)
    parameters = model.flatten()
    parameters.load(np.zeros_like(parameters.vector))
    batch = data.test.slice(0, len(data.test))
    loss = task.loss(task.predict(model.eval(), batch), batch)
    num_targets = task.count_targets(batch)
    return float(loss.data) / num_targets, num_targets
