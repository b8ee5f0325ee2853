"""What encrypted aggregation costs: keys, encryption, sums and decryption beside phe; whole runs beside plain ones.

A weight's share of a vector's time stands beside what phe takes for a value of its own, in CPU time of this process and
in the same run, taken in turn. What several threads and processes do is measured by the clock on the wall, and so are
whole runs. What takes long is measured in samples, as each row says; what was decrypted is checked.

Example:
    >>> report = run(repeats=1, key_bits=(128,), size=200, experiment=None)
    >>> [(key.key_bits, key.slots_per_plaintext) for key in report.keys]
    [(128, 5)]
"""

import importlib.metadata
from collections.abc import Sequence
from typing import Final

from experiments.benchmarks.measure import load_average
from experiments.benchmarks.paillier_key import NO_GOALS, Goals, Vector, measure_key
from experiments.benchmarks.paillier_report import PaillierReport
from experiments.benchmarks.paillier_run import measure_run
from experiments.environment import machine, versions
from fedgdl.crypto.paillier.lanes import lanes_are_available
from fedgdl.errors import ConfigError
from fedgdl.progress import watched
from fedgdl.runtime import one_blas_thread

__all__ = ["run"]

_SIZE: Final = 100_000
_MAX_CLIENTS: Final = 100
_BITS: Final = 16
_REPEATS: Final = 5
_GOAL_BITS: Final = 2048
_GOALS: Final = Goals(
    most_us={"encrypt": 8.0, "encrypt-pool": 0.06, "add": 0.06, "decrypt": 32.0},
    times_phe={"encrypt": 1000.0, "add": 100.0, "decrypt": 75.0},
    most_bytes=6.1,
    two_processes=1.7,
)
_RUN: Final = "spam"
_RUN_OVERRIDES: Final = ("rounds=3",)


def run(
    repeats: int | None = None,
    *,
    key_bits: Sequence[int] = (2048, 3072),
    size: int = _SIZE,
    experiment: str | None = _RUN,
    overrides: Sequence[str] = _RUN_OVERRIDES,
) -> PaillierReport:
    """Measures all parts.

    Args:
        repeats: how often each part is measured, at least 1; left out: as often as it needs to be steady.
        key_bits: sizes of keys; the goals are for 2,048 bits.
        size: weights of a vector; the goals are for 100,000.
        experiment: what whole runs are made of; none: no run is made.
        overrides: `"table.key=value"` each, for these runs.

    Raises:
        ConfigError: `repeats` is not positive.
        RunFailed: what was decrypted is not the sum, or a run fails.
    """
    if repeats is not None and repeats < 1:
        message = f"a benchmark needs at least 1 repeat, got {repeats}"
        raise ConfigError(message)
    load, vector = load_average(), Vector(size, _MAX_CLIENTS, _BITS)
    # Runs come first: the coordinator's memory is to be that of a run, not that of the vectors below.
    whole = None if experiment is None else measure_run(experiment, overrides)
    keys = []
    for bits in watched(key_bits, "sizes of keys"):
        goals = _GOALS if (bits, size) == (_GOAL_BITS, _SIZE) else NO_GOALS
        with one_blas_thread():
            keys.append(measure_key(bits, vector, repeats or _REPEATS, goals))
    found = {name: importlib.metadata.version(name) for name in ("gmpy2", "phe")}
    return PaillierReport(
        keys=tuple(keys),
        size=size,
        max_clients=_MAX_CLIENTS,
        bits=_BITS,
        run=whole,
        has_lanes=lanes_are_available(),
        load_average=load,
        machine=machine(),
        versions=versions() | found,
    )
