"""The book's encryption does what phe does; and each of its mistakes gives away what is said."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.attacks.book_demo import ONE_EMAIL, Demonstration, demonstrate
from experiments.attacks.book_paillier import (
    FIXED_PRECISION,
    MIN_KEY_BITS,
    PublicKey,
    add,
    decrypt,
    encrypt,
    exponents_of,
    make_key,
    private_key_of,
    sizes_of,
    zero_exponent,
)
from experiments.attacks.book_rounds import BookRounds, one_email_update
from experiments.attacks.exponents import find_by_exponents, read_exponents
from experiments.attacks.short_key import break_key, read_with_factors
from fedgdl.config import DataConfig
from fedgdl.data import PreparedDataset, load_dataset
from fedgdl.errors import CryptoError, DataError
from fedgdl.zoo.book_mail import SEED, LocalTraining, book_clients

PUBLIC, PRIVATE = make_key(128)
WEIGHTS = np.array([0.0, 0.1, -0.0025, 1e-6, 1.5, -3.0])


@pytest.fixture(scope="module")
def mail() -> PreparedDataset:
    """Three mailboxes with a whole batch each."""
    return load_dataset(DataConfig("synthetic-mail", examples=3_000), SEED)


@pytest.fixture(scope="module")
def found(mail: PreparedDataset) -> Demonstration:
    return demonstrate(mail, key_bits=64, num_rounds=2, up_to_bits=96, seed=1)


def test_floats_come_back_to_the_last_bit_and_carry_the_exponents_of_the_errata() -> None:
    ciphertexts = encrypt(PUBLIC, WEIGHTS)
    np.testing.assert_array_equal(decrypt(PRIVATE, ciphertexts), WEIGHTS)
    assert exponents_of(ciphertexts).tolist() == [-14, -14, -16, -18, -13, -13]
    assert zero_exponent(PUBLIC) == -14


def test_on_one_scale_all_exponents_are_one_and_sums_are_near() -> None:
    ciphertexts = encrypt(PUBLIC, WEIGHTS, FIXED_PRECISION)
    (exponent,) = set(exponents_of(ciphertexts).tolist())
    assert exponent == zero_exponent(PUBLIC, FIXED_PRECISION) == -11
    total = decrypt(PRIVATE, add([ciphertexts] * 3))
    np.testing.assert_allclose(total, 3 * WEIGHTS, rtol=0, atol=3 * 16.0**-11 / 2)


@given(st.floats(-1e6, 1e6).filter(lambda value: abs(value) > 1e-12))
def test_an_exponent_tells_a_number_s_size_up_to_a_factor_of_16(value: float) -> None:
    (exponent,) = exponents_of(encrypt(PUBLIC, np.array([value]))).tolist()
    low, high = sizes_of(exponent)
    assert low <= abs(value) < high == 16 * low


@pytest.mark.parametrize("num_bits", [MIN_KEY_BITS - 2, 129, 0])
def test_a_key_of_no_use_is_refused(num_bits: int) -> None:
    with pytest.raises(CryptoError, match="even number of bits, 64 or more"):
        make_key(num_bits)


def test_what_has_no_room_or_is_no_number_is_refused() -> None:
    short, _ = make_key(64)
    for weights in ([math.inf], [math.nan]):
        with pytest.raises(CryptoError, match="cannot be encrypted"):
            encrypt(PUBLIC, np.array(weights))
    with pytest.raises(CryptoError, match="cannot be encrypted"):
        encrypt(short, np.array([1e9]), FIXED_PRECISION)


def test_another_s_key_opens_nothing() -> None:
    _, other = make_key(128)
    with pytest.raises(CryptoError, match="cannot be decrypted"):
        decrypt(other, encrypt(PUBLIC, WEIGHTS))
    with pytest.raises(CryptoError, match="not the factors"):
        private_key_of(PUBLIC, (3, 5))


@given(st.lists(st.sampled_from([0.0, 0.1, -0.0025, 1e-6, 0.9, -2.0]), min_size=1, max_size=12))
def test_words_are_read_but_for_those_that_moved_as_far_as_zero_seems_to(weights: list[float]) -> None:
    update = np.array(weights)
    finding = find_by_exponents("bob", PUBLIC, encrypt(PUBLIC, update), update, None)
    told = [abs(value) < 1 / 16 or abs(value) >= 1 for value in weights if value]
    assert (finding.num_moved, finding.num_read, finding.hits) == (len(told), sum(told), sum(told))
    assert finding.precision == (1.0 if any(told) else 0.0)
    assert finding.recall == (sum(told) / len(told) if told else 0.0)
    assert sum(finding.moved.values()) + sum(finding.unmoved.values()) == len(weights)


def test_one_scale_tells_nothing() -> None:
    finding = find_by_exponents("bob", PUBLIC, encrypt(PUBLIC, WEIGHTS, FIXED_PRECISION), WEIGHTS, FIXED_PRECISION)
    assert (finding.num_moved, finding.num_read, finding.recall, finding.precision) == (5, 0, 0.0, 0.0)
    assert len(read_exponents(np.array([-11, -11]), -11)) == 0


def test_bob_s_e_mail_moves_its_five_words_by_one_step(mail: PreparedDataset) -> None:
    """From zero weights p = 1/2, d(p - 0)^2/dw = 2 p p (1 - p) = 1/4, times the step size 0.01."""
    update = one_email_update(mail)
    moved = np.flatnonzero(update)
    assert {mail.vocabulary.word(word) for word in moved.tolist()} == {"my", "computer", "password", "is", "pizza"}
    np.testing.assert_allclose(update[moved], -0.0025, rtol=1e-15)


def test_the_demonstration_reads_what_plain_exponents_tell_and_nothing_on_one_scale(found: Demonstration) -> None:
    assert (found.email.whose, found.email.num_moved, found.email.hits) == (ONE_EMAIL, 5, 5)
    assert (found.email.precision, found.email.recall) == (1.0, 1.0)
    assert [finding.whose for finding in found.floats] == [ONE_EMAIL, *found.rounds.clients]
    for finding, scaled in zip(found.floats, found.on_one_scale, strict=True):
        assert finding.precision == 1.0
        assert finding.recall > 0.8
        assert (scaled.num_read, scaled.num_moved) == (0, finding.num_moved)


def test_what_is_decrypted_as_printed_is_one_client_s_model(found: Demonstration, mail: PreparedDataset) -> None:
    """The first round again, without encryption: the last client's model, and the mean of all."""
    local, clients = LocalTraining(mail), book_clients(mail)
    models = [local.train(name, np.zeros(mail.num_words), round_index=1).delta for name in clients]
    models = [np.array(model) for model in models]
    printed, summed = found.rounds.printed, found.rounds.summed
    assert printed[0].accuracy == printed[0].own_accuracy == local.test(models[-1])
    assert summed[0].plain_accuracy == local.test(np.mean(models, axis=0))
    assert all(one.accuracy == one.own_accuracy and one.are_signs_kept for one in printed)
    assert all(one.accuracy == one.plain_accuracy and one.largest_difference < 1e-12 for one in summed)
    assert len(printed) == len(summed) == 2


def test_the_key_is_broken_and_opens_an_update_to_the_last_bit(found: Demonstration, mail: PreparedDataset) -> None:
    assert [one.num_bits for one in found.broken] == [64, 96]
    assert found.broken_key is found.broken[0]
    assert found.victim == found.rounds.clients[0]
    sent = found.rounds.sent[found.victim]
    assert found.read.num_weights == found.read.num_equal == mail.num_words
    assert found.read.num_moved == np.count_nonzero(sent.weights) == found.floats[1].num_moved
    assert str(found.broken_key.factors[0]) not in repr(found)


def test_other_factors_open_nothing(found: Demonstration) -> None:
    public_key: PublicKey = found.rounds.sent[found.victim].ciphertexts[0].public_key
    other = break_key(make_key(64)[0], np.random.default_rng(1))
    with pytest.raises(CryptoError, match="not the factors"):
        read_with_factors(public_key, other.factors, found.rounds.sent[found.victim])


def test_clients_without_a_whole_batch_are_refused() -> None:
    few = load_dataset(DataConfig("synthetic-mail", examples=300), SEED)
    with pytest.raises(DataError, match="has enough e-mails"):
        BookRounds(few, PUBLIC, PRIVATE)
