"""An experiment's configuration: its schema, and reading it from TOML."""

from fedgdl.config.combinations import check_cohort
from fedgdl.config.explanation import nearest
from fedgdl.config.loading import check_experiment, parse_experiment, to_toml
from fedgdl.config.schema import (
    AggregationConfig,
    DataConfig,
    EngineConfig,
    Experiment,
    FaultConfig,
    FaultsConfig,
    ModelConfig,
    PartitionConfig,
    StrategyConfig,
    TrainingConfig,
)

__all__ = [
    "AggregationConfig",
    "DataConfig",
    "EngineConfig",
    "Experiment",
    "FaultConfig",
    "FaultsConfig",
    "ModelConfig",
    "PartitionConfig",
    "StrategyConfig",
    "TrainingConfig",
    "check_cohort",
    "check_experiment",
    "nearest",
    "parse_experiment",
    "to_toml",
]
