"""How the payloads of a cohort become the sums that a strategy declares."""

from server.aggregation.aggregation import Aggregation, make_aggregation
from server.aggregation.plain import PlainAggregation, read_plain_update

__all__ = ["Aggregation", "PlainAggregation", "make_aggregation", "read_plain_update"]
