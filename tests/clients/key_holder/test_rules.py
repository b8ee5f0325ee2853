"""The rules that every holder of a key goes by, one by one; whole lies are in tests/system/test_paillier_lies.py."""

from typing import Any

import pytest
from msgspec.structs import replace
from paillier_attacker import Attacker
from paillier_rounds import SECRET, Cohort, names

from clients.key_holder.rules import Terms, check_certificate, require_sorted
from clients.key_holder.transcript import certificate_digest, context_digest, update_digest
from fedgdl.config import StrategyConfig
from fedgdl.crypto.masking import Identities
from fedgdl.errors import ProtocolError
from fedgdl.wire.codec import encode_struct
from fedgdl.wire.paillier import KEY_HOLDER_ID, SignedUpdate, SumToOpen

FOUR = names(4)


def scene(key_holder: str = "process", sum_check: str = "signed") -> Attacker:
    """Returns a coordinator that has the updates of four clients, at least three of which are in a sum."""
    return Attacker(Cohort(4, key_holder, sum_check, settings={"min_cohort": 3})).ask_for_updates()


@pytest.mark.parametrize("client_ids", [("ann", "ann"), ("bob", "ann"), ("ann", "bob", "bob")])
def test_lists_are_in_order_and_name_everybody_once(client_ids: tuple[str, ...]) -> None:
    require_sorted(sorted(set(client_ids)))
    with pytest.raises(ProtocolError, match="not sorted and unique"):
        require_sorted(client_ids)


@pytest.mark.parametrize("sum_check", ["signed", "trusted"])
def test_a_client_that_is_named_twice_does_not_count_as_two(sum_check: str) -> None:
    of = scene(sum_check=sum_check)
    two = of.sum_of(*(of.updates[client_id].ciphertexts for client_id in FOUR[:2])) if sum_check == "trusted" else b""
    of.begin()
    if not two:
        of.add(*map(of.part, FOUR[:2]))
    of.open([FOUR[0], FOUR[1], FOUR[1]], two)
    assert not of.opened
    assert "not sorted and unique" in of.refusals[0]


@pytest.mark.parametrize(
    "client_ids", [FOUR[:2], FOUR[::-1], (*FOUR[:3], FOUR[2]), FOUR[:3]], ids=["few", "unsorted", "twice", "others"]
)
def test_whoever_asks_for_what_is_not_opened_has_asked_once_for_all(client_ids: tuple[str, ...]) -> None:
    of = scene()
    of.begin()
    of.add(*map(of.part, FOUR))
    of.open(client_ids)
    of.open(FOUR)
    assert not of.opened
    assert len(of.refusals) == 2
    assert "of round 1 a sum was asked for before" in of.refusals[1]


@pytest.mark.parametrize("label", ["key_id", "packing_sha256"])
def test_an_update_with_the_label_of_another_key_or_packing_is_not_added(label: str) -> None:
    of = scene()
    of.begin()
    of.add(SignedUpdate(FOUR[0], replace(of.updates[FOUR[0]], **{label: "0" * 64})))
    assert of.refusals == ["the update of 'client-0000' was made for another key or another packing"]
    of.add(of.part(FOUR[0]))
    assert len(of.refusals) == 1  # it may come as it was sent


def test_a_client_whose_ciphertexts_cannot_be_used_is_not_in_the_sum_whatever_it_signs() -> None:
    of = scene()
    nonsense = b"\xff" * len(of.updates[FOUR[0]].ciphertexts)
    signed = update_digest(context_digest(encode_struct(of.header)), FOUR[0], nonsense)
    signature = of.cohort.identities.sign(FOUR[0], signed)
    of.begin()
    of.add(SignedUpdate(FOUR[0], replace(of.updates[FOUR[0]], ciphertexts=nonsense, signature=signature)))
    of.add(*map(of.part, FOUR[1:]))
    of.open(FOUR)
    assert of.refusals[0] == "the ciphertexts cannot be used"
    assert "names others than those whose updates were added, 'client-0000' for one" in of.refusals[1]


@pytest.mark.parametrize("min_updates", [1, 4])
def test_a_sum_that_the_strategy_could_not_use_is_not_opened_either(min_updates: int) -> None:
    cohort = Cohort(4, "threshold", settings={"min_cohort": 2, "threshold": 3})
    experiment = replace(cohort.experiment, strategy=StrategyConfig(min_updates=min_updates))
    terms = Terms(experiment, cohort.encoding, cohort.layout.digest, cohort.material.certificate)
    assert terms.min_clients == max(min_updates, 3)


def test_a_certificate_of_another_version_is_refused_whoever_vouches_for_it() -> None:
    identities = Identities(SECRET)
    later = replace(Cohort(4).material.certificate, version=2)
    signed = replace(later, signature=identities.sign(KEY_HOLDER_ID, certificate_digest(later)))
    with pytest.raises(ProtocolError, match="version 2 of the protocol, and 1 is expected"):
        check_certificate(signed, identities)


@pytest.mark.parametrize(
    ("addends", "client_ids"), [(FOUR[:1], FOUR[:3]), ((*FOUR, FOUR[0]), FOUR), ((FOUR[0],) * 60, FOUR)]
)
def test_clients_do_not_give_out_what_is_no_sum_and_do_not_tell_why(addends: tuple[str, ...], client_ids: Any) -> None:
    of = scene("clients", "trusted")
    total = of.sum_of(*(of.updates[client_id].ciphertexts for client_id in addends))
    for client_id in client_ids:
        assert of.ask_to_open(client_id, SumToOpen(client_ids, ciphertexts=total)) == b""
    assert not of.opened
    assert set(of.refusals) == {
        "what was decrypted is no sum of these clients' updates: nothing of it is given out",
    }
