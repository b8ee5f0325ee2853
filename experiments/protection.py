"""What is settled before a run whose updates are encoded: its weights, its head-room, and what protects it.

Here the simulator uses what no coordinator could know, the clients' numbers of examples, and makes one number of it
public: the power of two at or above the largest of them, `aggregation.max_weight`. Whoever wants to keep that back
sets it in the configuration.

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
from typing import Any

from msgspec.structs import replace

from fedgdl.config import AggregationConfig, Experiment, check_cohort
from fedgdl.crypto import FixedPoint
from fedgdl.data import FederatedDataset
from fedgdl.errors import DataError
from fedgdl.federated import Strategy, make_update_encoding
from fedgdl.federated.own_code import call_own
from fedgdl.parameters import Layout

__all__ = ["count_examples", "describe", "settle", "shares_not_reached"]


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

    Args:
        experiment: one whose updates are encoded.
        num_examples: of each client of the population.

    Raises:
        ConfigError: the cohort is smaller than what may be asked for.
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
    return replace(experiment, cohort_size=cohort_size, aggregation=aggregation)


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
        two are none where nothing is left to chance.

    Raises:
        ConfigError: sums may wrap around the ring, or there is no graph that gives what is asked for.
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
    weights = (strategy.weight(min(count, aggregation.max_weight)) for count in num_examples.values() if count)
    lightest = heapq.nsmallest(min_survivors, weights)
    return found | {
        "clip": aggregation.clip,
        "bits": aggregation.bits,
        "rounding": aggregation.rounding,
        "ring_bits": aggregation.ring_bits,
        "max_weight": aggregation.max_weight,
        "step": FixedPoint(aggregation.clip, aggregation.bits, aggregation.rounding, aggregation.ring_bits).step,
        "bytes_per_weight": encoding.bytes_per_slot,
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
