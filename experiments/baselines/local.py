"""Local training: each client alone, as long as it would have trained in the federation, in one worker or many.

A client trains with its own shuffles and dropouts of the federation's rounds: a federation of one client is its own
local baseline. Faults of the configuration are not done.
"""

import time
from collections.abc import Iterator
from typing import Any

from experiments.baselines.alone import FromAloneWorker, TrainAlone
from experiments.baselines.results import ClientScore, LocalBaseline
from fedgdl.data import FederatedDataset
from fedgdl.errors import EngineError
from fedgdl.progress import watched
from fedgdl.wire import Codec, WorkerFailed, WorkerReady, encode
from server.engines import Engine, WorkerLost

__all__ = ["train_locally"]

_MAX_FRAME_BYTES = 100_000
"""More than a score with the longest name and reason."""

_MAX_FAILED_STARTS = 3
"""After so many workers in a row that were lost before they were ready, the baseline is given up."""


def train_locally(engine: Engine, data: FederatedDataset[Any], baseline: LocalBaseline) -> None:
    """Has each client train alone, and fills the baseline as they are done.

    Args:
        engine: where workers run, not yet started; the caller closes it.
        data: whose clients; the workers load it themselves.
        baseline: to be filled.

    Raises:
        EngineError: workers cannot be started, or cannot load the data, or load other data.
        KeyboardInterrupt: Ctrl-C; the baseline holds what is done.
    """
    began = time.perf_counter()
    scores = _scores(engine, data)
    try:
        for _ in watched(range(len(data.client_ids)), "local baseline: clients"):
            baseline.clients.append(next(scores))
            baseline.seconds = time.perf_counter() - began
    finally:
        baseline.clients.sort(key=lambda score: score.client_id)
    baseline.status = "done" if baseline.accuracy is not None else "failed"


def _scores(engine: Engine, data: FederatedDataset[Any]) -> Iterator[ClientScore]:
    """Yields the clients' scores in the order in which they come; a worker has one client at a time."""
    codec: Codec[FromAloneWorker] = Codec(FromAloneWorker, _MAX_FRAME_BYTES)
    waiting = iter(data.client_ids)
    held: dict[int, str] = {}
    ready: set[int] = set()
    failed_starts = 0
    engine.start(_MAX_FRAME_BYTES)
    while True:
        for event in engine.poll(None):
            worker_id = event.worker_id
            if isinstance(event, WorkerLost):
                failed_starts = 0 if worker_id in ready else failed_starts + 1
                ready.discard(worker_id)
                if failed_starts >= _MAX_FAILED_STARTS:
                    message = f"{failed_starts} workers in a row were lost before they were ready: {event.reason}"
                    raise EngineError(message)
                if worker_id in held:
                    yield ClientScore(held.pop(worker_id), 0, 0, reason=f"its worker was lost: {event.reason}")
                continue
            message_in = codec.decode(event.frame)
            if isinstance(message_in, WorkerFailed):
                message = f"a worker gave up: {message_in.reason}"
                raise EngineError(message)
            if isinstance(message_in, WorkerReady):
                if message_in.data_fingerprint != data.fingerprint:
                    message = "a worker loaded other data: does load_data give the same every time?"
                    raise EngineError(message)
                ready.add(worker_id)
                failed_starts = 0
            else:
                held.pop(worker_id, None)
                yield message_in.score
            following = next(waiting, None)
            if following is not None:
                held[worker_id] = following
                engine.send(worker_id, encode(TrainAlone(following)))
