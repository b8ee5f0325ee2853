"""What a client of a secure aggregation checks before it answers: pure functions that pass, or say what is wrong.

Each takes what the coordinator sent and what the client knows by itself. The message of the `ProtocolError` says who
did what, in words for the run's report; there is no secret in it.

Not protected against: see `clients.protection.secagg`.

Source:
    Bonawitz et al., "Practical Secure Aggregation for Privacy-Preserving Machine Learning", CCS 2017: what each user
    asserts in the protocol against active adversaries.
"""

from collections.abc import Collection, Mapping, Sequence
from itertools import pairwise
from typing import NoReturn

from fedgdl.crypto.masking import GraphParameters, Identities, is_canonical, transcript
from fedgdl.errors import ProtocolError
from fedgdl.wire.secagg import (
    PROTOCOL_VERSION,
    ForwardedShares,
    KeyAdvertisement,
    Roster,
    RosterEntry,
    RoundHeader,
    ShareCommitments,
)

__all__ = [
    "check_dealers",
    "check_header",
    "check_model_hash",
    "check_roster",
    "check_shares",
    "check_signatures",
    "check_survivors",
    "commit",
    "is_whole_cohort",
]


def check_header(
    header: RoundHeader,
    *,
    round_index: int,
    session: bytes,
    latest: tuple[int, int],
    encoding_sha256: str,
    layout_sha256: str,
    graph: GraphParameters,
    is_consistency_checked: bool,
) -> None:
    """Refuses a round that is old, of another experiment, or less protected than the configuration says.

    Args:
        header: what the coordinator announces.
        round_index: of the task that it came with.
        session: of the rounds before; empty before the first.
        latest: round and attempt of the last header that was accepted; it may come again, for another client.
        encoding_sha256: of the encoding of updates that the configuration gives.
        layout_sha256: of the model's layout.
        graph: of a cohort by the configuration, with its thresholds.
        is_consistency_checked: whether the configuration has the consistency stage.

    Raises:
        ProtocolError: something is not as it should be; says what.
    """
    if header.version != PROTOCOL_VERSION:
        _refuse(f"the coordinator speaks version {header.version} of the protocol, and this client {PROTOCOL_VERSION}")
    if session and header.session != session:
        _refuse("the coordinator announces a round of another session than those before: of another run")
    if header.round_index != round_index:
        _refuse(f"the coordinator sends the header of round {header.round_index} in round {round_index}")
    if (header.round_index, header.attempt) < latest:
        _refuse(
            f"the coordinator goes back to attempt {header.attempt} at round {header.round_index} after attempt "
            f"{latest[1]} at round {latest[0]}: it may be repeating old messages"
        )
    if header.layout_sha256 != layout_sha256 or header.encoding_sha256 != encoding_sha256:
        what = "layout of the model" if header.layout_sha256 != layout_sha256 else "encoding of updates"
        _refuse(f"the coordinator announces another {what} than this client's configuration gives")
    for what, announced, own in (
        ("clients", header.num_clients, graph.num_clients),
        ("neighbours a client", header.degree, graph.degree),
        ("shares to open a secret", header.threshold, graph.threshold),
        ("survivors at least", header.min_survivors, graph.min_survivors),
    ):
        if announced != own:
            _refuse(
                f"the coordinator announces {announced} {what}, where this client's configuration gives {own}: with "
                "others than the configured numbers an update may be hidden among too few"
            )
    if header.is_consistency_checked != is_consistency_checked:
        on, off = ("on", "off") if is_consistency_checked else ("off", "on")
        _refuse(f"the coordinator turns the consistency stage {off}, which this client's configuration has {on}")


def check_model_hash(model_sha256: str, header: RoundHeader) -> None:
    """Refuses parameters that are not those of the header.

    Raises:
        ProtocolError: they are others.
    """
    if model_sha256 != header.model_sha256:
        _refuse(
            f"the coordinator sent the parameters {model_sha256[:12]}... to train from, while the header of the round, "
            f"which all clients go by, names {header.model_sha256[:12]}...: others may have got others"
        )


def is_whole_cohort(header: RoundHeader, num_entries: int) -> bool:
    """Whether a roster of so many entries, the client's own included, is that of all who advertised keys.

    A client has `degree` neighbours, or all others where these are fewer or where the graph is complete.
    """
    return num_entries - 1 < header.degree or header.degree == header.num_clients - 1


def check_roster(
    roster: Roster,
    *,
    client_id: str,
    keys: KeyAdvertisement,
    header: RoundHeader,
    context: bytes,
    identities: Identities,
) -> None:
    """Refuses a neighbourhood in which someone is missing, doubled, unsigned or made up.

    Args:
        roster: what the coordinator says the neighbourhood is.
        client_id: whose neighbourhood it is to be.
        keys: what this client advertised.
        header: of the round.
        context: the header's digest.
        identities: knows who can sign for whom.

    Raises:
        ProtocolError: ids are not sorted and unique; the client itself is not in it, or with other keys; a
            neighbour's signature does not hold in this context; a key stands twice, or in disguise; there are not as
            many neighbours as the graph gives, or the whole cohort's hash is another.
    """
    entries = roster.entries
    _check_order("roster", [entry.client_id for entry in entries])
    own = [entry for entry in entries if entry.client_id == client_id]
    if not own:
        _refuse("the coordinator's roster leaves this client out")
    if own[0].keys != keys:
        _refuse("the coordinator's roster has other keys for this client than it advertised")
    for entry in entries:
        signed = transcript.advertisement_digest(context, entry.client_id, entry.keys.channel_key, entry.keys.mask_key)
        if not identities.verify(entry.client_id, signed, entry.keys.signature):
            _refuse(
                f"the keys that the coordinator's roster gives for {entry.client_id!r} do not carry its signature for "
                "this round: they are not its keys, or it was told of another round, model, encoding or threshold"
            )
    _check_distinct_keys(entries)
    _check_size(roster, header, context)


def check_dealers(
    forwarded: ForwardedShares, *, client_id: str, neighbours: Collection[str], header: RoundHeader
) -> None:
    """Refuses forwarded shares of whom the client has no business with, or of too few.

    Args:
        forwarded: what the coordinator passes on.
        client_id: for whom.
        neighbours: the client's, itself not included.
        header: of the round.

    Raises:
        ProtocolError: a dealer is the client itself or not its neighbour, shares come without commitments, or
            fewer have dealt than the round needs.
    """
    dealers = forwarded.shares.keys()
    if client_id in dealers:
        _refuse("the coordinator sends this client shares of its own secrets")
    strangers = sorted(dealers - set(neighbours))
    if strangers:
        _refuse(f"the coordinator passes on shares of {strangers[0]!r}, which is not in this client's neighbourhood")
    if dealers != forwarded.commitments.keys():
        _refuse("the coordinator passes on shares without their dealers' commitments, or the reverse")
    is_whole = is_whole_cohort(header, len(neighbours) + 1)
    needed = max(header.threshold, header.min_survivors if is_whole else 0)
    if len(dealers) + 1 < needed:
        _refuse(
            f"only {len(dealers) + 1} clients of the neighbourhood, itself included, have dealt shares, and {needed} "
            "are needed"
        )


def check_shares(
    context: bytes, dealer_id: str, holder_id: str, shares: tuple[bytes, bytes], commitments: ShareCommitments
) -> None:
    """Refuses shares of a mask key and an own mask that are not what their dealer has committed to.

    Raises:
        ProtocolError: one is not; says whose.
    """
    if commitments != commit(context, dealer_id, holder_id, shares):
        _refuse(
            f"the shares that {dealer_id!r} dealt are not those it committed to: it or the coordinator changed them"
        )


def commit(context: bytes, dealer_id: str, holder_id: str, shares: tuple[bytes, bytes]) -> ShareCommitments:
    """Returns the commitments that go with one holder's shares of a mask key and of an own mask."""
    return ShareCommitments(
        mask_key=transcript.share_commitment(context, "mask key", dealer_id, holder_id, shares[0]),
        own_mask=transcript.share_commitment(context, "own mask", dealer_id, holder_id, shares[1]),
    )


def check_survivors(
    survivors: Sequence[str],
    *,
    client_id: str,
    neighbours: Collection[str],
    dealers: Collection[str],
    header: RoundHeader,
) -> None:
    """Refuses a list of survivors that cannot be that of a round in which this client's update is summed up.

    Args:
        survivors: the ids that the coordinator names.
        client_id: this client, which has sent its masked update.
        neighbours: its neighbours.
        dealers: those of them that have dealt shares.
        header: of the round.

    Raises:
        ProtocolError: it is not sorted and unique, too short, without this client, or with one that cannot be.
    """
    _check_order("list of survivors", survivors)
    named = frozenset(survivors)
    if client_id not in named:
        _refuse("the coordinator leaves this client, whose masked update it got, out of the survivors")
    if not header.min_survivors <= len(survivors) <= header.num_clients:
        _refuse(
            f"the coordinator names {len(survivors)} survivors; no sum over fewer than {header.min_survivors} is "
            f"opened, and the cohort has {header.num_clients}"
        )
    known = {client_id, *neighbours}
    if is_whole_cohort(header, len(known)) and named - known:
        _refuse(f"the coordinator names {min(named - known)!r} a survivor, which is not in the roster")
    undealt = sorted((named & known) - {client_id, *dealers})
    if undealt:
        _refuse(f"the coordinator names {undealt[0]!r} a survivor, of which it passed on no shares")
    if len(named & known) < header.threshold:
        _refuse(
            f"only {len(named & known)} of this client's neighbourhood are said to survive, and {header.threshold} "
            "are needed"
        )


def check_signatures(
    signatures: Mapping[str, bytes], digest: bytes, *, signers: Collection[str], threshold: int, identities: Identities
) -> None:
    """Refuses to go on unless enough of the neighbourhood have signed the same survivors.

    Each honest client signs one list only. Two lists with t signatures each out of n clients therefore need at least
    2t - n clients that sign both. That is one or more, as t is more than half of a neighbourhood; in a complete graph,
    with t above two thirds, it is more than a third of all.

    Args:
        signatures: signer -> signature, as the coordinator passes them on.
        digest: what they should have signed.
        signers: the survivors of the neighbourhood, the client itself included.
        threshold: how many must have signed.
        identities: knows who can sign for whom.

    Raises:
        ProtocolError: too few have; names those whose signatures do not hold.
    """
    valid = {
        signer
        for signer, signature in signatures.items()
        if signer in signers and identities.verify(signer, digest, signature)
    }
    if len(valid) >= threshold:
        return
    wrong = sorted(signatures.keys() - valid)
    detail = f"; those of {', '.join(map(repr, wrong[:5]))} do not hold: they signed another list" if wrong else ""
    _refuse(
        f"the coordinator shows {len(valid)} signatures of these survivors from this client's neighbourhood, and "
        f"{threshold} are needed: not all were told the same{detail}"
    )


def _check_distinct_keys(entries: Sequence[RosterEntry]) -> None:
    owners: dict[bytes, str] = {}
    for entry in entries:
        for key in (entry.keys.channel_key, entry.keys.mask_key):
            if not is_canonical(key):
                _refuse(f"{entry.client_id!r} advertised a key as no honest client writes it: it may be another's")
            if key in owners:
                _refuse(f"{owners[key]!r} and {entry.client_id!r} stand in the roster with the same public key")
            owners[key] = entry.client_id


def _check_size(roster: Roster, header: RoundHeader, context: bytes) -> None:
    num_entries = len(roster.entries)
    if not is_whole_cohort(header, num_entries):
        if num_entries - 1 != header.degree:
            _refuse(f"the coordinator gives this client {num_entries - 1} neighbours, and it has {header.degree}")
        return
    fewest = max(header.min_survivors, header.threshold)
    if not fewest <= num_entries <= header.num_clients:
        _refuse(
            f"the coordinator's roster has {num_entries} clients; {fewest} to {header.num_clients} can take part in "
            "this round"
        )
    whole = transcript.roster_digest(
        context,
        (
            (entry.client_id, entry.keys.channel_key, entry.keys.mask_key, entry.keys.signature)
            for entry in roster.entries
        ),
    )
    if roster.sha256 != whole:
        _refuse("the coordinator's roster has another hash than it states: others may have been told of other clients")


def _check_order(what: str, client_ids: Sequence[str]) -> None:
    for first, second in pairwise(client_ids):
        if first >= second:
            _refuse(f"the coordinator's {what} is not sorted and unique: {first!r} stands before {second!r}")


def _refuse(message: str) -> NoReturn:
    raise ProtocolError(message)
