"""The graph that a cohort of a given size has under a configuration: both sides compute it, so neither can lower it.

Not here: how it is computed (`graph`).

Example:
    >>> from fedgdl.config import AggregationConfig
    >>> graph = cohort_graph(10, AggregationConfig(kind="secagg"))
    >>> graph.degree, graph.threshold, graph.min_survivors
    (9, 7, 7)
"""

from fedgdl.config import AggregationConfig
from fedgdl.crypto.masking.graph import GraphParameters, graph_parameters

__all__ = ["cohort_graph"]


def cohort_graph(num_clients: int, config: AggregationConfig) -> GraphParameters:
    """Returns degree, threshold and fewest survivors for a cohort of so many clients, see `graph_parameters`."""
    return graph_parameters(
        num_clients,
        corrupt_share=config.corrupt_share,
        dropout_share=config.dropout_share,
        privacy_bits=config.privacy_bits,
        liveness_bits=config.liveness_bits,
        min_cohort=config.min_cohort,
    )
