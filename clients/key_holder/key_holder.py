"""The key holder's logic: frames in, frames out. It knows nothing of pipes or processes.

It alone has the private key. Round by round it is told what the round is about (`RoundOpened`), gets the clients'
signed updates one by one (`AddUpdate`), and is asked for their sum (`OpenSum`). What it lets be opened is settled in
`rules.py`; on top of that rounds only increase. Whenever one starts it draws a session of its own, so that nothing that
was signed before is worth anything to its successor: what it forgot cannot be opened a second time.

Memory: the running sum of one round, whatever the cohort; and an update on its way.

Threat model: with `key_holder = "process"` and signed sums, every byte that comes in may be a lie of the coordinator's;
    it gets one sum a round, of updates that at least `min_clients` clients signed for that round. In exchange the key
    holder sees all ciphertexts and could read each update: it is trusted not to. With trusted sums it sees none but the
    re-randomised sums; the coordinator is then believed (see `rules.py`). With `key_holder = "coordinator"` there is no
    gate at all: it opens whatever it is asked to, which is what that setting is there to show.

Not protected against: what `rules.py` says; a coordinator that ends the key holder, or feeds it what it refuses, and so
    ends a round. Secrets left in memory, which Python cannot wipe; arithmetic that is not constant in time. In this
    simulation the key holder has the identities of all clients, not only their public halves.

Example:
    >>> from fedgdl.config import AggregationConfig, TrainingConfig
    >>> from fedgdl.crypto.paillier.private import generate
    >>> from fedgdl.federated import FedAvg
    >>> aggregation = AggregationConfig(kind="paillier", max_weight=8)
    >>> experiment = Experiment("three", "spam", TrainingConfig(0.1), cohort_size=3, aggregation=aggregation)
    >>> identities = Identities(bytes(32))  # random in a run
    >>> layout, private_key = Layout.of({"w": (2,)}), generate(128)  # of 3,072 bits in a run
    >>> key_holder = KeyHolder(experiment, FedAvg("num_examples"), layout, private_key, identities)
    >>> frames = key_holder.handle(encode(OpenSum(1, ("bob",), b"...")))
    >>> [Codec(Refused, 1_000).decode(frame).reason for frame in frames]
    ['no round has begun']
"""

import logging
import secrets
import time
from collections.abc import Callable, Iterator
from typing import Final

from gmpy2 import mpz

from clients.key_holder.rules import RoundGate, Terms, certify, check_header, require_sorted, write_opened
from fedgdl.config import Experiment
from fedgdl.crypto.masking import Identities
from fedgdl.crypto.paillier import read_ciphertexts
from fedgdl.crypto.paillier.private import PaillierPrivateKey
from fedgdl.errors import AggregationError, CryptoError, ProtocolError
from fedgdl.federated import Strategy
from fedgdl.federated.encoding import make_update_encoding
from fedgdl.parameters import Layout
from fedgdl.wire import MAX_REASON_CHARACTERS, Codec, Shutdown, encode
from fedgdl.wire.paillier import (
    Added,
    AddUpdate,
    KeyHolderReady,
    OpenSum,
    PaillierHeader,
    Refused,
    RoundOpened,
    SumOpened,
    SumProgress,
    ToKeyHolder,
)

__all__ = ["KeyHolder"]

logger = logging.getLogger(__name__)

_MAX_FRAME_BYTES: Final = 256_000_000
"""More than the longest frame: one update, or one sum; the coordinator refuses experiments whose are longer."""

_PROGRESS_SECONDS: Final = 0.5
"""About so often the key holder looks up from decrypting."""


class KeyHolder:
    """Holds the private key, and opens sums of encrypted updates with it.

    Args:
        experiment: the configuration, with `cohort_size` and `aggregation.max_weight` settled.
        strategy: says which sums an update has terms of.
        layout: the model's.
        private_key: decrypts.
        identities: signs for the key holder, and knows who can sign for whom.
        num_threads: that decrypt.
        random_bytes: count -> that many bytes nobody can foresee; another source than the default is for tests.

    Attributes:
        is_shut_down: whether it has been told to end.

    Raises:
        ConfigError, CryptoError: the experiment's numbers or the key cannot be used.
    """

    def __init__(
        self,
        experiment: Experiment,
        strategy: Strategy,
        layout: Layout,
        private_key: PaillierPrivateKey,
        identities: Identities,
        *,
        num_threads: int = 1,
        random_bytes: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        certificate = certify(private_key.public_key, identities, random_bytes(16))
        encoding = make_update_encoding(experiment, strategy, layout)
        self._terms = Terms(experiment, encoding, layout.digest, certificate)
        self._is_guarded = experiment.aggregation.key_holder != "coordinator"
        self._private_key, self._identities, self._num_threads = private_key, identities, num_threads
        self._codec: Codec[ToKeyHolder] = Codec(ToKeyHolder, _MAX_FRAME_BYTES)
        self._latest = 0
        self._gate: RoundGate | None = None
        self._refusal = "no round has begun"
        self.is_shut_down = False

    def __repr__(self) -> str:
        """Returns which key and round; no secret."""
        return f"KeyHolder({self._terms.public_key!r}, round {self._latest})"

    def ready(self) -> bytes:
        """Returns the frame that tells the coordinator the public key, with the key holder's signature."""
        return encode(KeyHolderReady(self._terms.certificate))

    def handle(self, frame: bytes) -> Iterator[bytes]:
        """Yields the frames that answer one frame; while a sum is decrypted, how far that is.

        Raises:
            WireError: the frame is no valid message to a key holder.
        """
        message = self._codec.decode(frame)
        match message:
            case Shutdown():
                self.is_shut_down = True
            case RoundOpened():
                self._begin(message.header)
            case AddUpdate():
                yield encode(Added(message.round_index, message.part.client_id, self._add(message)))
            case OpenSum():
                try:
                    ciphertexts = self._let_through(message)
                    plaintexts: list[mpz] = []
                    yield from self._decrypt(message.round_index, ciphertexts, plaintexts)
                    vector = write_opened(self._terms, plaintexts, len(message.client_ids))
                except (AggregationError, CryptoError, ProtocolError) as error:
                    logger.warning("round %d: its sum stays closed: %s", message.round_index, error)
                    yield encode(Refused(message.round_index, str(error)[:MAX_REASON_CHARACTERS]))
                else:
                    yield encode(SumOpened(message.round_index, vector))

    def _begin(self, header: PaillierHeader) -> None:
        """Begins a round, or takes note of why it does not."""
        self._gate = None
        if self._is_guarded and header.round_index <= self._latest:
            self._refusal = (
                f"the coordinator begins round {header.round_index} after round {self._latest}: a round begins once"
            )
            return
        try:
            check_header(header, self._terms)
        except ProtocolError as error:
            self._refusal = str(error)
            return
        self._latest = header.round_index
        self._gate = RoundGate(header, self._terms, self._identities)
        logger.debug("round %d begins", header.round_index)

    def _add(self, message: AddUpdate) -> str:
        """Adds an update to the round's sum; returns why not, or nothing."""
        try:
            self._current_gate(message.round_index).add(message.part)
        except (CryptoError, ProtocolError) as error:
            logger.warning("round %d: an update is not added: %s", message.round_index, error)
            return str(error)[:MAX_REASON_CHARACTERS]
        return ""

    def _let_through(self, message: OpenSum) -> list[mpz]:
        """Returns what is to be decrypted.

        Raises:
            ProtocolError, CryptoError: nothing is.
        """
        if self._is_guarded:
            return self._current_gate(message.round_index).close(message.client_ids, message.ciphertexts)
        require_sorted(message.client_ids)
        return read_ciphertexts(self._terms.public_key, self._terms.packing, message.ciphertexts)

    def _current_gate(self, round_index: int) -> RoundGate:
        """Returns the gate of the round that has begun.

        Raises:
            ProtocolError: none has, or another.
        """
        if self._gate is None:
            raise ProtocolError(self._refusal)
        if self._gate.header.round_index != round_index:
            message = f"the coordinator speaks of round {round_index} in round {self._gate.header.round_index}"
            raise ProtocolError(message)
        return self._gate

    def _decrypt(self, round_index: int, ciphertexts: list[mpz], plaintexts: list[mpz]) -> Iterator[bytes]:
        """Decrypts a sum; yields frames that tell how far it has come, now and then."""
        told = time.monotonic()
        for chunk in self._private_key.decrypt_in_chunks(ciphertexts, self._num_threads):
            plaintexts += chunk
            now = time.monotonic()
            if now - told >= _PROGRESS_SECONDS:
                told = now
                yield encode(SumProgress(round_index, len(plaintexts), len(ciphertexts)))
