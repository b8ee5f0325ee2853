"""What is settled before a run whose updates are encoded: its weights, its head-room, and what protects it.

Here the simulator uses what no coordinator could know, the clients' numbers of examples, and makes one number of it
public: the power of two at or above the largest of them, `aggregation.max_weight`. Whoever wants to keep that back
sets it in the configuration. Of an encrypted run its cost is estimated, too.

Not here: the protection itself (`clients.protection`, `server.aggregation`).

Example:
    >>> from fedgdl.config import AggregationConfig, TrainingConfig
    >>> from fedgdl.federated import FedAvg
    >>> mails = {"ann": 300, "bob": 500, "cat": 900}
    >>> secagg = Experiment("x", "spam", TrainingConfig(0.1), aggregation=AggregationConfig("secagg"))
    >>> settled = settle(secagg, mails)
    >>> settled.cohort_size, settled.aggregation.max_weight
    (3, 1024)
    >>> found = describe(settled, FedAvg("num_examples"), Layout.of({"w": (2,)}), mails)
    >>> found["graph"], found["threshold"], found["bytes_per_weight"]
    ('complete', 3, 3)
"""

import heapq
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from msgspec.structs import replace

from experiments.hosting import count_workers
from fedgdl.config import AggregationConfig, Experiment, check_cohort
from fedgdl.crypto import FixedPoint
from fedgdl.data import FederatedDataset
from fedgdl.errors import ConfigError, DataError
from fedgdl.federated import Strategy, UpdateEncoding, make_update_encoding
from fedgdl.federated.own_code import call_own
from fedgdl.parameters import Layout
from fedgdl.runtime import usable_cores

if TYPE_CHECKING:
    from fedgdl.crypto.paillier import PaillierPublicKey

__all__ = ["count_examples", "describe", "settle", "shares_not_reached"]

_FEWEST_SECURE_BITS: Final = 2_048
"""Of a modulus, as in the schema's `key_bits`."""


def count_examples(data: FederatedDataset[Any]) -> dict[str, int]:
    """Returns client id -> number of examples, the simulator's truth; 0 where a client's data is missing.

    Raises:
        TaskError: a data set of a user's own raised.
    """
    counts = {}
    for client_id in data.client_ids:
        try:
            counts[client_id] = len(call_own(f"{type(data).__name__}.client", data.client, client_id))
        except DataError:
            counts[client_id] = 0  # its round will tell
    return counts


def settle(experiment: Experiment, num_examples: Mapping[str, int]) -> Experiment:
    """Returns the experiment with `cohort_size` and `aggregation.max_weight` as numbers.

    In a protected run a sum over fewer than `strategy.min_updates` clients, which could not be used, is never opened.
    In an encrypted one `aggregation.threshold` becomes a number, too, where the key is shared out, and
    `aggregation.key_bits` that of the key file.

    Args:
        experiment: one whose updates are encoded.
        num_examples: of each client of the population.

    Raises:
        ConfigError: the cohort is smaller than what may be asked for, or the key file cannot be used.
    """
    population = len(num_examples)
    cohort_size = population if experiment.cohort_size is None else experiment.cohort_size
    check_cohort(experiment.aggregation, cohort_size, f"of a population of {population}")
    max_weight = experiment.aggregation.max_weight
    if experiment.strategy.weighting == "equal":
        max_weight = 1
    elif max_weight is None:
        max_weight = 1 << max(0, max(num_examples.values(), default=1) - 1).bit_length()
    min_cohort = experiment.aggregation.min_cohort
    if experiment.aggregation.is_private:  # clients hold the coordinator to it: a sum too early is never opened
        min_cohort = max(min_cohort, experiment.strategy.min_updates)
    aggregation = replace(experiment.aggregation, max_weight=max_weight, min_cohort=min_cohort)
    if aggregation.kind == "paillier":
        aggregation = _settle_key(aggregation, population, cohort_size)
    return replace(experiment, cohort_size=cohort_size, aggregation=aggregation)


def _settle_key(aggregation: AggregationConfig, population: int, cohort_size: int) -> AggregationConfig:
    """Returns an encrypted aggregation with the number of clients that open a sum, and the size of the key.

    Raises:
        ConfigError: the key file cannot be used, or holds a key of another size than was asked for.
    """
    if aggregation.key_holder == "threshold" and aggregation.threshold is None:
        from clients.key_holder.material import usual_threshold  # lazily: other runs need no cryptography

        return replace(aggregation, threshold=usual_threshold(population, cohort_size))
    if aggregation.key_file is None:
        return aggregation
    num_bits, usual = _key_in_file(aggregation.key_file).num_bits, AggregationConfig()
    if num_bits in {aggregation.insecure_key_bits, aggregation.key_bits}:
        return aggregation
    in_words = f"the key in aggregation.key_file = {aggregation.key_file} has {num_bits:,} bits"
    if num_bits < _FEWEST_SECURE_BITS:
        message = (
            f"{in_words}, so few that it can be factored: set aggregation.insecure_key_bits={num_bits} if you mean it"
        )
        raise ConfigError(message)
    if aggregation.insecure_key_bits is not None or aggregation.key_bits != usual.key_bits:
        asked = aggregation.insecure_key_bits or aggregation.key_bits
        message = f"{in_words}, and one of {asked:,} was asked for"
        raise ConfigError(message)
    return replace(aggregation, key_bits=num_bits)


def _key_in_file(path: str) -> "PaillierPublicKey":
    """Returns the public half of the private key in a file. Another process reads it: this is the coordinator's.

    Raises:
        ConfigError: it cannot be read, or is none.
    """
    from clients.key_holder.public_half import public_half  # lazily: other runs need no cryptography

    try:
        return public_half(Path(path))
    except ConfigError as error:
        message = f"aggregation.key_file: {error}"
        raise ConfigError(message) from error


def describe(
    experiment: Experiment, strategy: Strategy, layout: Layout, num_examples: Mapping[str, int]
) -> dict[str, Any]:
    """Returns what protects a run and how exactly its sums are kept, as JSON-ready values.

    Args:
        experiment: with its weights and cohort settled.
        strategy: declares the sums.
        layout: the model's.
        num_examples: of each client of the population.

    Returns:
        `kind`; how updates are encoded: `clip`, `bits`, `rounding`, `ring_bits`, `max_weight`, `step` (between
        neighbouring values of a client of the largest weight), `bytes_per_weight` on the wire, `max_error_of_mean`
        (of an element of the mean of clipped deltas, whichever clients stay: the simulator's truth, since it depends
        on the numbers of examples of those that have fewest). Of secure aggregation also `graph` (`"complete"` or
        `"sparse"`), `num_clients`, `degree`, `threshold`, `min_survivors`, `max_dropouts`, `max_colluders` (clients
        that may work together with a coordinator that follows the protocol: they open no mask, and the sum hides the
        two or more others behind one another), `max_colluders_if_lying` (how many may help one that lies about
        survivors; in a sparse graph, of the neighbours of any one client), `privacy_bits` and `liveness_bits`; these
        two are none where nothing is left to chance. Of an encrypted aggregation also `key_bits`, `is_key_secure`,
        `scheme`, `key_holder`, `sum_check`, `num_clients`, `min_clients` (no sum over fewer is opened), `threshold`
        and `population` (of which the former opens a sum; where the key is shared out), `slot_bits`,
        `slots_per_ciphertext`, `ciphertexts_per_update`, and `estimate`, see `experiments.paillier_estimate.estimate`;
        `key_id`, the beginning of the key's, is added when the run has its key.

    Raises:
        ConfigError: sums may wrap around the ring, there is no graph that gives what is asked for, or there are too
            many clients to deal a key out to.
    """
    aggregation, cohort_size = experiment.aggregation, experiment.cohort_size
    encoding = make_update_encoding(experiment, strategy, layout)
    if aggregation.max_weight is None or cohort_size is None:
        message = "a run is described when its weights and cohort are settled"
        raise RuntimeError(message)
    found: dict[str, Any] = {"kind": aggregation.kind}
    min_survivors = experiment.strategy.min_updates
    if aggregation.kind == "secagg":
        found |= _describe_graph(experiment, cohort_size)
        min_survivors = found["min_survivors"]
    elif aggregation.kind == "paillier":
        found |= _describe_encryption(experiment, encoding, cohort_size, len(num_examples))
        min_survivors = found["min_clients"]
    weights = (strategy.weight(min(count, aggregation.max_weight)) for count in num_examples.values() if count)
    lightest = heapq.nsmallest(min_survivors, weights)
    return found | {
        "clip": aggregation.clip,
        "bits": aggregation.bits,
        "rounding": aggregation.rounding,
        "ring_bits": aggregation.ring_bits,
        "max_weight": aggregation.max_weight,
        "step": FixedPoint(aggregation.clip, aggregation.bits, aggregation.rounding, aggregation.ring_bits).step,
        "bytes_per_weight": found.get("bytes_per_weight", encoding.bytes_per_slot),
        "max_error_of_mean": encoding.max_mean_error(len(lightest), sum(lightest)) if lightest else None,
    }


def _describe_graph(experiment: Experiment, cohort_size: int) -> dict[str, Any]:
    """Returns who shares masks with whom, and what that withstands."""
    # They load cryptography, which plain runs can do without.
    from fedgdl.crypto.masking.cohort import cohort_graph
    from fedgdl.crypto.masking.graph import whole_clients

    graph = cohort_graph(cohort_size, experiment.aggregation)
    corrupt = whole_clients(experiment.aggregation.corrupt_share, cohort_size)
    max_colluders = min(graph.threshold - 1, graph.min_survivors - 2) if graph.is_complete else corrupt
    # Two lists of survivors need t signatures each, of the n that a client shares secrets with, itself included: with
    # fewer than 2t - n who sign both, one of the lists finds too few. Unsigned lists cannot be told apart.
    unfooled = 2 * graph.threshold - (graph.degree + 1) - 1 if experiment.aggregation.consistency else 0
    return {
        "graph": "complete" if graph.is_complete else "sparse",
        "num_clients": cohort_size,
        "degree": graph.degree,
        "threshold": graph.threshold,
        "min_survivors": graph.min_survivors,
        "max_dropouts": graph.max_dropouts,
        "max_colluders": max_colluders,
        "max_colluders_if_lying": max(0, min(unfooled, max_colluders)),
        "privacy_bits": graph.privacy_bits,
        "liveness_bits": graph.liveness_bits,
    }


def _describe_encryption(
    experiment: Experiment, encoding: UpdateEncoding, cohort_size: int, population: int
) -> dict[str, Any]:
    """Returns what of an encrypted aggregation is known before it has its key, and what it will cost."""
    # Other runs need neither cryptography nor an estimate.
    from experiments.paillier_costs import cost_here
    from experiments.paillier_estimate import EncryptedRun, estimate
    from fedgdl.crypto.paillier import Packing
    from fedgdl.crypto.paillier.lanes import lanes_are_available

    aggregation = experiment.aggregation
    key = None if aggregation.key_file is None else _key_in_file(aggregation.key_file)
    key_bits = aggregation.insecure_key_bits or aggregation.key_bits
    threshold = (aggregation.threshold or 0) if aggregation.key_holder == "threshold" else 0
    if threshold:
        from clients.key_holder.material import require_shares

        require_shares(population, cohort_size, threshold)
    packing = Packing(encoding.size, encoding.sum_bits, key_bits - 1)
    run = EncryptedRun(
        key_bits=key_bits,
        scheme="djn" if key is None else key.scheme,
        key_holder=aggregation.key_holder,
        is_signed=aggregation.sum_check == "signed" and aggregation.key_holder != "coordinator",
        num_ciphertexts=packing.num_plaintexts,
        vector_bytes=encoding.num_bytes,
        num_clients=cohort_size,
        num_rounds=experiment.rounds,
        num_workers=count_workers(experiment, population),
        num_cores=usable_cores(),
        population=population,
        threshold=threshold,
        has_key=key is not None,
        has_lanes=lanes_are_available(),
    )
    shared_out = {"threshold": threshold, "population": population} if threshold else {}
    return {
        "key_bits": key_bits,
        "is_key_secure": key_bits >= _FEWEST_SECURE_BITS,
        "scheme": run.scheme,
        "key_holder": run.key_holder,
        "is_holder_apart": run.key_holder == "process" and experiment.engine.kind == "processes",
        "sum_check": "signed" if run.is_signed else "trusted",
        "num_clients": cohort_size,
        "min_clients": max(aggregation.min_cohort, experiment.strategy.min_updates, threshold),
        **shared_out,
        "slot_bits": packing.slot_bits,
        "slots_per_ciphertext": packing.slots_per_plaintext,
        "ciphertexts_per_update": packing.num_plaintexts,
        "bytes_per_weight": run.update_bytes / encoding.size,
        "estimate": estimate(run, lambda operation: cost_here(operation, key_bits)),
    }


def shares_not_reached(aggregation: AggregationConfig, protection: Mapping[str, Any]) -> list[str]:
    """Returns a line for each share of clients that was set and that a complete graph does not withstand.

    There it has no say: any so many may drop out or collude. (In a sparse graph what cannot be reached is refused.)

    Args:
        aggregation: with the shares.
        protection: as `describe` gives it.
    """
    if protection.get("graph") != "complete":
        return []
    from fedgdl.crypto.masking.graph import whole_clients  # it loads cryptography

    usual, num_clients = AggregationConfig(), protection["num_clients"]
    lines = []
    for key, tolerated, what in (
        ("corrupt_share", protection["max_colluders"], "collude"),
        ("dropout_share", protection["max_dropouts"], "drop out"),
    ):
        share = getattr(aggregation, key)
        asked = whole_clients(share, num_clients)
        if share != getattr(usual, key) and asked > tolerated:
            lines.append(
                f"aggregation.{key} = {share:g} has no effect on a complete graph: of {num_clients} clients up to "
                f"{tolerated} may {what}, not {asked}"
            )
    return lines
