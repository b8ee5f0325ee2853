"""Who is assumed to do what, what is protected from whom, and what is not: in plain words, for one run.

Not here: encrypted runs (`experiments.audit.encrypted_threats`); the protocol itself (`clients.protection.secagg`,
`server.aggregation.secagg`).

Example:
    >>> from fedgdl.config import Experiment, TrainingConfig
    >>> sections = threat_model(Experiment("one", "spam", TrainingConfig(learning_rate=0.1)), {})
    >>> sections[0].heading
    'What is protected'
"""

from collections.abc import Mapping
from typing import Any

from experiments.audit.encrypted_threats import encrypted_threat_model
from experiments.audit.sections import ON_ONE_MACHINE, OWN_FILES, SIDE_CHANNELS, Section, limits_of_any_sum
from fedgdl.config import Experiment

__all__ = ["threat_model"]


def threat_model(experiment: Experiment, protection: Mapping[str, Any]) -> tuple[Section, ...]:
    """Returns what holds for a run.

    Args:
        experiment: the resolved configuration.
        protection: what protects it, as `experiments.protection.describe` says; empty for a plain run.
    """
    if not experiment.aggregation.is_private:
        return _plain(is_exact=experiment.aggregation.exact)
    if experiment.aggregation.kind == "paillier":
        return encrypted_threat_model(experiment, protection)
    return (
        Section("Who is assumed to do what", _assumptions(experiment, protection)),
        Section("What is protected, and from whom", _protected(experiment, protection)),
        Section("What is not protected", _unprotected(protection)),
    )


def _plain(*, is_exact: bool) -> tuple[Section, ...]:
    fixed_point = ("Fixed point hides nothing: it is a number format, known to everybody.",) if is_exact else ()
    return (
        Section(
            "What is protected",
            (
                (
                    "Nothing is protected from the coordinator: it receives every client's update, number of "
                    "examples, training loss and accuracy in the clear. So does whoever reads its traffic, or the "
                    "file of received messages beside this page."
                ),
                *fixed_point,
                (
                    "The clients' examples themselves are not sent. But updates tell of them: from the update of a "
                    "text model one reads words that the client trained on."
                ),
            ),
        ),
        Section("What else to know", (ON_ONE_MACHINE,)),
    )


def _assumptions(experiment: Experiment, protection: Mapping[str, Any]) -> tuple[str, ...]:
    threshold = protection["threshold"]
    if protection["graph"] == "complete":
        most = protection["max_colluders"]
        colluding = (
            f"{f'Up to {most}' if most else 'None'} of the {protection['num_clients']} clients of a cohort may tell it "
            f"all they know. It takes {threshold} shares to open a secret, no honest client gives away shares of both "
            "secrets of another, and two or more honest clients remain in the sum."
        )
    else:
        bits = protection["privacy_bits"]
        chance = "nil" if bits is None else f"below 2 to the power of {-bits:.0f}"
        colluding = (
            f"Up to {experiment.aggregation.corrupt_share:.0%} of a cohort may tell it all they know, chosen without "
            f"knowing who is whose neighbour. Each client deals shares to {protection['degree']} neighbours, "
            f"{threshold} of them open a secret; the probability that this helps them to more than the sum is {chance}."
        )
    return (
        (
            "The coordinator is honest but curious: it follows the protocol, keeps everything it receives, and "
            "computes from it whatever it can."
        ),
        colluding,
        (
            "Clients can tell each other's signatures: their identities were agreed on beforehand. Here the simulation "
            "handed them out; in earnest it takes somebody whom all trust."
        ),
    )


def _protected(experiment: Experiment, protection: Mapping[str, Any]) -> tuple[str, ...]:
    return (
        (
            "From the coordinator, and from whoever reads its traffic: every client's update, number of examples, "
            "loss and accuracy. It learns sums over the clients that stayed, at least "
            f"{protection['min_survivors']}, and no more of them."
        ),
        _from_other_clients(protection["num_clients"]),
        (
            "A coordinator that sends clients different models or rules is caught: their signatures cover these, "
            "and do not match."
        ),
        _lies_about_survivors(experiment, protection),
    )


def _from_other_clients(num_clients: int) -> str:
    seen = "public keys, sealed shares, signatures, and each new model"
    if num_clients == 2:
        return (
            f"From the other client: the examples, but not the update. It sees {seen}; the model tells it the sum, and "
            "the sum less its own update is the other one's."
        )
    return f"From the other clients: the same. They see {seen}."


def _lies_about_survivors(experiment: Experiment, protection: Mapping[str, Any]) -> str:
    threshold = protection["threshold"]
    if not experiment.aggregation.consistency:
        return (
            "A coordinator that tells clients different lists of who has left is not caught here: they do not sign "
            "the list (aggregation.consistency = false). With it, it could read updates."
        )
    if protection["graph"] == "complete":
        return (
            "A coordinator that tells clients different lists of who has left is caught, as long as "
            f"{_at_most(protection['max_colluders_if_lying'])} of the clients help it: each signs one list, and "
            f"answers only when {threshold} have signed the same."
        )
    helpers = _at_most(protection["max_colluders_if_lying"])
    return (
        f"A coordinator that tells neighbours different lists of who has left is caught, as long as {helpers} of a "
        f"client's {protection['degree']} neighbours help it: each client signs one list, and answers only when "
        f"{threshold} of its neighbourhood have signed the same. The share of clients named above is for a coordinator "
        "that follows the protocol."
    )


def _at_most(count: int) -> str:
    return f"no more than {count}" if count else "none"


def _unprotected(protection: Mapping[str, Any]) -> tuple[str, ...]:
    steered = (
        ("Clients, against a coordinator that chooses their neighbours instead of drawing them at random.",)
        if protection["graph"] != "complete"
        else ()
    )
    return (
        *limits_of_any_sum(protection, "secure aggregation"),
        *steered,
        (
            "The model, against clients that send wrong updates (poisoning): the coordinator cannot look at a single "
            "update, so it cannot refuse one for what it holds."
        ),
        (
            "The round, against clients or a coordinator that do not answer (denial of service): with too few left "
            "there is no sum."
        ),
        SIDE_CHANNELS,
        OWN_FILES,
    )
