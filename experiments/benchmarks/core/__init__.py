"""Training steps of fourteen small models: fedgdl against NumPy by hand and against PyTorch, `core.run` for all."""

from experiments.benchmarks.core.report import CoreReport, CoreRow, run

__all__ = ["CoreReport", "CoreRow", "run"]
