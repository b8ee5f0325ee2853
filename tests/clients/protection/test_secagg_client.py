"""What a client of a secure aggregation refuses once shares are dealt, one lie or mistake a test."""

import secrets
from collections.abc import Callable

import numpy as np
import pytest
from secagg_rounds import MODEL, SECRET, STAGES, Cohort
from secagg_scene import BOB, SUE, Scene

from fedgdl.crypto.masking import Identities
from fedgdl.errors import ClientError
from fedgdl.federated import ClientUpdate
from fedgdl.wire.codec import decode_struct, encode_struct
from fedgdl.wire.secagg import (
    DealtShares,
    ForwardedShares,
    ShareCommitments,
    Survivors,
    UnmaskRequest,
    UnmaskShares,
)

# masked input


def forwarded(scene: Scene, change: Callable[[dict[str, bytes], dict[str, ShareCommitments]], object]) -> bytes:
    message = decode_struct(scene.message(), ForwardedShares)
    change(message.shares, message.commitments)
    return encode_struct(message)


def dealt_by(scene: Scene, dealer_id: str) -> DealtShares:
    return decode_struct(scene.sent["share"][dealer_id], DealtShares)


def test_its_own_shares_are_refused() -> None:
    scene = Scene("masked input")
    own = dealt_by(scene, BOB)

    def add_own(shares: dict[str, bytes], commitments: dict[str, ShareCommitments]) -> None:
        shares[BOB], commitments[BOB] = own.shares[SUE], own.commitments[SUE]

    scene.refuses("shares of its own secrets", message=forwarded(scene, add_own))


def test_a_message_sent_back_to_who_sealed_it_is_refused() -> None:
    scene = Scene("masked input")
    reflected = dealt_by(scene, BOB).shares[SUE]
    message = forwarded(scene, lambda shares, _: shares.__setitem__(SUE, reflected))
    scene.refuses(f"shares that '{SUE}' dealt cannot be opened", message=message)


def test_shares_for_another_holder_or_of_another_dealer_or_changed_ones_are_refused() -> None:
    for swap in (
        lambda scene: dealt_by(scene, SUE).shares["client-0000"],
        lambda scene: dealt_by(scene, "client-0000").shares[BOB],
        lambda scene: dealt_by(scene, SUE).shares[BOB][:-1] + b"?",
        lambda _: secrets.token_bytes(82),
    ):
        scene = Scene("masked input")
        other = swap(scene)
        message = forwarded(scene, lambda shares, _, other=other: shares.__setitem__(SUE, other))
        scene.refuses(f"shares that '{SUE}' dealt cannot be opened", message=message)


def test_shares_of_an_earlier_attempt_are_refused() -> None:
    scene = Scene("masked input")
    old = scene.message()
    again = scene.cohort.open(attempt=2)
    for stage in STAGES[:2]:
        scene.cohort.play_stage(again, stage, scene.cohort.client_ids)
    scene.refuses("dealt cannot be opened", message=old)


def test_shares_that_are_not_those_committed_to_are_refused() -> None:
    scene = Scene("masked input")
    wrong = dealt_by(scene, SUE).commitments["client-0000"]
    message = forwarded(scene, lambda _, commitments: commitments.__setitem__(SUE, wrong))
    scene.refuses(f"shares that '{SUE}' dealt are not those it committed to", message=message)


def test_shares_of_strangers_or_without_commitments_are_refused() -> None:
    scene = Scene("masked input")
    shares = dealt_by(scene, SUE).shares[BOB]
    scene.refuses(
        "shares of 'mallory', which is not in", message=forwarded(scene, lambda s, _: s.__setitem__("mallory", shares))
    )
    scene = Scene("masked input")
    scene.refuses("without their dealers' commitments", message=forwarded(scene, lambda _, c: c.pop(SUE)))


def test_too_few_dealers_are_refused() -> None:
    scene = Scene("masked input")

    def leave_two(shares: dict[str, bytes], commitments: dict[str, ShareCommitments]) -> None:
        for dealer_id in sorted(shares)[2:]:
            del shares[dealer_id], commitments[dealer_id]

    scene.refuses(
        "only 3 clients of the neighbourhood, itself included, .* and 4 are needed", message=forwarded(scene, leave_two)
    )


def test_no_second_update_is_masked() -> None:
    scene = Scene("masked input")
    payload = scene.ask()
    assert len(payload) == scene.cohort.encoding.num_bytes
    scene.refuses("out of turn")


def test_an_update_without_a_code_ends_the_clients_part_without_telling_why() -> None:
    scene = Scene("masked input")
    spoilt = ClientUpdate(np.full(5, np.nan, np.float32), 3, 0.5, 0.5)
    with pytest.raises(ClientError, match="cannot be encoded") as raised:
        scene.bob.protect(BOB, 1, MODEL, b"", scene.message(), spoilt)
    assert raised.value.public_reason == "it has no usable update"
    scene.refuses("since it refused: its part in the round failed$")


# consistency and unmask


def survivors(*client_ids: str) -> bytes:
    return encode_struct(Survivors(client_ids))


@pytest.mark.parametrize("consistency", [True, False])
@pytest.mark.parametrize(
    ("indices", "caught"),
    [
        ([0, 1, 2, 2], "not sorted and unique"),
        ([0, 1, 3, 2], "not sorted and unique"),
        ([0, 2, 3, 4], "leaves this client, whose masked update it got, out"),
        ([0, 1, 2], "names 3 survivors; no sum over fewer than 4"),
        ([0, 1, 2, 3, 4, 5], "names 6 survivors; .* the cohort has 5"),
        ([0, 1, 2, 3, 5], "names 'client-0005' a survivor, which is not in the roster"),
    ],
)
def test_survivors_that_cannot_be_are_refused(consistency: bool, indices: list[int], caught: str) -> None:
    scene = Scene("consistency" if consistency else "unmask", consistency=consistency)
    scene.refuses(caught, common=survivors(*(f"client-{index:04}" for index in indices)))


def test_a_survivor_of_which_no_shares_came_is_refused() -> None:
    scene = Scene("masked input")
    message = forwarded(scene, lambda shares, commitments: (shares.pop(SUE), commitments.pop(SUE)))
    scene.ask(message=message)
    scene.stage = "consistency"
    scene.refuses(
        f"names '{SUE}' a survivor, of which it passed on no shares", common=survivors(*scene.cohort.client_ids)
    )


def test_too_few_survivors_of_a_sparse_neighbourhood_are_refused() -> None:
    scene = Scene("consistency", 110, corrupt_share=0.02, privacy_bits=10, liveness_bits=10)
    neighbours = scene.a_round._neighbours[BOB]
    threshold = scene.a_round._header.threshold
    gone = set(neighbours[: len(neighbours) + 2 - threshold])
    assert len(gone) <= 11  # so many may drop out
    named = [client_id for client_id in scene.cohort.client_ids if client_id not in gone]
    scene.refuses(f"only {threshold - 1} of this client's neighbourhood", common=survivors(*named))


def test_the_same_survivors_are_signed_alike_and_others_never() -> None:
    scene = Scene("consistency")
    assert scene.ask() == scene.ask()
    scene.refuses("names other survivors than before", common=survivors(*scene.cohort.client_ids[:4]))
    scene.refuses("no further part in this round")


def test_the_same_request_is_answered_alike_and_without_any_secret_left() -> None:
    scene = Scene("unmask")
    first = scene.ask()
    assert scene.bob._rounds[BOB]._kept is None
    assert scene.ask() == first
    scene.refuses("names other survivors than before", common=survivors(*scene.cohort.client_ids[:4]))
    scene.refuses("no further part in this round")


def test_of_each_client_one_share_is_given_and_never_both() -> None:
    cohort = Cohort(5)
    a_round, participants = cohort.open(), cohort.client_ids
    payloads: dict[str, bytes] = {}
    for stage in STAGES:
        lost = [SUE] if stage == "masked input" else []
        participants, payloads, _ = cohort.play_stage(a_round, stage, participants, lost=lost)
    assert payloads.keys() == set(cohort.client_ids) - {SUE}
    for payload in payloads.values():
        opened = decode_struct(payload, UnmaskShares)
        assert opened.mask_keys.keys() == {SUE}
        assert opened.own_masks.keys() == set(cohort.client_ids) - {SUE}


def unmask_request(scene: Scene, count: int, **others: bytes) -> bytes:
    """Returns a request with the signatures of so many survivors, and with others."""
    signatures = decode_struct(scene.message(), UnmaskRequest).signatures
    return encode_struct(UnmaskRequest({**dict(list(signatures.items())[:count]), **others}))


def test_nothing_is_unmasked_with_fewer_signatures_than_the_threshold() -> None:
    scene = Scene("unmask")
    scene.refuses("shows 3 signatures of these survivors .*, and 4 are needed", message=unmask_request(scene, 3))


def test_a_strangers_or_a_wrong_signature_does_not_count() -> None:
    digest = b"these survivors"
    for signer in ("mallory", "client-0004"):
        scene = Scene("unmask")
        wrong = Identities(SECRET).sign(signer, digest)
        request = unmask_request(scene, 3, **{signer: wrong})
        scene.refuses(f"shows 3 signatures .* those of '{signer}' do not hold", message=request)


def test_one_wrong_signature_among_enough_does_no_harm() -> None:
    scene = Scene("unmask")
    opened = decode_struct(scene.ask(message=unmask_request(scene, 4, **{"client-0004": bytes(64)})), UnmaskShares)
    assert opened.own_masks.keys() == set(scene.cohort.client_ids)


def test_no_secret_is_shown() -> None:
    scene = Scene("masked input")
    kept = scene.bob._rounds[BOB]._kept
    assert kept is not None
    shown = repr(scene.bob) + repr(scene.bob._rounds[BOB]) + repr(kept)
    for secret in (kept.own_seed, kept.mask.private_bytes(), kept.channel.private_bytes(), *kept.channels.values()):
        assert repr(secret)[2:-1] not in shown
        assert secret.hex() not in shown
    assert repr(scene.bob) == "SecaggProtection(1 clients in round 1, attempt 1)"
