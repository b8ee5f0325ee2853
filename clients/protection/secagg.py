"""Secure aggregation on the clients' side: the coordinator learns the sum over the clients that stayed, nothing else.

A round has five stages; in each the client checks what it is told before it answers:

    advertise      it draws two key pairs and the seed of a mask of its own, and signs its public keys
    share          it splits its mask key and its own mask's seed among its neighbours, sealed for each
    masked input   it encodes its update, adds its own mask and, with each neighbour, one that the neighbour subtracts
    consistency    it signs who the survivors are: the clients whose masked updates arrived
    unmask         for each neighbour it gives away one share: of the own mask's seed if the neighbour survived, of the
                   mask key if it did not

The first kind of share lets the coordinator take the survivors' own masks off the sum, the second those masks that a
lost client should have cancelled. Both of one client would open its update; no honest client ever gives both.

Threat model: on the complete graph (cohorts of up to 100), with n clients and the threshold t: a coordinator that
    follows the protocol while up to t - 1 clients tell it all they know; or one that lies about keys, cohorts, models,
    shares or survivors, while fewer than 2t - n of the cohort help it. All it can open of a round is one sum, over
    `min_survivors` clients or more; honest clients that are told something else refuse and say what they caught. In
    larger cohorts, where a client has few neighbours, the guarantee is for a coordinator that follows the protocol,
    and for clients that are corrupt or lost at random in the shares that are configured. Most lies are caught there,
    too; but it is the coordinator who deals the neighbourhoods.

Not protected against: what the sum itself tells: of one client out of few, above all if the others tell what they put
    in, or over many rounds. It is the coordinator who samples the cohorts, and who says which clients did not survive.
    Clients that send wrong updates, or break the protocol to end a round. Without `consistency` a coordinator that
    names different survivors to different clients may open a sum over fewer than `min_survivors`. Side channels;
    secrets left in memory, which Python cannot wipe. Who a client is stands on `Identities`, whose enrolment is
    simulated; what a client has seen of earlier rounds and attempts its worker remembers, and no other worker; a
    simulation in one process protects nobody.

Source:
    Bonawitz, Ivanov, Kreuter, Marcedone, McMahan, Patel, Ramage, Segal, Seth, "Practical Secure Aggregation for
    Privacy-Preserving Machine Learning", CCS 2017. Bell, Bonawitz, Gascon, Lepoint, Raykova, "Secure Single-Server
    Aggregation with (Poly)Logarithmic Overhead", CCS 2020 (neighbourhoods). Pasquini, Francati, Ateniese, "Eluding
    Secure Aggregation in Federated Learning via Model Inconsistency", CCS 2022 (why the model is in the context).

Example:
    >>> from fedgdl.config import AggregationConfig, Experiment, TrainingConfig
    >>> from fedgdl.federated import FedAvg
    >>> from fedgdl.parameters import Layout
    >>> aggregation = AggregationConfig(kind="secagg", max_weight=1_000)
    >>> experiment = Experiment("three", "spam", TrainingConfig(0.1), cohort_size=3, aggregation=aggregation)
    >>> identities = Identities(bytes(32))  # random in a run
    >>> protection = SecaggProtection(experiment, FedAvg("equal"), Layout.of({"w": (2,)}), identities)
    >>> protection.is_private
    True
    >>> protection.answer("advertise", 1, "bob", b"what is this?", b"")
    Traceback (most recent call last):
        ...
    fedgdl.errors.ProtocolError: what the coordinator says in the stage "advertise" cannot be read
"""

import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, TypeVar

import msgspec
import numpy.typing as npt

from clients.protection.secagg_checks import check_header
from clients.protection.secagg_client import ClientRound
from fedgdl.config import Experiment
from fedgdl.crypto.masking import Identities, add_masks
from fedgdl.crypto.masking.cohort import cohort_graph
from fedgdl.errors import ClientError, CryptoError, ProtocolError, WireError
from fedgdl.federated import ClientUpdate, Strategy
from fedgdl.federated.encoding import OnEncoded, make_update_encoding, rounding_stream
from fedgdl.parameters import Layout
from fedgdl.wire.codec import decode_struct, encode_struct
from fedgdl.wire.secagg import ForwardedShares, Roster, RoundHeader, Survivors, UnmaskRequest

__all__ = ["SecaggProtection"]

_TRAINING_STAGE: Final = "masked input"

MessageT = TypeVar("MessageT", bound=msgspec.Struct)


class SecaggProtection:
    """The clients that one worker hosts, in secure aggregation.

    Each client's part in a round is an object of its own; all of an attempt are forgotten when the next begins, but
    not which clients have unmasked: they take part in no other attempt at the round. Their updates in it would be the
    same ones, so that of two sums over different survivors the difference could be a single client's update.

    Args:
        experiment: the configuration, with `cohort_size` and `aggregation.max_weight` settled.
        strategy: says which terms of which sums a client forms.
        layout: the model's.
        identities: signs for the clients and knows the public keys of all.
        on_encoded: see `OnEncoded`.
        random_bytes: count -> that many bytes nobody can foresee; another source than the default is for tests.

    Attributes:
        is_private: yes: a single client's numbers stay off the wire.

    Raises:
        ConfigError: see `make_update_encoding` and `graph_parameters`.
    """

    is_private: Final = True

    def __init__(
        self,
        experiment: Experiment,
        strategy: Strategy,
        layout: Layout,
        identities: Identities,
        on_encoded: OnEncoded = lambda *_: None,
        *,
        random_bytes: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        self._seed = experiment.seed
        self._encoding = make_update_encoding(experiment, strategy, layout)
        self._graph = cohort_graph(self._encoding.max_clients, experiment.aggregation)
        self._is_consistency_checked = experiment.aggregation.consistency
        self._layout_sha256 = layout.digest
        self._identities = identities
        self._on_encoded = on_encoded
        self._random_bytes = random_bytes
        self._session = b""
        self._latest = (0, 0)  # round and attempt
        self._rounds: dict[str, ClientRound] = {}
        self._unmasked: set[str] = set()  # the clients that have done so in the latest round

    def __repr__(self) -> str:
        """Returns how many clients take part in which round; no secret."""
        return f"SecaggProtection({len(self._rounds)} clients in round {self._latest[0]}, attempt {self._latest[1]})"

    def answer(self, stage: str, round_index: int, client_id: str, common: bytes, message: bytes) -> bytes:
        """Returns a client's answer in a stage without training.

        Raises:
            ProtocolError: the client refuses, and answers nothing more in this attempt at the round; the message says
                what it caught.
        """
        if stage == "advertise":
            return self._advertise(round_index, client_id, _read(stage, common, RoundHeader))
        with self._taking_part(client_id, round_index) as client:
            match stage:
                case "share":
                    return encode_struct(client.share(_read(stage, message, Roster)))
                case "consistency":
                    return client.sign(_read(stage, common, Survivors))
                case "unmask":
                    survivors, request = _read(stage, common, Survivors), _read(stage, message, UnmaskRequest)
                    opened = client.unmask(survivors, request)
                    self._unmasked.add(client_id)
                    return encode_struct(opened)
            refusal = f'the coordinator asks for a stage "{stage}", which this protocol does not have'
            raise ProtocolError(refusal)

    def check_model(self, client_id: str, round_index: int, model_sha256: str) -> None:
        """Makes sure, before a client trains, that it got the parameters that the round was announced with.

        Raises:
            ProtocolError: they are others, or it is not the time to train.
        """
        with self._taking_part(client_id, round_index) as client:
            client.check_model(model_sha256)

    def protect(
        self, client_id: str, round_index: int, model_sha256: str, common: bytes, message: bytes, update: ClientUpdate
    ) -> bytes:
        """Returns a client's update, encoded and masked: `UpdateEncoding.num_bytes` bytes, as good as random.

        Raises:
            ProtocolError: as in `answer`.
            ClientError: the update has no code, see `UpdateEncoding.encode`.
            FedgdlError: the strategy's terms are not what it declares.
        """
        with self._taking_part(client_id, round_index) as client:
            client.check_model(model_sha256)
            masks = client.open_masks(_read(_TRAINING_STAGE, message, ForwardedShares))
            try:
                encoded = self._encoding.encode(update, rounding_stream(self._seed, round_index, client_id))
            except CryptoError as error:
                raise ClientError(client_id, f"its update cannot be encoded: {error}") from error
            self._on_encoded(client_id, round_index, encoded)
            vector: npt.NDArray[Any] = encoded.vector
            add_masks(vector, masks)
            return self._encoding.pack(vector)

    def _advertise(self, round_index: int, client_id: str, header: RoundHeader) -> bytes:
        check_header(
            header,
            round_index=round_index,
            session=self._session,
            latest=self._latest,
            encoding_sha256=self._encoding.digest,
            layout_sha256=self._layout_sha256,
            graph=self._graph,
            is_consistency_checked=self._is_consistency_checked,
        )
        asked = header.round_index, header.attempt
        if client_id in self._rounds and self._latest == asked:
            message = "the coordinator begins an attempt at a round a second time: its secrets serve for one only"
            raise ProtocolError(message)
        if client_id in self._unmasked and self._latest[0] == header.round_index:
            message = (
                f"this client has helped to open a sum of round {round_index} and takes part in no other attempt "
                "at it: the difference of two sums could be a single client's update"
            )
            raise ProtocolError(message)
        if self._latest != asked:
            self._rounds.clear()
        if self._latest[0] != header.round_index:
            self._unmasked.clear()
        self._session, self._latest = header.session, asked
        client = ClientRound(client_id, header, self._identities, self._random_bytes)
        self._rounds[client_id] = client
        return encode_struct(client.keys)

    @contextmanager
    def _taking_part(self, client_id: str, round_index: int) -> Iterator[ClientRound]:
        """Gives a client's part in a round; whatever goes wrong meanwhile ends it."""
        client = self._rounds.get(client_id)
        if client is None or client.header.round_index != round_index:
            message = f"the coordinator asks for round {round_index}, in which this client did not advertise keys"
            raise ProtocolError(message)
        try:
            yield client
        except ProtocolError as error:
            client.end(str(error))
            raise
        except BaseException:  # of any other the coordinator gets to hear no more than this
            client.end("its part in the round failed")
            raise


def _read(stage: str, data: bytes, kind: type[MessageT]) -> MessageT:
    try:
        return decode_struct(data, kind)
    except WireError as error:
        message = f'what the coordinator says in the stage "{stage}" cannot be read'
        raise ProtocolError(message) from error
