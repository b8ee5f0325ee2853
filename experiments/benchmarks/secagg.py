"""What secure aggregation costs: masks, a client, the server, and whole rounds against plain ones.

Most is measured in CPU time of this process, so that other programs on the machine disturb little. What several
threads do is also measured by the clock on the wall, and so are rounds, since waiting for one another is part of them.
What is compared takes turns in one run: a plain NumPy sum, the processor's own key stream, and Flower's functions where
`flwr` is installed.

The client and the server are the ones of a run (`clients.protection.secagg`, `server.aggregation.secagg`), in memory,
and the sum that they open is checked.

Example:
    >>> report = run(repeats=1, size=1000, cohort_size=4, rounds=())
    >>> [row.name for row in report.rows]
    ['mask', 'encoding', 'masking', 'client', 'server-add', 'server-unmask', 'server-wall']
"""

import importlib.metadata
import secrets
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from experiments.benchmarks.flower import Flower, load_flower
from experiments.benchmarks.measure import Reference, Timing, load_average, take_turns
from experiments.benchmarks.secagg_cohort import MeasuredCohort, RoundTimes
from experiments.benchmarks.secagg_report import RoundRow, SecaggReport, SecaggRow
from experiments.environment import machine, versions
from experiments.simulation import load_config, simulate
from fedgdl.crypto.masking import KeyPair, add_masks, derive_key
from fedgdl.crypto.masking.graph import graph_parameters
from fedgdl.errors import ConfigError, RunFailed
from fedgdl.progress import watched
from fedgdl.runtime import one_blas_thread, usable_cores

__all__ = ["run"]

_SIZE: Final = 1_000_000
_NUM_NEIGHBOURS: Final = 20
_COHORT_SIZE: Final = 100
_MASK_GB_PER_SECOND: Final = 10.0
_MASKING_US: Final = 10_000.0
_UNMASKING_US: Final = 500_000.0
_TIMES_FLOWERS_CLIENT: Final = 10.0
_FLOWERS_CLIENT: Final = "Flower, without signatures"
_TIMES_FLOWERS_UNMASKING: Final = 100.0
_TIMES_PLAIN_ROUND: Final = 2.0
_PIECE_BYTES: Final = 128 * 1024
_ROUNDS: Final = (
    ("all 10 clients, 6,000 digits each", ("data.partition.clients=10",)),
    ("10 of 100 clients, 600 digits each", ()),
)
_MODEL: Final = ("model.hidden=[128]", "cohort_size=10", "training.epochs=1")

Step = Callable[[int], object]


def run(
    repeats: int | None = None,
    *,
    size: int = _SIZE,
    cohort_size: int = _COHORT_SIZE,
    rounds: Sequence[tuple[str, Sequence[str]]] = _ROUNDS,
) -> SecaggReport:
    """Measures all parts.

    Args:
        repeats: how often each side is measured, at least 1; left out: as often as each part needs to be steady.
        size: weights of the model; goals are for a million.
        cohort_size: of the server's rows; the goal is for 100.
        rounds: which rounds to run, each with its overrides of the experiment `mnist`.

    Raises:
        ConfigError: `repeats` is not positive.
        RunFailed: a sum that was opened is not the sum.
    """
    if repeats is not None and repeats < 1:
        message = f"a benchmark needs at least 1 repeat, got {repeats}"
        raise ConfigError(message)
    flower, has_vaes, load = load_flower(), _has_vaes(), load_average()
    has_goals = size == _SIZE
    with one_blas_thread():
        client = MeasuredCohort(_NUM_NEIGHBOURS + 1, size)
        played = [client.play() for _ in watched(range(repeats or 9), "clients")]
        encoding = _encoding_row(client, flower, repeats or 15)
        rows = (
            _mask_row(size, flower, repeats or 31, has_goal=has_goals and bool(has_vaes)),
            encoding,
            _masking_row(size, flower, repeats or 9, has_goals=has_goals),
            _client_row(client, played, encoding, flower, has_goal=has_goals),
            *_server_rows(size, cohort_size, flower, repeats or 3, has_goals=has_goals and cohort_size == _COHORT_SIZE),
        )
    found = versions() | {name: importlib.metadata.version(name) for name in ("cryptography", "gmpy2")}
    return SecaggReport(
        rows=rows,
        rounds=tuple(_round_row(what, overrides, repeats or 4) for what, overrides in watched(rounds, "rounds")),
        size=size,
        has_vaes=has_vaes,
        load_average=load,
        machine=machine(),
        versions=found if flower is None else found | {"flwr": flower.version},
    )


def _mask_row(size: int, flower: Flower | None, repeats: int, *, has_goal: bool) -> SecaggRow:
    """Of many masks that are added to one vector, one; the goal is 10 GB/s where the processor has VAES."""
    num_masks, vector = _NUM_NEIGHBOURS + 1, np.zeros(size, np.uint32)
    masks = [(secrets.token_bytes(32), 1 - 2 * (index % 2)) for index in range(num_masks)]
    total, delta = np.zeros(size, np.float32), np.ones(size, np.float32)
    steps: dict[str, Step] = {
        "fedgdl": lambda _: add_masks(vector, masks),
        "the key stream alone": _key_stream(vector.nbytes * num_masks),
        "adding a plain update (NumPy)": lambda _: [np.add(total, delta, out=total) for _ in range(num_masks)],
    }
    seconds = take_turns(steps, repeats, clock=time.process_time)
    each = {name: [one / num_masks for one in times] for name, times in seconds.items()}
    if flower is not None:
        each["Flower"] = _timed(flower.mask(size), min(repeats, 9))
    return _row(
        "mask",
        f"one mask generated and added, of {num_masks}",
        each,
        num_bytes=vector.nbytes,
        most_us=1e6 * vector.nbytes / (_MASK_GB_PER_SECOND * 1e9) if has_goal else None,
    )


def _encoding_row(client: MeasuredCohort, flower: Flower | None, repeats: int) -> SecaggRow:
    encoding, update = client.encoding, client.update
    vector = encoding.encode(update).vector
    steps: dict[str, Step] = {
        "encode": lambda _: encoding.encode(update),
        "pack": lambda _: encoding.pack(vector),
        "copying a plain update (NumPy)": lambda _: update.delta.tobytes(),
    }
    if flower is not None:
        steps["Flower"] = flower.encoding(update.delta)
    seconds = take_turns(steps, repeats, clock=time.process_time)
    both = {name: seconds.pop(name) for name in ("encode", "pack")}
    seconds["fedgdl"] = [sum(pair) for pair in zip(*both.values(), strict=True)]
    what = f"a client's update to {encoding.bytes_per_slot} bytes a weight"
    return _row("encoding", what, seconds, parts={name: _median_us(times) for name, times in both.items()})


def _masking_row(size: int, flower: Flower | None, repeats: int, *, has_goals: bool) -> SecaggRow:
    channel, mask = KeyPair.generate(), KeyPair.generate()
    peers = [(KeyPair.generate().public_key, KeyPair.generate().public_key) for _ in range(_NUM_NEIGHBOURS)]
    vector, own_seed = np.zeros(size, np.uint32), secrets.token_bytes(32)
    total, delta = np.zeros(size, np.float32), np.ones(size, np.float32)

    def step(_: int) -> None:
        masks = [(own_seed, 1)]
        for place, (channel_public, mask_public) in enumerate(peers):
            shared = channel.agree(channel_public)
            derive_key(shared, b"of what is sent")
            derive_key(shared, b"of what is received")
            masks.append((derive_key(mask.agree(mask_public), b"of the mask"), 1 - 2 * (place % 2)))
        add_masks(vector, masks)

    steps: dict[str, Step] = {
        "fedgdl": step,
        "adding a plain update (NumPy)": lambda _: np.add(total, delta, out=total),
    }
    if flower is not None:
        steps["Flower"] = flower.masking(_NUM_NEIGHBOURS, size)
    return _row(
        "masking",
        f"a client's key agreements and masks, {_NUM_NEIGHBOURS} neighbours",
        take_turns(steps, repeats, clock=time.process_time),
        most_us=_MASKING_US if has_goals else None,
    )


def _client_row(
    client: MeasuredCohort,
    played: Sequence[RoundTimes],
    encoding: SecaggRow,
    flower: Flower | None,
    *,
    has_goal: bool,
) -> SecaggRow:
    """The client's role in all five stages; what encoding takes is taken off."""
    stages = {stage: [times.client[stage] for times in played] for stage in played[0].client}
    encoding_seconds = encoding.fedgdl.median_us / 1e6
    stages["masked input"] = [max(0.0, seconds - encoding_seconds) for seconds in stages["masked input"]]
    seconds = {"fedgdl": [sum(parts) for parts in zip(*stages.values(), strict=True)]}
    if flower is not None:
        num_clients = len(client.client_ids)
        masking = flower.masking(_NUM_NEIGHBOURS, client.update.delta.size)
        sharing = flower.sharing(_NUM_NEIGHBOURS, graph_parameters(num_clients).threshold)
        seconds[_FLOWERS_CLIENT] = _timed(lambda index: (sharing(index), masking(index)), min(len(played), 5))
    return _row(
        "client",
        f"a client's round without encoding, {_NUM_NEIGHBOURS} neighbours: keys, shares, signatures, masks",
        seconds,
        parts={stage: _median_us(times) for stage, times in stages.items()},
        least={_FLOWERS_CLIENT: _TIMES_FLOWERS_CLIENT} if has_goal else {},
    )


def _server_rows(
    size: int, cohort_size: int, flower: Flower | None, repeats: int, *, has_goals: bool
) -> tuple[SecaggRow, ...]:
    cohort, num_lost = MeasuredCohort(cohort_size, size), cohort_size // 10
    played = [cohort.play(num_lost) for _ in watched(range(repeats), "cohorts")]
    num_survivors, deltas = cohort_size - num_lost, [cohort.update.delta.copy() for _ in range(4)]
    total = np.zeros(size, np.float32)

    def plain_sum(_: int) -> None:
        for index in range(num_survivors):
            np.add(total, deltas[index % len(deltas)], out=total)

    plain = "the plain sum (NumPy)"
    seconds = _timed(plain_sum, max(repeats, 5))
    adding = {
        "fedgdl": [one for times in played for one in times.server["masked input"]],
        plain: [one / num_survivors for one in seconds],
    }
    parts = {
        "taking shares": [sum(times.server["unmask"]) for times in played],
        "opening the sum": [times.finish[0] for times in played],
    }
    opening = {"fedgdl": [sum(pair) for pair in zip(*parts.values(), strict=True)], plain: seconds}
    if flower is not None:
        threshold = graph_parameters(cohort_size).threshold
        opening["Flower (computed from parts)"] = [
            flower.unmasking_seconds(cohort_size, num_lost, threshold, size, min(repeats, 3))
        ]
    return (
        _row("server-add", f"adding a masked update, {cohort.encoding.bytes_per_slot} bytes a weight", adding),
        _row(
            "server-unmask",
            f"unmasking, {cohort_size} clients of which {num_lost} were lost: shares, keys, masks",
            opening,
            parts={name: _median_us(times) for name, times in parts.items()},
            least={"Flower (computed from parts)": _TIMES_FLOWERS_UNMASKING} if has_goals else {},
        ),
        _row(
            "server-wall",
            f"the same on the wall, in up to {usable_cores()} threads",
            {"fedgdl": [sum(times.server["unmask"]) + times.finish_wall[0] for times in played]},
            most_us=_UNMASKING_US if has_goals else None,
        ),
    )


def _row(
    name: str,
    what: str,
    seconds: Mapping[str, list[float]],
    *,
    num_bytes: int | None = None,
    most_us: float | None = None,
    parts: Mapping[str, float] | None = None,
    least: Mapping[str, float] | None = None,
) -> SecaggRow:
    """Returns a row; in `seconds` "fedgdl" is its own side, every other one a reference."""
    fedgdl = Timing.of(seconds["fedgdl"])
    references = []
    for other, times in seconds.items():
        if other != "fedgdl":
            references.append(Reference.of(other, _median_us(times), fedgdl.median_us, (least or {}).get(other)))
    return SecaggRow(
        name=name,
        what=what,
        repeats=len(seconds["fedgdl"]),
        fedgdl=fedgdl,
        gigabytes_per_second=None if num_bytes is None else num_bytes / fedgdl.median_us / 1e3,
        most_us=most_us,
        is_goal_met=None if most_us is None else fedgdl.median_us <= most_us,
        parts=parts or {},
        references=tuple(references),
    )


def _round_row(what: str, overrides: Sequence[str], repeats: int) -> RoundRow:
    """Runs either kind in turn, each twice; a run's first round and its last, which is evaluated, do not count."""
    rounds = max(1, repeats // 2) + 2
    common = [*_MODEL, *overrides, f"rounds={rounds}", f"evaluate_every={rounds}"]
    measured: dict[str, list[Any]] = {"plain": [], "secagg": []}
    for _ in range(2):
        for kind, records in measured.items():
            history = simulate(load_config("mnist", [*common, f"aggregation.kind={kind}"]))
            records += [record for record in history.rounds[1:-1] if record.status == "done"]
    if not all(measured.values()):
        message = f"no round of mnist could be measured ({what})"
        raise RunFailed(message)
    medians = {kind: statistics.median(record.seconds for record in records) for kind, records in measured.items()}
    secagg, ratio = measured["secagg"], medians["secagg"] / medians["plain"]
    names = [stage.name for stage in secagg[0].stages]
    return RoundRow(
        what=what,
        num_rounds=len(secagg),
        plain_seconds=medians["plain"],
        secagg_seconds=medians["secagg"],
        ratio=ratio,
        most=_TIMES_PLAIN_ROUND,
        is_goal_met=ratio <= _TIMES_PLAIN_ROUND,
        stages={
            name: statistics.median(stage.seconds for record in secagg for stage in record.stages if stage.name == name)
            for name in names
        },
        rest_seconds=statistics.median(
            record.seconds - sum(stage.seconds for stage in record.stages) for record in secagg
        ),
    )


def _key_stream(num_bytes: int) -> Step:
    """Returns what makes so many bytes of AES-256-GCM's key stream, in a piece of memory that stays in the cache."""
    # Lazily, and here alone outside of fedgdl.crypto: this is the library by itself, which masks are compared with.
    from cryptography.hazmat.primitives.ciphers import Cipher
    from cryptography.hazmat.primitives.ciphers.algorithms import AES256
    from cryptography.hazmat.primitives.ciphers.modes import GCM

    zeros, piece = bytes(_PIECE_BYTES), np.empty(_PIECE_BYTES, np.uint8)

    def step(_: int) -> None:
        stream = Cipher(AES256(secrets.token_bytes(32)), GCM(bytes(12))).encryptor()
        for start in range(0, num_bytes, _PIECE_BYTES):
            length = min(_PIECE_BYTES, num_bytes - start)
            stream.update_into(zeros[:length], piece[:length].data)

    return step


def _timed(step: Step, repeats: int) -> list[float]:
    return take_turns({"": step}, repeats, clock=time.process_time)[""]


def _median_us(seconds: Sequence[float]) -> float:
    return 1e6 * statistics.median(seconds)


def _has_vaes() -> bool | None:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    flags = next((line for line in lines if line.startswith("flags")), None)
    return None if flags is None else "vaes" in flags.split()
