"""A client's terms of a strategy's sums as one vector of whole numbers, and sums of such vectors as real numbers.

Clients and server share it, whatever happens on the way: added in the clear, masked or encrypted, the sum of the
integers is the same, and so is, bit for bit, the model made of it. The slots of a vector are

    the strategy's sums, in the order it declares them: weighted ones in fixed point, counts as they are;
    the counter: 1 for each client, so a sum says of how many vectors it is;
    train_loss, clipped to [0, 16], and train_accuracy, in [0, 1], rounded to the nearest;
    clipped_share: the share of the delta's elements that were clipped, rounded up, so that a single one shows;
    weight_capped: 1 if the client has more examples than `max_weight` and so counts for less than it would.

No single client's number need be readable for a report: the sums of the last four give the cohort's means.

Not here: the number format itself (`fedgdl.crypto.fixed_point`), and any secrecy.

Error, for a mean of K clients' clipped deltas with weights w_1 ... w_K of at most W, as the quotient of two sums:
    the weighted term w_i * delta lies within W * clip and is encoded in steps of W * step, where step is
    clip / (2**(bits - 1) - 1). So each term is wrong by at most W * step / 2, the sum of terms by K times that, and
    the sum of weights not at all: the mean is wrong by at most (step / 2) * K * W / (w_1 + ... + w_K). Equal weights
    of W make that step / 2. Stochastic rounding: twice as much at most, and no error on average.
    `UpdateEncoding.max_mean_error` computes it; rounding of float64 comes on top (see `fedgdl.crypto.fixed_point`).

Example:
    >>> import numpy as np
    >>> from fedgdl.config import AggregationConfig
    >>> from fedgdl.federated.strategy import FedAvg
    >>> from fedgdl.federated.update import ClientUpdate
    >>> from fedgdl.parameters import Layout
    >>> config = AggregationConfig(exact=True, clip=1.0, max_weight=4)
    >>> encoding = UpdateEncoding(config, FedAvg("num_examples"), Layout.of({"w": (2,)}), max_clients=2)
    >>> bob = encoding.encode(ClientUpdate(np.array([1.0, 0.0]), 1, 0.5, 1.0)).vector
    >>> sue = encoding.encode(ClientUpdate(np.array([0.0, 7.0]), 3, 1.5, 0.0)).vector
    >>> opened = encoding.decode(bob + sue, num_clients=2)
    >>> opened.sums["weight"], opened.sums["weighted_delta"].round(3)
    (array([4.]), array([1., 3.]))
    >>> {name: round(mean, 3) for name, mean in opened.means.items()}
    {'train_loss': 1.0, 'train_accuracy': 0.5, 'clipped_share': 0.25, 'weight_capped': 0.0}
"""

import hashlib
import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from fedgdl.config import AggregationConfig, Experiment
from fedgdl.crypto import FixedPoint, pack, require_room, unpack, wire_bytes
from fedgdl.errors import AggregationError, ConfigError, CryptoError, FedgdlError
from fedgdl.federated.strategy import Strategy, SumKind
from fedgdl.federated.sums import CohortSums
from fedgdl.federated.update import ClientUpdate
from fedgdl.parameters import Layout
from fedgdl.seeding import stream

__all__ = ["EncodedUpdate", "OnEncoded", "UpdateEncoding", "make_update_encoding", "rounding_stream"]

_SCHEME: Final = "fedgdl-fixed-point"
_VERSION: Final = 1
_LARGEST_LOSS: Final = 16.0
"""A mean loss of a target beyond this is reported as this: the cross-entropy of guessing among 9 million classes."""

_METRICS: Final = {"train_loss": _LARGEST_LOSS, "train_accuracy": 1.0, "clipped_share": 1.0}
"""Slots that hold a number from 0 to this; all clients count the same in their means."""

_TAIL: Final = ("counter", *_METRICS, "weight_capped")
_FINEST_METRIC: Final = 2**24
"""No metric is told more finely than in so many steps, however wide the slots."""


@dataclass(frozen=True, slots=True, eq=False)
class EncodedUpdate:
    """One client's update as whole numbers.

    Attributes:
        vector: (size,) array of the ring's dtype.
        clipped_share: the share of the delta's elements that lay outside of [-clip, clip].
        is_weight_capped: whether the client has more examples than it counts for.
    """

    vector: npt.NDArray[Any]
    clipped_share: float
    is_weight_capped: bool


OnEncoded: TypeAlias = Callable[[str, int, EncodedUpdate], None]
"""Called with (client id, round, encoded update) where an update is encoded, before anything is added to its vector.

For the simulator's own books alone. The vector must be neither changed nor kept by what is called.
"""


@dataclass(frozen=True, slots=True)
class _Slots:
    """Where one of the strategy's sums lies in the vector."""

    name: str
    kind: SumKind
    shape: tuple[int, ...]
    where: slice


class UpdateEncoding:
    """How updates of one experiment become vectors of whole numbers, and sums of vectors become sums.

    Not to be used by two threads at once: clients are encoded in the same scratch memory, one after the other.

    Args:
        config: the aggregation's; its `max_weight` is a number by now.
        strategy: declares the sums.
        layout: the model's.
        max_clients: how many vectors are added up at most; head-room is proved for so many.

    Attributes:
        size: slots of a vector.
        max_clients: as given.
        sum_bits: bits that hold the largest possible sum of a slot.
        bytes_per_slot: bytes on the wire that hold it.
        num_bytes: bytes of a packed vector, `size * bytes_per_slot`.
        spec: every parameter that two parties must agree on, as JSON-ready values.
        digest: SHA-256 of the spec, 64 hexadecimal digits.

    Raises:
        ConfigError: sums over so many clients may wrap around the ring; the message says what would fit. Or the
            configuration's `max_weight` has not been settled.
        FedgdlError: the strategy does not say of each of its sums of which kind it is.
    """

    def __init__(self, config: AggregationConfig, strategy: Strategy, layout: Layout, max_clients: int) -> None:
        if config.max_weight is None:
            message = "aggregation.max_weight is to be settled before updates are encoded, from the clients' data"
            raise ConfigError(message)
        self.max_clients = max_clients
        self._clip, self._max_examples = float(config.clip), config.max_weight
        self._strategy, self._num_parameters = strategy, layout.size
        self._scratch: npt.NDArray[np.float64] | None = None  # as long as a delta, made by the first client
        self._largest_weight = strategy.weight(config.max_weight)
        try:
            self._fixed_point = FixedPoint(
                self._clip * self._largest_weight, config.bits, config.rounding, config.ring_bits
            )
        except CryptoError as error:  # the schema lets numbers pass that are no use as a step
            message = f"aggregation.clip = {config.clip:g} cannot be encoded: {error}"
            raise ConfigError(message) from error
        _prove_room(config, self._fixed_point.max_code, self._largest_weight, max_clients)
        self._slots = _lay_out(strategy, layout)
        tail = self._slots[-1].where.stop if self._slots else 0
        self.size = tail + len(_TAIL)
        self._tail = {name: tail + index for index, name in enumerate(_TAIL)}
        largest_sum = max_clients * max(self._fixed_point.max_code, self._largest_weight)
        self.sum_bits = largest_sum.bit_length()
        self.bytes_per_slot = wire_bytes(largest_sum)
        self.num_bytes = self.size * self.bytes_per_slot
        # Metrics are told as finely as the slots' width allows anyway: nothing gets wider for them.
        width = self.sum_bits if config.kind == "paillier" else 8 * self.bytes_per_slot
        self._metric_code = min((2**width - 1) // max_clients, _FINEST_METRIC)
        self._limits = self._largest_of_one_client()
        self.spec: dict[str, Any] = self._describe(config, layout)
        text = json.dumps(self.spec, separators=(",", ":"), sort_keys=True, ensure_ascii=True, allow_nan=False)
        self.digest = hashlib.sha256(text.encode()).hexdigest()

    @property
    def dtype(self) -> np.dtype[Any]:
        """The ring's dtype, uint32 or uint64."""
        return self._fixed_point.dtype

    def max_mean_error(self, num_clients: int, total_weight: float) -> float:
        """Returns by how much an element of a weighted mean can differ from the mean of the clipped deltas.

        Args:
            num_clients: of the sum.
            total_weight: the sum of their weights.
        """
        return self._fixed_point.max_error * num_clients / total_weight

    def encode(self, update: ClientUpdate, rng: np.random.Generator | None = None) -> EncodedUpdate:
        """Returns an update as whole numbers.

        Args:
            update: the client's.
            rng: see `rounding_stream`; needed for stochastic rounding, and left alone otherwise.

        Raises:
            CryptoError: the update holds NaN or infinity, or has not the model's size; or stochastic rounding
                got no rng.
            FedgdlError: the strategy's terms are not what it declares.
        """
        if not (math.isfinite(update.train_loss) and math.isfinite(update.train_accuracy)):
            message = f"a training loss of {update.train_loss} and accuracy of {update.train_accuracy} have no code"
            raise CryptoError(message)
        delta, num_clipped = self._clipped(update.delta)
        is_weight_capped = self._strategy.weight(update.num_examples) > self._largest_weight
        num_examples = min(update.num_examples, self._max_examples)
        # The delta is float64 by now, so that a weight (below 2**29) times a float32 element is exact.
        terms = self._strategy.terms(ClientUpdate(delta, num_examples, update.train_loss, update.train_accuracy))
        vector = np.empty(self.size, self.dtype)
        for slots in self._slots:
            self._encode_term(slots, terms[slots.name], vector[slots.where], rng)
        top = self._metric_code
        vector[self._tail["counter"]] = 1
        for name, value in (("train_loss", update.train_loss), ("train_accuracy", update.train_accuracy)):
            vector[self._tail[name]] = round(min(max(value / _METRICS[name], 0.0), 1.0) * top)
        vector[self._tail["clipped_share"]] = -(-num_clipped * top // max(1, delta.size))
        vector[self._tail["weight_capped"]] = int(is_weight_capped)
        return EncodedUpdate(vector, num_clipped / max(1, delta.size), is_weight_capped)

    def decode(self, vector: npt.NDArray[Any], num_clients: int) -> CohortSums:
        """Returns the named sums that a sum of vectors stands for.

        Args:
            vector: (size,) array of the ring's dtype, the sum of so many clients' vectors, of which only the low
                `bytes_per_slot` bytes of each slot are looked at: no more cross the wire. It is left alone.
            num_clients: how many clients' vectors were added.

        Raises:
            AggregationError: it is no such sum: the counter is not `num_clients`, or a slot holds more than so
                many clients can give.
        """
        vector = self.check(vector, num_clients)
        sums = {}
        for slots in self._slots:
            part = vector[slots.where]
            is_count = slots.kind == "count"
            opened = part.astype(np.float64) if is_count else self._fixed_point.decode_sum(part, num_clients)
            sums[slots.name] = opened.reshape(slots.shape)
        means = {
            name: float(int(vector[self._tail[name]]) / (num_clients * self._metric_code) * top)
            for name, top in _METRICS.items()
        }
        means["weight_capped"] = int(vector[self._tail["weight_capped"]]) / num_clients
        return CohortSums(sums, num_clients, means)

    def check(self, vector: npt.NDArray[Any], num_clients: int) -> npt.NDArray[Any]:
        """Returns a sum of vectors with what lies above each slot's low bytes cleared, if it can be such a sum.

        Raises:
            AggregationError: as in `decode`.
        """
        if not 1 <= num_clients <= self.max_clients:
            message = (
                f"a sum over {num_clients:,} clients cannot be opened: the encoding is for 1 to {self.max_clients:,}"
            )
            raise AggregationError(message)
        if vector.shape != (self.size,) or vector.dtype != self.dtype:
            message = f"expected {self.size:,} slots of {self.dtype}, got shape {vector.shape} of {vector.dtype}"
            raise AggregationError(message)
        if self.bytes_per_slot < self.dtype.itemsize:
            vector = vector & self.dtype.type(256**self.bytes_per_slot - 1)
        counter = int(vector[self._tail["counter"]])
        if counter != num_clients:
            message = f"the opened sum counts {counter:,} clients where {num_clients:,} were added; it is not used"
            raise AggregationError(message)
        for name, where, limit in self._limits:
            if vector[where].size and int(vector[where].max()) > num_clients * limit:
                message = f"the opened sum holds more in {name} than {num_clients:,} clients can give; it is not used"
                raise AggregationError(message)
        return vector

    def pack(self, vector: npt.NDArray[Any]) -> bytes:
        """Returns a vector's bytes on the wire: the low ones of each slot, little-endian; (num_bytes,)."""
        return pack(vector, self.bytes_per_slot)

    def unpack(self, data: bytes) -> npt.NDArray[Any]:
        """Returns the vector of packed bytes: a new (size,) array, the upper bytes of each slot zero.

        Raises:
            CryptoError: there are more or fewer bytes than a vector has.
        """
        if len(data) != self.num_bytes:
            message = f"an encoded update has {self.num_bytes:,} bytes, got {len(data):,}"
            raise CryptoError(message)
        return unpack(data, self.bytes_per_slot, self.dtype)

    def _clipped(self, delta: npt.NDArray[Any]) -> tuple[npt.NDArray[np.float64], int]:
        """Returns the clipped delta in float64 and how many elements were clipped."""
        if delta.shape != (self._num_parameters,):
            message = f"expected an update of {self._num_parameters:,} elements, got shape {delta.shape}"
            raise CryptoError(message)
        smallest, largest = float(delta.min(initial=0.0)), float(delta.max(initial=0.0))  # NaN if one is
        if not (math.isfinite(smallest) and math.isfinite(largest)):
            message = "an update that holds NaN or infinity has no code"
            raise CryptoError(message)
        if self._scratch is None:
            self._scratch = np.empty(delta.shape)
        clipped = self._scratch
        np.copyto(clipped, delta)
        if max(largest, -smallest) <= self._clip:
            return clipped, 0
        num_clipped = int(np.count_nonzero(np.abs(clipped) > self._clip))
        return np.clip(clipped, -self._clip, self._clip, out=clipped), num_clipped

    def _encode_term(
        self, slots: _Slots, term: npt.NDArray[Any], codes: npt.NDArray[Any], rng: np.random.Generator | None
    ) -> None:
        if term.shape != slots.shape:
            message = f"the strategy declares {slots.name} of shape {slots.shape} and forms it of shape {term.shape}"
            raise FedgdlError(message)
        flat = term.reshape(-1)
        smallest, largest = float(flat.min(initial=0.0)), float(flat.max(initial=0.0))
        if slots.kind == "count":
            if not (smallest >= 0 and largest <= self._largest_weight and (flat == np.rint(flat)).all()):
                message = f"{slots.name} is a count: the strategy has to form whole numbers up to the client's weight"
                raise FedgdlError(message)
            codes[...] = flat
            return
        if not max(largest, -smallest) <= self._fixed_point.clip * (1 + 2**-40):  # products of floats are rounded
            message = f"{slots.name} is weighted: the strategy has to form no more than weight times clip"
            raise FedgdlError(message)
        self._fixed_point.encode(flat, rng if self._fixed_point.rounding == "stochastic" else None, out=codes)

    def _largest_of_one_client(self) -> list[tuple[str, slice, int]]:
        """Returns (name, where, the most that one client can put there) for all slots."""
        largest = {"counter": 1, **dict.fromkeys(_METRICS, self._metric_code), "weight_capped": 1}
        tail = [(name, slice(at, at + 1), largest[name]) for name, at in self._tail.items()]
        codes = {"count": self._largest_weight, "weighted": self._fixed_point.max_code}
        return [(slots.name, slots.where, codes[slots.kind]) for slots in self._slots] + tail

    def _describe(self, config: AggregationConfig, layout: Layout) -> dict[str, Any]:
        return {
            "scheme": _SCHEME,
            "version": _VERSION,
            "clip": self._clip.hex(),
            "bits": config.bits,
            "rounding": config.rounding,
            "ring_bits": config.ring_bits,
            "max_weight": config.max_weight,
            "largest_weight": self._largest_weight,
            "max_clients": self.max_clients,
            "bytes_per_slot": self.bytes_per_slot,
            "sums": [[slots.name, slots.kind, list(slots.shape)] for slots in self._slots],
            "tail": list(_TAIL),
            "metric_code": self._metric_code,
            "layout_sha256": layout.digest,
        }


def make_update_encoding(experiment: Experiment, strategy: Strategy, layout: Layout) -> UpdateEncoding:
    """Returns the encoding of an experiment whose `cohort_size` and `aggregation.max_weight` are settled.

    Raises:
        ConfigError: one of them is not, or sums over a cohort may wrap around the ring.
    """
    if experiment.cohort_size is None:
        message = "cohort_size is to be settled before updates are encoded: head-room is proved for so many clients"
        raise ConfigError(message)
    return UpdateEncoding(experiment.aggregation, strategy, layout, experiment.cohort_size)


def rounding_stream(seed: int, round_index: int, client_id: str) -> np.random.Generator:
    """Returns the random numbers that a client rounds with in a round; the same whatever protects the update."""
    return stream(seed, "rounding", round_index=round_index, client_id=client_id)


def _lay_out(strategy: Strategy, layout: Layout) -> tuple[_Slots, ...]:
    shapes, kinds = strategy.sum_shapes(layout), strategy.sum_kinds()
    if shapes.keys() != kinds.keys():
        message = f"the strategy declares the sums {', '.join(shapes)} and kinds of {', '.join(kinds)}"
        raise FedgdlError(message)
    slots, start = [], 0
    for name, shape in shapes.items():
        stop = start + math.prod(shape)
        slots.append(_Slots(name, kinds[name], tuple(shape), slice(start, stop)))
        start = stop
    return tuple(slots)


def _prove_room(config: AggregationConfig, max_code: int, largest_weight: int, max_clients: int) -> None:
    """Refuses what may wrap around the ring, and says what would not.

    Raises:
        ConfigError: names the keys.
    """
    wider = ", or take aggregation.ring_bits = 64" if config.ring_bits == 32 else ""
    fitting = [bits for bits in range(2, config.bits) if max_clients * (2**bits - 2) < 2**config.ring_bits]
    fewer = f"aggregation.bits up to {fitting[-1]} would fit" if fitting else "no aggregation.bits would fit"
    remedy = f"aggregation.bits = {config.bits} is too much for {max_clients:,} clients; {fewer}{wider}"
    require_room(max_clients, max_code, config.ring_bits, remedy=remedy)
    most = (2**config.ring_bits - 1) // max_clients
    lighter = f"aggregation.max_weight up to {most:,} would fit" if most else "no aggregation.max_weight would fit"
    remedy = f"aggregation.max_weight = {config.max_weight:,} is too much for {max_clients:,} clients; {lighter}{wider}"
    require_room(max_clients, largest_weight, config.ring_bits, remedy=remedy)
