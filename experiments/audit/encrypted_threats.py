"""Of an encrypted run: who could read what, by who holds the key and how sums are checked, and what is not protected.

Not here: runs of other kinds (`experiments.audit.threat_model`); the protocol (`clients.protection.paillier`,
`clients.key_holder`), whose threat models this repeats in plain words.

Example:
    >>> from fedgdl.config import TrainingConfig
    >>> experiment = Experiment("one", "spam", TrainingConfig(0.1), aggregation=AggregationConfig("paillier"))
    >>> found = {"num_clients": 3, "min_clients": 3, "max_weight": 1, "key_bits": 3072, "is_key_secure": True}
    >>> [section.heading for section in encrypted_threat_model(experiment, found)]
    ['Who is assumed to do what', 'Who could read what', 'What is not protected']
    >>> could_not_read(experiment.aggregation, found)[0]
    "any single client's update"
"""

from collections.abc import Mapping
from typing import Any, Final

from experiments.audit.sections import OWN_FILES, SIDE_CHANNELS, Section, limits_of_any_sum
from fedgdl.config import AggregationConfig, Experiment

__all__ = ["could_not_read", "could_read", "encrypted_threat_model"]

_READABLE: Final = (
    "which clients took part, and which left in which stage",
    "the size and the time of every message",
    "the public key and its certificate, ciphertexts and signatures",
    "the sum of the weighted updates and of the weights, and the cohort's mean loss, accuracy and clipped share",
)
_SINGLE: Final = (
    "any single client's update",
    "any single client's number of examples",
    "any single client's loss, accuracy and clipped share",
)


def could_read(aggregation: AggregationConfig, protection: Mapping[str, Any]) -> tuple[str, ...]:
    """Returns what a coordinator could read that follows the protocol.

    Args:
        aggregation: the resolved configuration's.
        protection: what protects the run, as `experiments.protection.describe` says.
    """
    more: tuple[str, ...] = ()
    if aggregation.key_holder == "coordinator":
        more = ("every client's update, number of examples, loss and accuracy, since it holds the private key",)
    elif aggregation.key_holder == "process":
        more = ("which updates the key holder added, and whether it opened the sum",)
    elif aggregation.key_holder == "threshold":
        more = ("the clients' parts of the sum's decryption, which tell the sum and no more",)
    if not protection["is_key_secure"]:
        bits = f"{protection['key_bits']:,} bits"
        more += (f"every single update, too, for the price of factoring a modulus of {bits}",)
    return (*_READABLE, *more)


def could_not_read(aggregation: AggregationConfig, protection: Mapping[str, Any]) -> tuple[str, ...]:
    """Returns what it could not; nothing where it holds the key. The arguments are those of `could_read`."""
    if aggregation.key_holder == "coordinator":
        return ()
    without = "" if protection["is_key_secure"] else ", without factoring the key"
    return tuple(f"{what}{without}" for what in _SINGLE)


def encrypted_threat_model(experiment: Experiment, protection: Mapping[str, Any]) -> tuple[Section, ...]:
    """Returns what holds for a run.

    Args:
        experiment: the resolved configuration.
        protection: what protects it, as `experiments.protection.describe` says.
    """
    aggregation = experiment.aggregation
    return (
        Section("Who is assumed to do what", _assumptions(aggregation, protection)),
        Section("Who could read what", _readers(aggregation, protection)),
        Section("What is not protected", _unprotected(protection)),
    )


def _assumptions(aggregation: AggregationConfig, protection: Mapping[str, Any]) -> tuple[str, ...]:
    bits = f"{protection['key_bits']:,} bits"
    strength = (
        f"Nobody factors a modulus of {bits}, or tells powers of the key's base from random numbers without its "
        "factors."
        if protection["is_key_secure"]
        else f"Nobody factors the modulus of {bits}. Do not rely on that: so short a key is for teaching, and whoever "
        "factors it reads every update that he has the ciphertexts of."
    )
    identities = (
        "Signatures can be told apart: who a client is, and who vouches for the key, was agreed on beforehand. "
        "Here the simulation handed the identities out; in earnest it takes somebody whom all trust."
    )
    holders = _assumed_of_holders(aggregation, protection)
    return tuple(filter(None, (_assumed_of_coordinator(aggregation, protection), holders, strength, identities)))


def _assumed_of_coordinator(aggregation: AggregationConfig, protection: Mapping[str, Any]) -> str:
    if aggregation.key_holder == "coordinator":
        return (
            "The coordinator holds the private key (aggregation.insecure = true), and is trusted not to decrypt what "
            "it receives: nothing but its good will protects the clients from it. This is how the book has it, shown "
            "for its own sake."
        )
    if aggregation.sum_check == "trusted":
        return (
            "The coordinator is honest but curious: it adds up what it says it adds up, keeps everything it receives, "
            'and computes from it whatever it can. Nobody checks its sums (aggregation.sum_check = "trusted"): one '
            "that lies can have a single client's update opened, in the name of all. The counter in each sum stops no "
            "liar, who can add to that as well."
        )
    signed = (
        f"whoever decrypts forms the sum itself, of at least {protection['min_clients']} updates that their clients "
        "signed for this very round, once a round"
    )
    if aggregation.key_holder == "process":
        return f"The coordinator may be curious, and may lie: {signed}."
    if aggregation.key_holder == "clients":
        return (
            f"The coordinator is honest but curious. It cannot make sums up: {signed}. But one that lies can name "
            "other clients to one client than to another: of the two sums that they open of one round, the difference "
            "may be a single client's update."
        )
    return f"The coordinator may be curious, and may lie: {signed}. {_two_groups(protection)}"


def _two_groups(protection: Mapping[str, Any]) -> str:
    """Returns whether a coordinator can have two sums of one round opened by different clients."""
    threshold, population = protection["threshold"], protection["population"]
    spare = 2 * threshold - population - 1
    if spare < 0:
        return (
            f"But there are two groups of {threshold} clients without one in common: one that lies, and asks them all, "
            "can have each open another sum of the same round, and the difference may be a single client's update."
        )
    unless = "a client helps it" if spare == 0 else f"more than {spare} clients help it"
    return f"It finds no two groups of {threshold} that would open two sums of one round, unless {unless}."


def _assumed_of_holders(aggregation: AggregationConfig, protection: Mapping[str, Any]) -> str:
    """Returns what is expected of whoever can decrypt, besides the coordinator; nothing where nobody can."""
    if aggregation.key_holder == "process":
        return (
            "The key holder, a process of its own, keeps the private key to itself, opens one sum a round, and works "
            "with nobody: together with the coordinator it could read every update."
        )
    if aggregation.key_holder == "clients":
        return (
            "Every client has the whole private key, and keeps it to itself: a single one that shows it to the "
            "coordinator, or to whoever reads its traffic, lays every update open. The key was made by a dealer, here "
            "the simulation, that has to forget it."
        )
    if aggregation.key_holder == "threshold":
        threshold = protection["threshold"]
        return (
            f"Each of {protection['population']} clients has a share of the private key. Any {threshold} of them can "
            f"decrypt together, so at most {threshold - 1} may tell the coordinator, or one another, what they know. "
            "The shares were made by a dealer, here the simulation, that has to forget the key."
        )
    return ""


def _readers(aggregation: AggregationConfig, protection: Mapping[str, Any]) -> tuple[str, ...]:
    fewest = protection["min_clients"]
    coordinator = (
        "The coordinator: every client's update, number of examples, loss and accuracy."
        if aggregation.key_holder == "coordinator"
        else f"The coordinator: sums over at least {fewest} clients, as assumed above, and no single client's update, "
        "number of examples, loss or accuracy."
    )
    traffic = (
        "Whoever reads the coordinator's traffic: ciphertexts, signatures, and each new model. Sums that are opened "
        "elsewhere come back in the clear."
    )
    views = (coordinator, _holders_view(aggregation, protection), _clients_view(aggregation, protection), traffic)
    return tuple(filter(None, views))


def _holders_view(aggregation: AggregationConfig, protection: Mapping[str, Any]) -> str:
    """Returns what they could read that can decrypt, besides the coordinator, if they broke their rules."""
    is_signed = aggregation.sum_check == "signed"
    if aggregation.key_holder == "process" and is_signed:
        return (
            "The key holder: every update, if it broke its rules. It has the key, and gets every client's ciphertexts "
            "to form the sum itself."
        )
    if aggregation.key_holder == "process":
        return (
            "The key holder: the sums. It gets nothing but these, as fresh ciphertexts that do not show which ones "
            "went into them; with the ciphertexts of a client from elsewhere it could read that one's update."
        )
    if aggregation.key_holder == "clients" and is_signed:
        return (
            "Every client of a round: every other one's update, if it broke its rules. It has the key, and gets all "
            "ciphertexts to form the sum itself."
        )
    if aggregation.key_holder == "clients":
        return (
            "Every client of a round: the sum. It gets nothing but this, as fresh ciphertexts that do not show which "
            "ones went into it; with the ciphertexts of another client from elsewhere it could read that one's update."
        )
    if aggregation.key_holder == "threshold":
        threshold = protection["threshold"]
        could = (
            "every update, if they broke their rules: together they can decrypt, and all of them get all ciphertexts"
            if is_signed
            else "the sums; with the ciphertexts of another client from elsewhere they could read that one's update"
        )
        return f"Any {threshold} clients together: {could}. {_up_to(threshold - 1)}: no more than any other client."
    return ""


def _up_to(count: int) -> str:
    return "One alone" if count == 1 else f"Up to {count}"


def _clients_view(aggregation: AggregationConfig, protection: Mapping[str, Any]) -> str:
    """Returns what a client could read of the others that follows its rules, or cannot decrypt."""
    if aggregation.key_holder == "clients":
        return ""
    if protection["num_clients"] == 2:
        return (
            "The other client: the model, which tells it the sum; and the sum less its own update is the other one's."
        )
    return "A client by itself: the public key, each new model, which tells it the sum, and its own update."


def _unprotected(protection: Mapping[str, Any]) -> tuple[str, ...]:
    return (
        *limits_of_any_sum(protection, "encryption"),
        (
            "The model, against clients that send wrong updates (poisoning): nobody looks at a single one. Numbers "
            "that are too large for their slots spill over into the neighbouring ones: as a rule that is found when "
            "the sum is opened, and then there is none, for nobody can tell whose fault it is."
        ),
        (
            "The round, against clients, a key holder or a coordinator that do not answer (denial of service): with "
            "too few left there is no sum."
        ),
        (
            "A client against its own worker's forgetfulness: what it has encrypted or opened in earlier rounds is "
            "remembered by the worker that it lives in, and by no other."
        ),
        SIDE_CHANNELS,
        OWN_FILES,
    )
