"""Every reading of a masked vector would read one that is not masked; the own mask is the one that was added."""

import numpy as np

from experiments import load_config
from experiments.attacks.mailboxes import Email
from experiments.attacks.masked_words import MaskedWords, masked_vector, own_mask, read_masked
from experiments.attacks.protected_words import ProtectedRound, run_round
from fedgdl.data import load_dataset
from fedgdl.federated import ClientUpdate

SYNTHETIC = ["data.source=synthetic-mail", "data.examples=300", "aggregation.min_cohort=2"]


def round_of(emails: dict[str, Email]) -> ProtectedRound:
    experiment = load_config("spam", SYNTHETIC)
    return run_round(experiment, load_dataset(experiment.data, experiment.seed), emails, MaskedWords())


def test_every_reading_would_see_a_vector_that_is_not_masked() -> None:
    """The same readings of the same round, with a vector that was only encoded, or has the own mask alone, in place."""
    email = Email(np.arange(3, 40, 4), 1)
    a_round = round_of({"bob": email, "alice": Email(np.array([1, 2]), 0), "sue": Email(np.array([2, 5]), 1)})
    delta = np.zeros(a_round.num_words, np.float32)
    delta[email.word_ids] = 0.0025
    encoded = a_round.encoding.encode(ClientUpdate(delta, 1, 0.25, 0.0)).vector
    mask = own_mask(a_round, "bob")
    in_the_clear = read_masked(a_round, encoded, mask, len(email.word_ids))
    own_mask_alone = read_masked(a_round, encoded + mask, mask, len(email.word_ids))
    for name in ("as_update", "largest", "unusual"):
        assert set(in_the_clear[name].word_ids.tolist()) == set(email.word_ids.tolist())
    assert set(own_mask_alone["own_mask_off"].word_ids.tolist()) == set(email.word_ids.tolist())
    assert in_the_clear["as_update"].label == own_mask_alone["own_mask_off"].label == 1


def test_the_own_mask_taken_off_is_the_one_the_client_added() -> None:
    """What all clients have in common cancels out: vectors less own masks add up to the sum that was opened."""
    emails = {
        name: Email(np.array([number, number + 5]), number % 2) for number, name in enumerate(["bob", "al", "sue"])
    }
    a_round = round_of(emails)
    total = sum(masked_vector(a_round, name) - own_mask(a_round, name) for name in emails)
    opened = a_round.encoding.check(total.astype(a_round.encoding.dtype), num_clients=3)
    changes = opened[a_round.words].astype(np.int64) - 3 * a_round.unmoved
    np.testing.assert_array_equal(changes, a_round.opened_changes())
    assert np.count_nonzero(changes)
