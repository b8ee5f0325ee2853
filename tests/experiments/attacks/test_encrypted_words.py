"""Every reading of an encrypted vector would read one that nothing hides; the key holder reads all."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gmpy2 import mpz
from hypothesis import given
from hypothesis import strategies as st

from experiments import load_config
from experiments.attacks.encrypted_words import (
    EncryptedWords,
    public_view,
    read_encrypted,
    slots_of,
    vector_of,
)
from experiments.attacks.mailboxes import Email
from experiments.attacks.masked_words import MaskedWords
from experiments.attacks.protected_words import ProtectedRound, run_round
from fedgdl.config import AggregationConfig
from fedgdl.crypto.paillier import CiphertextSum, Packing, make_obfuscators
from fedgdl.data import load_dataset
from fedgdl.errors import ConfigError, RunFailed
from fedgdl.federated import ClientUpdate

SYNTHETIC = ["data.source=synthetic-mail", "data.examples=300", "aggregation.min_cohort=2"]
EMAIL = Email(np.arange(3, 40, 4), 1)
EMAILS = {"bob": EMAIL, "alice": Email(np.array([1, 2]), 0), "sue": Email(np.array([2, 5]), 1)}


@pytest.fixture(scope="module")
def protocol(tmp_path_factory: pytest.TempPathFactory) -> EncryptedWords:
    return EncryptedWords(256, tmp_path_factory.mktemp("key"))


@pytest.fixture(scope="module")
def a_round(protocol: EncryptedWords) -> ProtectedRound:
    experiment = load_config("spam", SYNTHETIC)
    return run_round(experiment, load_dataset(experiment.data, experiment.seed), EMAILS, protocol)


def packed_update(a_round: ProtectedRound) -> list[mpz]:
    """Returns Bob's update as plaintexts, made again: one step from zero weights moves each word by 0.0025."""
    delta = np.zeros(a_round.num_words, np.float32)
    delta[EMAIL.word_ids] = 0.0025
    return public_view(a_round)[1].pack(a_round.encoding.encode(ClientUpdate(delta, 1, 0.25, 0.0)).vector)


def readings_that_see(a_round: ProtectedRound, ciphertexts: Sequence[mpz]) -> set[str]:
    readings = read_encrypted(a_round, *public_view(a_round), ciphertexts, len(EMAIL.word_ids))
    return {
        name
        for name, reading in readings.items()
        if set(reading.word_ids.tolist()) == set(EMAIL.word_ids.tolist()) and reading.label == EMAIL.label
    }


def test_every_reading_would_see_a_vector_in_which_a_mistake_was_made(a_round: ProtectedRound) -> None:
    public_key, _ = public_view(a_round)
    plaintexts = packed_update(a_round)
    nothing_hides = [public_key.encrypt(plaintext, 1) for plaintext in plaintexts]
    (one,) = make_obfuscators(public_key).draw(1)
    all_the_same = [public_key.encrypt(plaintext, one) for plaintext in plaintexts]
    fresh = make_obfuscators(public_key).draw(len(plaintexts))
    hidden = [
        public_key.encrypt(plaintext, obfuscator) for plaintext, obfuscator in zip(plaintexts, fresh, strict=True)
    ]
    assert readings_that_see(a_round, nothing_hides) == {"as_update", "largest", "unusual", "same_obfuscator"}
    assert readings_that_see(a_round, all_the_same) == {"same_obfuscator"}
    assert readings_that_see(a_round, hidden) == set()
    assert readings_that_see(a_round, vector_of(a_round, "bob")) == set()


def test_the_key_holder_reads_all_of_a_single_vector(protocol: EncryptedWords, a_round: ProtectedRound) -> None:
    for name, email in EMAILS.items():
        reading = protocol.read_with_secret(a_round, name)
        assert reading is not None
        assert set(reading.word_ids.tolist()) == set(email.word_ids.tolist())
        assert reading.label == email.label


def test_what_reached_the_coordinator_adds_up_to_the_sum_that_was_opened(
    protocol: EncryptedWords, a_round: ProtectedRound
) -> None:
    public_key, packing = public_view(a_round)
    total = CiphertextSum(public_key, packing)
    for name in EMAILS:
        total.add(vector_of(a_round, name))
    opened = packing.unpack(protocol._private_key.decrypt_many(total.ciphertexts), a_round.encoding.dtype)
    changes = a_round.encoding.check(opened, num_clients=3)[a_round.words].astype(np.int64) - 3 * a_round.unmoved
    np.testing.assert_array_equal(changes, a_round.opened_changes())
    assert np.count_nonzero(changes)


def test_no_two_ciphertexts_are_the_same(a_round: ProtectedRound) -> None:
    """Most plaintexts are equal, all of whose words did not move."""
    found = [one for name in EMAILS for one in vector_of(a_round, name)]
    assert len(set(found)) == len(found)
    assert len(set(packed_update(a_round))) < len(packed_update(a_round)) / 2


@pytest.mark.parametrize(
    "changes", [{"key_holder": "coordinator", "insecure": True}, {"key_holder": "clients"}, {"sum_check": "trusted"}]
)
def test_an_attack_on_another_key_holder_is_refused(protocol: EncryptedWords, changes: dict[str, Any]) -> None:
    """The coordinator that has the key, say, would read every word, and it would be said that it reads none."""
    with pytest.raises(ConfigError, match=r"takes no others: got key_holder = "):
        protocol.configure(AggregationConfig("paillier", **changes))


def test_the_key_s_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    EncryptedWords(256, tmp_path)
    (path,) = tmp_path.iterdir()
    assert path.stat().st_mode & 0o077 == 0


def test_a_masked_round_tells_no_public_key() -> None:
    experiment = load_config("spam", SYNTHETIC)
    masked = run_round(experiment, load_dataset(experiment.data, experiment.seed), EMAILS, MaskedWords())
    with pytest.raises(RunFailed, match="no public key"):
        public_view(masked)


@given(st.data())
def test_slots_are_those_that_packing_unpacks(data: st.DataObject) -> None:
    packing = Packing(
        data.draw(st.integers(1, 40), "size"), data.draw(st.integers(1, 40), "bits"), data.draw(st.integers(41, 300))
    )
    values = data.draw(
        st.lists(st.integers(0, 2**packing.sum_bits - 1), min_size=packing.size, max_size=packing.size), "values"
    )
    plaintexts = packing.pack(np.array(values, np.uint64))
    np.testing.assert_array_equal(slots_of(plaintexts, packing), values)
    np.testing.assert_array_equal(packing.unpack(plaintexts, np.uint64), values)


def test_whatever_the_numbers_are_there_are_slots(a_round: ProtectedRound) -> None:
    public_key, packing = public_view(a_round)
    slots = slots_of([public_key.n - 1] * packing.num_plaintexts, packing)
    assert slots.shape == (a_round.encoding.size,)
