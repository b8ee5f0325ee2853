"""What workers are given of a key: dealt out as the configuration says, and told to nobody."""

import copy
import pickle
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from paillier_rounds import Cohort, names
from rich.pretty import pretty_repr

from clients.key_holder.decryptors import KeyShares, WholeKey
from clients.key_holder.material import MAX_SHARES, KeyMaterial, deal_material, usual_threshold
from clients.key_holder.public_half import public_half
from clients.key_holder.rules import check_certificate
from fedgdl.crypto.masking import Identities
from fedgdl.crypto.paillier import PaillierPublicKey, make_obfuscators
from fedgdl.crypto.paillier.private import KeyShare, generate, write_private_key
from fedgdl.errors import ConfigError, CryptoError, ProtocolError
from fedgdl.wire.codec import decode_struct, encode_struct


def encrypted(public_key: PaillierPublicKey, *plaintexts: int) -> list[int]:
    obfuscators = make_obfuscators(public_key).draw(len(plaintexts))
    return list(map(public_key.encrypt, plaintexts, obfuscators))


def test_clients_that_hold_the_key_get_the_whole_of_it() -> None:
    cohort = Cohort(3, "clients")
    whole = WholeKey(cohort.material)
    check_certificate(cohort.material.certificate, cohort.identities)
    assert not cohort.material.shares
    assert whole.public_key.num_bits == 128
    assert whole.decrypt(encrypted(whole.public_key, 7, 42)) == [7, 42]
    own = map(whole.public_key.encrypt, (7, 42), whole.obfuscators().draw(2))
    assert whole.decrypt(list(own)) == [7, 42]


def test_clients_that_hold_shares_get_them_in_the_order_of_ids() -> None:
    cohort = Cohort(3, "threshold", client_ids=("ann", "bob", "cat"), population=("cat", "ann", "eve", "bob"))
    material = cohort.material
    check_certificate(material.certificate, cohort.identities)
    assert not material.private_key
    assert (material.certificate.num_shares, material.certificate.threshold) == (4, 3)
    xs = {client_id: KeyShare.from_bytes(share).x for client_id, share in material.shares.items()}
    assert xs == {"ann": 1, "bob": 2, "cat": 3, "eve": 4}
    with pytest.raises(ProtocolError, match="has no share"):
        KeyShares(material).decrypt_partially("zoe", [])


@given(st.integers(1, MAX_SHARES), st.data())
def test_more_than_half_of_all_clients_open_a_sum_where_a_cohort_has_so_many(
    population: int, data: st.DataObject
) -> None:
    cohort_size = data.draw(st.integers(1, population))
    threshold = usual_threshold(population, cohort_size)
    assert 2 * threshold > cohort_size
    assert 2 <= threshold <= max(2, cohort_size)
    assert (2 * threshold > population) == (2 * cohort_size > population or population < 4)


def test_a_threshold_is_more_than_half_unless_it_is_set() -> None:
    everybody = names(9)
    for size, threshold, expected in ((2, None, 2), (4, None, 3), (5, None, 5), (8, None, 5), (8, 2, 2), (8, 8, 8)):
        cohort = Cohort(size, "threshold", population=everybody, settings={"threshold": threshold})
        assert cohort.material.certificate.threshold == expected


def test_each_run_has_a_session_and_a_key_of_its_own() -> None:
    one, other = (Cohort(3, "clients").material.certificate for _ in range(2))
    assert one.session != other.session
    assert one.public_key != other.public_key


def test_what_cannot_be_dealt_out_is_refused() -> None:
    cohort = Cohort(3, "threshold")
    with pytest.raises(ConfigError, match=f"to all 201 clients, and {MAX_SHARES} are the most"):
        deal_material(cohort.experiment, names(201), cohort.identities)
    high = replace(cohort.experiment, aggregation=replace(cohort.experiment.aggregation, threshold=4))
    with pytest.raises(ConfigError, match="4 clients can never open a sum together: a cohort has 3"):
        deal_material(high, names(9), cohort.identities)
    with pytest.raises(ConfigError, match='"process": clients do not hold the key'):
        deal_material(Cohort(3).experiment, names(3), cohort.identities)


def test_a_key_file_is_used_where_clients_hold_the_key(tmp_path: Path) -> None:
    key = generate(256)
    write_private_key(tmp_path / "key.json", key)
    cohort = Cohort(3, "clients", settings={"key_file": str(tmp_path / "key.json")})
    assert WholeKey(cohort.material).public_key == key.public_key
    assert public_half(tmp_path / "key.json") == key.public_key
    cohort.play()


@pytest.mark.parametrize("key_holder", ["process", "clients", "threshold"])
def test_material_goes_to_workers_in_bytes_and_is_not_shown(key_holder: str) -> None:
    material = Cohort(3, key_holder).material
    again = decode_struct(encode_struct(material), KeyMaterial)
    assert (again.certificate, again.private_key, again.shares) == (
        material.certificate,
        material.private_key,
        material.shares,
    )
    shown = {"process": "a public key", "clients": "the whole key", "threshold": "3 shares"}[key_holder]
    assert repr(material) == str(material) == f"KeyMaterial({shown})"
    assert pretty_repr([material]) == f"[KeyMaterial({shown!r})]"  # as tracebacks and logs may be printed
    for take in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="cannot be pickled or copied"):
            take(material)


def test_what_decrypts_is_not_shown_and_not_copied() -> None:
    whole, shares = WholeKey(Cohort(3, "clients").material), KeyShares(Cohort(3, "threshold").material)
    assert repr(shares) == "KeyShares(3 clients)"
    assert repr(whole).startswith("WholeKey(PaillierPublicKey(128 bits")
    for holder in (whole, shares):
        for take in (pickle.dumps, copy.copy, copy.deepcopy):
            with pytest.raises(TypeError, match="cannot be pickled or copied"):
                take(holder)


@pytest.mark.parametrize("key_holder", ["clients", "threshold"])
def test_material_of_another_key_is_refused(key_holder: str) -> None:
    cohort, other = Cohort(3, key_holder), Cohort(3, key_holder)
    mixed = KeyMaterial(other.material.certificate, cohort.material.private_key, cohort.material.shares)
    with pytest.raises(CryptoError, match="the key material cannot be used"):
        WholeKey(mixed) if key_holder == "clients" else KeyShares(mixed)


def test_other_identities_do_not_vouch_for_a_key() -> None:
    with pytest.raises(ProtocolError, match="does not vouch for"):
        check_certificate(Cohort(3, "clients").material.certificate, Identities(bytes(32)))
