"""Federated learning without processes: tasks, local training, strategies, evaluation, records."""

from fedgdl.federated.encoding import (
    EncodedUpdate,
    OnEncoded,
    UpdateEncoding,
    make_update_encoding,
    rounding_stream,
)
from fedgdl.federated.evaluation import Metrics, evaluate, is_evaluated
from fedgdl.federated.history import ClientRecord, RoundRecord, StageRecord
from fedgdl.federated.pooling import pool_examples
from fedgdl.federated.sampling import sample_cohort
from fedgdl.federated.strategy import FedAvg, Strategy, SumKind, make_strategy
from fedgdl.federated.sums import CohortSums
from fedgdl.federated.task import Task, build_task_model, check_task, find_task, load_task_data
from fedgdl.federated.training import (
    client_streams,
    make_optimizer,
    num_visits,
    plan_of_round,
    require_a_batch,
    train_batches,
    train_client,
)
from fedgdl.federated.update import ClientUpdate

__all__ = [
    "ClientRecord",
    "ClientUpdate",
    "CohortSums",
    "EncodedUpdate",
    "FedAvg",
    "Metrics",
    "OnEncoded",
    "RoundRecord",
    "StageRecord",
    "Strategy",
    "SumKind",
    "Task",
    "UpdateEncoding",
    "build_task_model",
    "check_task",
    "client_streams",
    "evaluate",
    "find_task",
    "is_evaluated",
    "load_task_data",
    "make_optimizer",
    "make_strategy",
    "make_update_encoding",
    "num_visits",
    "plan_of_round",
    "pool_examples",
    "require_a_batch",
    "rounding_stream",
    "sample_cohort",
    "train_batches",
    "train_client",
]
