"""Runs of whole federations: `simulate` from Python, `fedgdl` from the command line.

This is the only package in which all the others meet. Its names are loaded when first used: every
worker process imports this package with the program that started it, and needs none of them.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from experiments.baselines.runs import simulate_baselines
    from experiments.callbacks import Callback
    from experiments.run_history import RunHistory
    from experiments.simulation import load_config, simulate

__all__ = ["Callback", "RunHistory", "load_config", "simulate", "simulate_baselines"]

_HOMES = {
    "Callback": "experiments.callbacks",
    "RunHistory": "experiments.run_history",
    "load_config": "experiments.simulation",
    "simulate": "experiments.simulation",
    "simulate_baselines": "experiments.baselines.runs",
}


def __getattr__(name: str) -> Any:  # noqa: ANN401 (a class or a function)
    import importlib

    if name not in _HOMES:
        message = f"module 'experiments' has no attribute {name!r}"
        raise AttributeError(message)
    return getattr(importlib.import_module(_HOMES[name]), name)
