"""What keys of one size cost: encryption, sums and decryption of a vector, a weight at a time, beside phe.

phe encrypts one value a ciphertext; here it is given whole numbers, so that its own encoding costs it nothing. It takes
turns with fedgdl, in samples, since a vector would take it an hour. What is decrypted is checked: our sum, and that
either library reads the other's ciphertexts.

Not here: several processes (`paillier_processes`).

Example:
    >>> report = measure_key(128, Vector(size=200, max_clients=3, bits=16), repeats=1, goals=NO_GOALS)
    >>> [row.name for row in report.rows][:3]
    ['encrypt', 'encrypt-pool', 'encrypt-factors']
"""

import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt
from gmpy2 import mpz

from experiments.benchmarks.measure import Reference, Timing, take_turns
from experiments.benchmarks.paillier_processes import Job, codes, measure_tables, measure_two_processes, started
from experiments.benchmarks.paillier_report import KeyReport, PaillierRow, ThresholdRow
from fedgdl.crypto.paillier import (
    CiphertextSum,
    ObfuscatorPool,
    Packing,
    TableObfuscators,
    TextbookObfuscators,
    combine,
    encrypt_vector,
    read_ciphertexts,
)
from fedgdl.crypto.paillier.lanes import lanes_are_available
from fedgdl.crypto.paillier.private import CrtObfuscators, PaillierPrivateKey, deal, generate
from fedgdl.errors import RunFailed
from fedgdl.progress import watched

__all__ = ["NO_GOALS", "Goals", "Vector", "measure_key"]

_PHE: Final = "phe, a value"
_PHE_VALUES: Final = 8
_PHE_SUMS: Final = 500
_TEXTBOOK_SAMPLE: Final = 32
_SAMPLE: Final = 288
_THRESHOLD_SAMPLE: Final = 16
"""Samples are large enough to be computed in lanes, where there are any, as whole vectors are."""

_NUM_SHARES, _THRESHOLD = 3, 2

Step = Callable[[int], object]
Codes = npt.NDArray[np.uint32]


@dataclass(frozen=True, slots=True)
class Vector:
    """What is encrypted.

    Attributes:
        size: weights.
        max_clients: for how many vectors in a sum there is room.
        bits: of an encoded weight.
    """

    size: int
    max_clients: int
    bits: int

    @property
    def max_code(self) -> int:
        """The largest code of a weight."""
        return (1 << self.bits) - 2

    @property
    def sum_bits(self) -> int:
        """Bits that hold the largest sum of a weight's codes."""
        return (self.max_clients * self.max_code).bit_length()


@dataclass(frozen=True, slots=True)
class Goals:
    """What is aimed at with keys of one size; none: nothing.

    Attributes:
        most_us: row -> microseconds a weight.
        times_phe: row -> how many times as long phe takes.
        most_bytes: a weight.
        two_processes: how many times as fast as one.
    """

    most_us: Mapping[str, float]
    times_phe: Mapping[str, float]
    most_bytes: float | None
    two_processes: float | None


NO_GOALS: Final = Goals({}, {}, None, None)


def measure_key(key_bits: int, vector: Vector, repeats: int, goals: Goals) -> KeyReport:
    """Measures all parts with new keys of one size.

    Args:
        key_bits: of the modulus.
        vector: what is encrypted.
        repeats: how often the longer parts are measured; the short ones five times as often.
        goals: for these keys and this vector.

    Raises:
        RunFailed: what was decrypted is not the sum, or phe and fedgdl do not read one another.
    """
    key_seconds, keys = [], []
    for _ in watched(range(max(3, repeats)), f"{key_bits} bits: keys"):
        began = time.process_time()
        keys.append(generate(key_bits))
        key_seconds.append(time.process_time() - began)
    measured = _MeasuredKey(keys[-1], vector, repeats, goals)
    rows = (*measured.encryption(), *measured.sums(), *measured.decryption())
    without_lanes = _measure_without_lanes(_LanelessJob(key_bits, vector, repeats)) if lanes_are_available() else ()
    public_key, packing = measured.public_key, measured.packing
    job = Job(public_key.to_bytes(), vector.size, vector.sum_bits, vector.max_code)
    bytes_per_weight = packing.num_plaintexts * public_key.ciphertext_bytes / vector.size
    return KeyReport(
        key_bits=key_bits,
        slots_per_plaintext=packing.slots_per_plaintext,
        num_ciphertexts=packing.num_plaintexts,
        bytes_per_weight=bytes_per_weight,
        most_bytes=goals.most_bytes,
        is_bytes_goal_met=None if goals.most_bytes is None else bytes_per_weight <= goals.most_bytes,
        key_seconds=statistics.median(key_seconds),
        rows=rows,
        rows_without_lanes=without_lanes,
        tables=measure_tables(job, repeats),
        processes=measure_two_processes(job, 3 * repeats, goals.two_processes),
        threshold=_measure_threshold(key_bits, packing.slots_per_plaintext, repeats),
    )


@dataclass(frozen=True, slots=True)
class _LanelessJob:
    """What a process measures that has no lanes."""

    key_bits: int
    vector: Vector
    repeats: int


def _measure_without_lanes(job: _LanelessJob) -> tuple[PaillierRow, ...]:
    """Returns the rows of encryption and decryption in a process that computes with gmpy2 alone.

    Raises:
        RunFailed: what was decrypted there is not the sum.
    """
    rows: tuple[PaillierRow, ...] = ()
    with started(_laneless, job) as process:
        for _ in watched(range(1), f"{job.key_bits} bits: without lanes"):
            rows = process.answer()
    return rows


def _laneless(connection: "Connection[Any, Any]", job: _LanelessJob) -> None:
    """The program of that process, for which llvmlite is not installed."""
    sys.modules["llvmlite"] = None  # type: ignore[assignment]  # whoever imports it gets an ImportError
    measured = _MeasuredKey(generate(job.key_bits), job.vector, job.repeats, NO_GOALS)
    connection.send((*measured.encryption(), *measured.decryption()))
    connection.recv()


class _MeasuredKey:
    """A key with phe's two halves of it, and a vector to encrypt."""

    def __init__(self, private_key: PaillierPrivateKey, vector: Vector, repeats: int, goals: Goals) -> None:
        self.public_key = private_key.public_key
        self.packing = Packing(vector.size, vector.sum_bits, self.public_key.plaintext_bits)
        self._private_key, self._vector, self._repeats, self._goals = private_key, vector, repeats, goals
        self._codes = codes(vector.size, vector.max_code)
        self._table = TableObfuscators(self.public_key)
        self._phe_private: Any = private_key.to_phe()
        self._phe_public: Any = self._phe_private.public_key
        self._values = [int(code) for code in self._codes[:_PHE_VALUES]]
        self._data = encrypt_vector(self.public_key, self.packing, self._codes, self._table)

    def encryption(self) -> Sequence[PaillierRow]:
        """Returns the rows of encrypting, all measured in turn."""
        key, vector, packing = self.public_key, self._codes, self.packing
        pool = ObfuscatorPool(self._table, packing.num_plaintexts)
        few, some = self._sample(_TEXTBOOK_SAMPLE), self._sample(_SAMPLE)
        textbook, factors = TextbookObfuscators(key), CrtObfuscators(self._private_key)
        steps: dict[str, Step] = {
            "encrypt": lambda _: encrypt_vector(key, packing, vector, self._table),
            "encrypt-pool": lambda _: encrypt_vector(key, packing, vector, pool),
            "encrypt-factors": lambda _: encrypt_vector(key, some, vector[: some.size], factors),
            "encrypt-textbook": lambda _: encrypt_vector(key, few, vector[: few.size], textbook),
            _PHE: lambda _: [self._phe_public.raw_encrypt(value) for value in self._values],
        }
        seconds = self._in_turn("encrypting", steps, before=pool.fill)
        return (
            self._row("encrypt", "obfuscators from a table of powers of hs", seconds, packing),
            self._row("encrypt-pool", "obfuscators from a pool that is full", seconds, packing),
            self._row("encrypt-factors", "by who knows the factors of n: powers modulo p^2 and q^2", seconds, some),
            self._row("encrypt-textbook", "packed, obfuscators r^n as in phe", seconds, few),
        )

    def sums(self) -> Sequence[PaillierRow]:
        """Returns the rows of checking and adding a client's ciphertexts."""
        key, packing, data = self.public_key, self.packing, self._data
        ciphertexts, total = read_ciphertexts(key, packing, data), CiphertextSum(key, packing)
        numbers = [self._phe_public.encrypt(value) for value in self._values]
        pairs = [(numbers[index % _PHE_VALUES], numbers[(index + 1) % _PHE_VALUES]) for index in range(_PHE_SUMS)]
        total.add(ciphertexts)
        steps: dict[str, Step] = {
            "add": lambda _: total.add(ciphertexts),
            _PHE: lambda _: [one + other for one, other in pairs],
        }
        seconds = self._in_turn("adding", steps, repeats=5 * self._repeats)
        checks = self._in_turn("checking", {"check": lambda _: read_ciphertexts(key, packing, data)})
        return (
            self._row("add", "a client's ciphertexts to the sum", seconds, packing, _PHE_SUMS),
            self._row("check", "a client's ciphertexts: each in range and prime to n", checks, packing),
        )

    def decryption(self) -> Sequence[PaillierRow]:
        """Returns the rows of decrypting the largest sum, one thread's and two threads'.

        Raises:
            RunFailed: it is not the sum.
        """
        key, max_clients = self._private_key, self._vector.max_clients
        total, some = CiphertextSum(self.public_key, self.packing), self._sample(_SAMPLE)
        ciphertexts = read_ciphertexts(self.public_key, self.packing, self._data)
        for _ in range(max_clients):
            total.add(ciphertexts)
        opened = self.packing.unpack(key.decrypt_many(total.ciphertexts, num_threads=2), np.uint32)
        theirs = [self._phe_public.raw_encrypt(value) for value in self._values]
        self._check(opened, ciphertexts[0], theirs)
        sample = total.ciphertexts[: some.num_plaintexts]
        steps: dict[str, Step] = {
            "decrypt": lambda _: some.unpack(key.decrypt_many(sample), np.uint32),
            _PHE: lambda _: [self._phe_private.raw_decrypt(ciphertext) for ciphertext in theirs],
        }
        seconds = self._in_turn("decrypting", steps)
        one = "by one thread"
        threads: dict[str, Step] = {
            "decrypt-threads": lambda _: key.decrypt_many(sample, num_threads=2),
            one: lambda _: key.decrypt_many(sample),
        }
        walls = self._in_turn("two threads", threads, clock=time.perf_counter)
        return (
            self._row("decrypt", f"a sum of {max_clients}, with the factors of n", seconds, some),
            self._row("decrypt-threads", "the same by two threads", walls, some, reference=one, clock="wall"),
        )

    def _check(self, opened: Codes, ciphertext: mpz, theirs: Sequence[int]) -> None:
        """Refuses to tell times of what is wrong."""
        if not np.array_equal(opened, self._codes * np.uint32(self._vector.max_clients)):
            message = "the decrypted sum is not the sum of what was encrypted"
            raise RunFailed(message)
        plaintext = int(self.packing.pack(self._codes)[0])
        if self._private_key.decrypt_many(theirs) != self._values or (
            self._phe_private.raw_decrypt(int(ciphertext)) != plaintext
        ):
            message = "phe and fedgdl do not decrypt one another's ciphertexts"
            raise RunFailed(message)

    def _sample(self, num_ciphertexts: int) -> Packing:
        """Returns the packing of the vector's first so many plaintexts."""
        size = min(self._vector.size, num_ciphertexts * self.packing.slots_per_plaintext)
        return Packing(size, self._vector.sum_bits, self.public_key.plaintext_bits)

    def _in_turn(
        self,
        what: str,
        steps: Mapping[str, Step],
        *,
        repeats: int | None = None,
        before: Callable[[], object] = lambda: None,
        clock: Callable[[], float] = time.process_time,
    ) -> dict[str, list[float]]:
        return _in_turn(
            f"{self.public_key.num_bits} bits: {what}", steps, repeats or self._repeats, before=before, clock=clock
        )

    def _row(
        self,
        name: str,
        what: str,
        seconds: Mapping[str, list[float]],
        packing: Packing,
        num_values: int = _PHE_VALUES,
        *,
        reference: str = _PHE,
        clock: Literal["CPU", "wall"] = "CPU",
    ) -> PaillierRow:
        """Returns a row a weight: of fedgdl's vector or sample, and of so many of phe's values."""
        fedgdl = Timing.of([one / packing.size for one in seconds[name]])
        most_us = self._goals.most_us.get(name)
        references: tuple[Reference, ...] = ()
        if reference in seconds:
            per = num_values if reference == _PHE else packing.size
            median_us = 1e6 * statistics.median(seconds[reference]) / per
            references = (Reference.of(reference, median_us, fedgdl.median_us, self._goals.times_phe.get(name)),)
        return PaillierRow(
            name=name,
            what=what,
            clock=clock,
            repeats=len(seconds[name]),
            num_ciphertexts=packing.num_plaintexts,
            fedgdl=fedgdl,
            most_us=most_us,
            is_goal_met=None if most_us is None else fedgdl.median_us <= most_us,
            references=references,
        )


def _measure_threshold(key_bits: int, slots_per_plaintext: int, repeats: int) -> ThresholdRow:
    """Deals shares of a new key, and has as many clients as it takes decrypt a sample.

    Raises:
        RunFailed: what they decrypt is not what was encrypted.
    """
    began = time.perf_counter()
    public_key, shares = deal(_NUM_SHARES, _THRESHOLD, key_bits)
    dealing_seconds = time.perf_counter() - began
    plaintexts = list(range(1, _THRESHOLD_SAMPLE + 1))
    obfuscators = TextbookObfuscators(public_key).draw(len(plaintexts))
    ciphertexts = list(map(public_key.encrypt, plaintexts, obfuscators))
    chosen = shares[:_THRESHOLD]
    partials = {share.x: share.partial_decrypt_many(ciphertexts) for share in chosen}
    if combine(public_key, _NUM_SHARES, _THRESHOLD, partials) != plaintexts:
        message = "shares of a key do not decrypt what was encrypted"
        raise RunFailed(message)
    steps: dict[str, Step] = {
        "partial": lambda _: chosen[0].partial_decrypt_many(ciphertexts),
        "combine": lambda _: combine(public_key, _NUM_SHARES, _THRESHOLD, partials),
    }
    seconds = _in_turn(f"{key_bits} bits: shares", steps, repeats)
    each = {name: Timing.of([one / len(ciphertexts) for one in times]) for name, times in seconds.items()}
    return ThresholdRow(
        num_shares=_NUM_SHARES,
        threshold=_THRESHOLD,
        repeats=repeats,
        num_ciphertexts=len(ciphertexts),
        dealing_seconds=dealing_seconds,
        partial=each["partial"],
        combine=each["combine"],
        slots_per_plaintext=slots_per_plaintext,
    )


def _in_turn(
    what: str,
    steps: Mapping[str, Step],
    repeats: int,
    *,
    before: Callable[[], object] = lambda: None,
    clock: Callable[[], float] = time.process_time,
) -> dict[str, list[float]]:
    """Times steps in turn, and tells whoever watches how far that is; `before` is done untimed before each turn."""
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for _ in watched(range(repeats), what):
        before()
        for name, times in take_turns(steps, 1, settling=0, clock=clock).items():
            seconds[name] += times
    return seconds
