"""What a benchmark of encrypted aggregation found.

Not here: measuring it (`paillier`), showing it (`tables`).
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from experiments.benchmarks.measure import Reference, Timing

__all__ = [
    "EncryptedRun",
    "KeyReport",
    "PaillierReport",
    "PaillierRow",
    "TableRow",
    "ThresholdRow",
    "TwoProcesses",
]


@dataclass(frozen=True, slots=True)
class PaillierRow:
    """One part of an encrypted aggregation, a weight at a time.

    Attributes:
        name: short.
        what: in words.
        clock: whether CPU time was taken, or time on the wall.
        repeats: how often it was measured.
        num_ciphertexts: how many were worked on each time; a vector may have more.
        fedgdl: microseconds a weight.
        most_us: the goal for the median; none without one.
        is_goal_met: whether it is at most that; none without a goal.
        references: what it is compared with: microseconds a weight, too.
    """

    name: str
    what: str
    clock: Literal["CPU", "wall"]
    repeats: int
    num_ciphertexts: int
    fedgdl: Timing
    most_us: float | None = None
    is_goal_met: bool | None = None
    references: tuple[Reference, ...] = ()


@dataclass(frozen=True, slots=True)
class TableRow:
    """One way for a process to have the powers of a key's base.

    Attributes:
        how: in words.
        ready_seconds: until it could encrypt, CPU time.
        unshared_bytes: the memory that this took it alone; 0 where the system does not tell.
        encrypt_us: a weight, CPU time: the median.
    """

    how: str
    ready_seconds: float
    unshared_bytes: int
    encrypt_us: float


@dataclass(frozen=True, slots=True)
class TwoProcesses:
    """A vector encrypted by one process, and by two, each its half, until all is back where it was asked for.

    Attributes:
        repeats: how often either was measured, in turn.
        one_seconds, two_seconds: medians, on the wall.
        gain: their ratio.
        least: the goal for it; none without one.
        is_goal_met: whether it is at least that; none without a goal.
        peak_bytes: the most memory that one of the processes had, Python and NumPy included; 0 where unknown.
    """

    repeats: int
    one_seconds: float
    two_seconds: float
    gain: float
    least: float | None
    is_goal_met: bool | None
    peak_bytes: int


@dataclass(frozen=True, slots=True)
class ThresholdRow:
    """Decryption by some of those who hold shares of a key.

    Attributes:
        num_shares: how many there are.
        threshold: how many it takes.
        repeats: how often it was measured.
        num_ciphertexts: how many were worked on each time.
        dealing_seconds: on the wall, once: a search for primes, which takes several times as long at times.
        partial: microseconds that one of them takes for a ciphertext, CPU time.
        combine: microseconds that putting the parts of a ciphertext together takes, CPU time.
        slots_per_plaintext: weights in a ciphertext.
    """

    num_shares: int
    threshold: int
    repeats: int
    num_ciphertexts: int
    dealing_seconds: float
    partial: Timing
    combine: Timing
    slots_per_plaintext: int


@dataclass(frozen=True, slots=True)
class KeyReport:
    """All that was measured with keys of one size.

    Attributes:
        key_bits: of the modulus.
        slots_per_plaintext: weights in a ciphertext.
        num_ciphertexts: of a vector.
        bytes_per_weight: of its ciphertexts.
        most_bytes: the goal for that; none without one.
        is_bytes_goal_met: whether it is at most that; none without a goal.
        key_seconds: median CPU time of making a key.
        rows: a weight at a time, in lanes where the processor has them (`fedgdl.crypto.paillier.lanes`).
        rows_without_lanes: likewise, with gmpy2 alone; none where there are no lanes anyway.
        tables: ways to have the table.
        processes: two against one.
        threshold: decryption by shares.
    """

    key_bits: int
    slots_per_plaintext: int
    num_ciphertexts: int
    bytes_per_weight: float
    most_bytes: float | None
    is_bytes_goal_met: bool | None
    key_seconds: float
    rows: tuple[PaillierRow, ...]
    rows_without_lanes: tuple[PaillierRow, ...]
    tables: tuple[TableRow, ...]
    processes: TwoProcesses
    threshold: ThresholdRow


@dataclass(frozen=True, slots=True)
class EncryptedRun:
    """A whole run with encrypted aggregation beside the same one without, in worker processes.

    Attributes:
        what: who trains what.
        data_is_synthetic: whether the data was generated.
        key_bits: of the modulus.
        num_weights: of the model.
        num_rounds: how many of each run.
        exact_seconds: of the run that sends the same whole numbers in the clear, from start to end, on the wall.
        encrypted_seconds: of the encrypted one.
        overhead_seconds: their difference: making the key, tables, encryption, checks, decryption.
        most_seconds: the goal for it; none without one.
        is_goal_met: whether it is at most that; none without a goal.
        is_same_model: whether both ended with the same model, bit for bit.
        exact_stages: stage -> seconds a round, median, of the run in the clear; `"rest"` is outside of all stages.
        encrypted_stages: likewise, of the encrypted run.
        peak_bytes: role -> the most memory that one of its processes had in the encrypted run; empty where unknown.
        bytes_per_update: on the wire, of the encrypted run.
    """

    what: str
    data_is_synthetic: bool
    key_bits: int
    num_weights: int
    num_rounds: int
    exact_seconds: float
    encrypted_seconds: float
    overhead_seconds: float
    most_seconds: float | None
    is_goal_met: bool | None
    is_same_model: bool
    exact_stages: Mapping[str, float]
    encrypted_stages: Mapping[str, float]
    peak_bytes: Mapping[str, int]
    bytes_per_update: float


@dataclass(frozen=True, slots=True)
class PaillierReport:
    """All rows, and where they were measured.

    Attributes:
        keys: one for each size of key.
        size: weights of a vector.
        max_clients: for how many vectors in a sum there is room.
        bits: of an encoded weight.
        run: a whole run; none where it was left out.
        has_lanes: whether this processor has vector lanes for such products, and what they need is installed.
        load_average: how many processes wanted a core in the minute before; with more than there are cores times on
            the wall are longer, and CPU times, too, since caches and clock rate are shared. None: the system does not
            tell.
        machine: processor and operating system.
        versions: of Python, NumPy, fedgdl, gmpy2 and phe.
    """

    keys: tuple[KeyReport, ...]
    size: int
    max_clients: int
    bits: int
    run: EncryptedRun | None
    has_lanes: bool
    load_average: float | None
    machine: str
    versions: dict[str, str]

    def to_dict(self) -> dict[str, Any]:
        """Returns the report as plain values, fit for JSON."""
        return asdict(self)
