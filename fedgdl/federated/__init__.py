"""Federated learning without processes: tasks, local training, strategies, evaluation, records."""

from fedgdl.federated.evaluation import Metrics, evaluate
from fedgdl.federated.history import ClientRecord, RoundRecord
from fedgdl.federated.sampling import sample_cohort
from fedgdl.federated.strategy import FedAvg, Strategy, make_strategy
from fedgdl.federated.task import Task, find_task
from fedgdl.federated.training import train_client
from fedgdl.federated.update import ClientUpdate

__all__ = [
    "ClientRecord",
    "ClientUpdate",
    "FedAvg",
    "Metrics",
    "RoundRecord",
    "Strategy",
    "Task",
    "evaluate",
    "find_task",
    "make_strategy",
    "sample_cohort",
    "train_client",
]
