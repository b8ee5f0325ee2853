"""How the payloads of a cohort become the sums that a strategy declares."""

from server.aggregation.aggregation import Aggregation, CohortAggregation, make_aggregation
from server.aggregation.plain import PlainAggregation, PlainCohort, read_plain_update

__all__ = [
    "Aggregation",
    "CohortAggregation",
    "PlainAggregation",
    "PlainCohort",
    "make_aggregation",
    "read_plain_update",
]
