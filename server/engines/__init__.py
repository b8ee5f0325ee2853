"""Where workers run: one interface, several implementations, the same bits from each."""

from server.engines.engine import Engine, EngineEvent, FrameArrived, WorkerLost
from server.engines.inline import InlineEngine, InlineWorker
from server.engines.processes import ProcessEngine, WorkerMain

__all__ = [
    "Engine",
    "EngineEvent",
    "FrameArrived",
    "InlineEngine",
    "InlineWorker",
    "ProcessEngine",
    "WorkerLost",
    "WorkerMain",
]
