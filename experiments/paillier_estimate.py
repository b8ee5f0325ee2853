"""What an encrypted run will cost, before it starts: seconds, bytes and memory.

The number of operations follows from the configuration; how long one takes is measured (`experiments.paillier_costs`).
What else the machine does meanwhile is not in it, nor is the clients' training.

Not here: what is said of it (`experiments.report.words`), and measurements that are meant to be exact
(`fedgdl bench paillier`).

Example:
    >>> sizes = {"key_bits": 2_048, "num_ciphertexts": 10, "vector_bytes": 300}
    >>> run = EncryptedRun(**sizes, num_clients=4, num_rounds=3, num_cores=2)
    >>> {phase.name: phase.work for phase in phases_of(run)}["open"]
    {'half power bit': 61440}
    >>> round(estimate(run, lambda operation: 1e-6)["open_cpu_seconds"], 6)
    0.06144
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

from experiments.paillier_costs import Operation

__all__ = ["EncryptedRun", "Phase", "Work", "estimate", "phases_of"]

Work: TypeAlias = Mapping[Operation, float]
"""How often each operation is done."""

_WINDOW_BITS: Final = 8
_MESSAGE_BYTES: Final = 400
"""What goes with an update's ciphertexts: ids, digests and a signature."""

_EXP_EULER: Final = 1.781
"""e to the power of Euler's constant."""

_ENTRY_BYTES: Final = 96
"""What an entry of a table, a pair of numbers, takes in memory besides their digits."""

_FEWEST_LANE_BITS: Final = 2_048
"""Of a modulus that a table is made for lanes for."""

_BLOCK_BITS: Final = 208
_BLOCK_BYTES: Final = 32
"""Of a table that is made for lanes: so many bits of a number, and what they take."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EncryptedRun:
    """All that the cost of a run's encryption depends on.

    Attributes:
        key_bits: of the modulus.
        num_ciphertexts: of an update.
        vector_bytes: of an opened sum.
        num_clients: of a cohort.
        num_rounds: of the run.
        num_cores: that share all work.
        num_workers: that share the clients.
        scheme: how obfuscators are made.
        key_holder, is_signed: as configured.
        population: how many clients there are; each has a share of the key where it is shared out.
        threshold: how many of them open a sum then; else 0.
        has_key: whether the key is there already, in a file.
        has_lanes: whether the processor computes several powers at a time; see `fedgdl.crypto.paillier.lanes`.
    """

    key_bits: int
    num_ciphertexts: int
    vector_bytes: int
    num_clients: int
    num_rounds: int
    num_cores: int
    num_workers: int = 1
    scheme: Literal["djn", "textbook"] = "djn"
    key_holder: Literal["process", "clients", "threshold", "coordinator"] = "process"
    is_signed: bool = True
    population: int = 0
    threshold: int = 0
    has_key: bool = False
    has_lanes: bool = False

    @property
    def ciphertext_bytes(self) -> int:
        """Of one on the wire."""
        return -(-2 * self.key_bits // 8)

    @property
    def update_bytes(self) -> int:
        """Of an update's ciphertexts on the wire."""
        return self.num_ciphertexts * self.ciphertext_bytes

    @property
    def num_windows(self) -> int:
        """Bytes of an obfuscator's exponent, half as long as the key, and even: rows of the table of powers."""
        return 2 * -(-self.key_bits // (4 * _WINDOW_BITS))

    @property
    def has_factors(self) -> bool:
        """Whether those who encrypt know the factors of the modulus."""
        return self.key_holder == "clients"

    @property
    def table_bytes(self) -> int:
        """Of a worker's tables of powers, pairs of numbers as long as a root; 0 where there is none."""
        if self.scheme == "textbook":
            return 0
        num_tables, root_bits = (2, self.key_bits // 2) if self.has_factors else (1, self.key_bits)
        in_lanes = 2 * _BLOCK_BYTES * -(-(root_bits + 12) // _BLOCK_BITS)
        entry = in_lanes if self.has_lanes and 2 * root_bits >= _FEWEST_LANE_BITS else 2 * root_bits // 8 + _ENTRY_BYTES
        return num_tables * self.num_windows * 2**_WINDOW_BITS * entry


@dataclass(frozen=True, slots=True)
class Phase:
    """One kind of work of a run.

    Attributes:
        name: `"key"`, `"prepare"`, `"encrypt"`, `"add"` or `"open"`.
        work: of all who do it, in the whole run.
        largest_share: of it that one of them has to do alone, one thing after the other; at most 1.
    """

    name: str
    work: Work
    largest_share: float = 1.0

    def cpu_seconds(self, cost: Callable[[Operation], float]) -> float:
        """Returns how long it takes on one core; `cost` gives the seconds of an operation."""
        return sum(count * cost(operation) for operation, count in self.work.items() if count)

    def wall_seconds(self, cost: Callable[[Operation], float], num_cores: int) -> float:
        """Returns how long it takes on so many."""
        return self.cpu_seconds(cost) * max(self.largest_share, 1 / num_cores)


def phases_of(run: EncryptedRun) -> tuple[Phase, ...]:
    """Returns all work of a run's encryption: making the key, tables, encrypting, adding and opening."""
    return (_make_key(run), _prepare(run), _encrypt(run), _add(run), _open(run))


def estimate(run: EncryptedRun, cost: Callable[[Operation], float]) -> dict[str, Any]:
    """Returns what a run's encryption will cost, as JSON-ready values.

    Args:
        run: what it depends on.
        cost: operation -> CPU seconds; see `experiments.paillier_costs.cost_here`.

    Returns:
        `seconds` on the wall and `cpu_seconds` of the whole run, and of each phase (`key_seconds`, `key_cpu_seconds`,
        then likewise `prepare`, `encrypt`, `add`, `open`); `workers` and `cores` that share the work;
        `bytes_up_per_client`, in a round, where the clients that open sums are asked most, and `bytes_up` of all
        clients in the whole run; `table_bytes`, of each worker.
    """
    of_phases: dict[str, float] = {}
    for phase in phases_of(run):
        of_phases[f"{phase.name}_seconds"] = phase.wall_seconds(cost, run.num_cores)
        of_phases[f"{phase.name}_cpu_seconds"] = phase.cpu_seconds(cost)
    update, answer, num_answers = run.update_bytes + _MESSAGE_BYTES, 0, 0
    if run.key_holder == "clients":
        answer, num_answers = run.vector_bytes + _MESSAGE_BYTES, run.num_clients
    elif run.key_holder == "threshold":
        answer, num_answers = run.update_bytes + _MESSAGE_BYTES, run.threshold
    cpu_seconds = sum(seconds for name, seconds in of_phases.items() if name.endswith("_cpu_seconds"))
    return {
        "seconds": sum(of_phases.values()) - cpu_seconds,
        "cpu_seconds": cpu_seconds,
        "workers": run.num_workers,
        "cores": run.num_cores,
        **of_phases,
        "bytes_up_per_client": update + answer,
        "bytes_up": run.num_rounds * (run.num_clients * update + num_answers * answer),
        "table_bytes": run.table_bytes,
    }


def _make_key(run: EncryptedRun) -> Phase:
    """Returns the search for two primes, as long as it takes on average; there is none where the key is in a file.

    Source:
        Mertens' third theorem: numbers without a prime factor below L are primes e^gamma ln(L) times as often as
        others of their size; safe primes are the square of that rarer. The limits are those of `primes.py` beside the
        keys.
    """
    if run.has_key:
        return Phase("key", {})
    num_bits = run.key_bits // 2
    is_shared_out = run.key_holder == "threshold"
    rarity = num_bits * math.log(2) / (_EXP_EULER * math.log(num_bits**2 if is_shared_out else 1_000))
    num_tests = 2 * (rarity**2 if is_shared_out else rarity)
    return Phase("key", {"test bit": num_tests * num_bits})


def _prepare(run: EncryptedRun) -> Phase:
    """Returns the tables of powers: of each worker, and of a coordinator that re-randomises what it adds up."""
    if run.scheme == "textbook":
        return Phase("prepare", {})
    entries = run.num_windows * 2**_WINDOW_BITS
    of_coordinator = 0 if run.is_signed else entries
    if run.has_factors:
        work: Work = {"half entry": 2 * entries * run.num_workers, "entry": of_coordinator}
    else:
        work = {"entry": entries * run.num_workers + of_coordinator}
    return Phase("prepare", work, 1 / run.num_workers)


def _encrypt(run: EncryptedRun) -> Phase:
    """Returns the encryption of all updates; a worker does its clients' one after another."""
    count = run.num_ciphertexts * run.num_clients * run.num_rounds
    work = {**_obfuscators(run, count, has_factors=run.has_factors), "half product": 2 * count}
    return Phase("encrypt", work, math.ceil(run.num_clients / run.num_workers) / run.num_clients)


def _add(run: EncryptedRun) -> Phase:
    """Returns the check and sum of all updates: of the coordinator or key holder, or of each worker that opens it."""
    num_adders = _num_openers(run) if run.is_signed else 1
    count = run.num_ciphertexts * run.num_rounds
    added = count * run.num_clients * num_adders
    if run.is_signed:
        return Phase("add", {"product": added, "half product": added}, 1 / num_adders)
    again = _obfuscators(run, count, has_factors=False)  # what is added up is re-randomised
    return Phase("add", {**again, "product": added + count, "half product": added})


def _open(run: EncryptedRun) -> Phase:
    """Returns the decryption of each round's sum: by all cores of the key holder, or by the workers that open it."""
    count, num_openers = run.num_ciphertexts * run.num_rounds, _num_openers(run)
    if run.key_holder != "threshold":  # two powers, each with an exponent as long as a factor
        bits = _power_bits(run, "half power bit", run.key_bits // 2)
        alone = 1 / num_openers if run.key_holder == "clients" else 1 / run.num_cores
        return Phase("open", {bits: count * num_openers * run.key_bits}, alone)
    exponent_bits = 2 * run.key_bits + round(math.lgamma(run.population + 1) / math.log(2))  # a share has the factorial
    bits = _power_bits(run, "power bit", exponent_bits)
    # Parts are put together with short exponents, a bit or two for each holder of a share; squarings are shared.
    together = count * 2 * run.population
    work: dict[Operation, float] = {bits: count * run.threshold * exponent_bits}
    work["power bit"] = work.get("power bit", 0) + together
    return Phase("open", work, math.ceil(run.threshold / run.num_workers) / run.threshold)


def _num_openers(run: EncryptedRun) -> int:
    """Returns how many processes form and open each sum."""
    if run.key_holder == "clients":
        return run.num_workers
    return min(run.num_workers, run.threshold) if run.key_holder == "threshold" else 1


def _obfuscators(run: EncryptedRun, count: int, *, has_factors: bool) -> dict[Operation, float]:
    """Returns the work of making so many obfuscators."""
    if run.scheme == "textbook":
        if not has_factors:
            return {"power bit": count * run.key_bits}
        return {_power_bits(run, "half power bit", run.key_bits // 2): count * run.key_bits}
    if has_factors:
        return {"half row": 2 * run.num_windows * count, "half obfuscator": 2 * count}
    return {"row": run.num_windows * count, "obfuscator": count}


def _power_bits(run: EncryptedRun, bits: Literal["power bit", "half power bit"], exponent_bits: int) -> Operation:
    """Returns how powers of an update's ciphertexts are computed: in lanes, where that is worth it, or not."""
    from fedgdl.crypto.paillier.lanes import worth_lanes  # lazily: it loads arithmetic that only such runs need

    modulus_bits = 2 * run.key_bits if bits == "power bit" else run.key_bits
    if not (run.has_lanes and worth_lanes(modulus_bits, run.num_ciphertexts * exponent_bits * 6 // 5)):
        return bits
    return "lane power bit" if bits == "power bit" else "half lane power bit"
