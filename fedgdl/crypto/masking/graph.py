r"""Who shares masks with whom in a secure aggregation, and how many shares open a secret.

Each client of a cohort agrees on masks with its neighbours in a graph and deals the shares of its two secrets (the
private mask key, the seed of its own mask) to them and to itself. Up to 100 clients everyone is everyone's neighbour.
Above that a client has k neighbours, in a Harary graph: the clients stand on a circle in random order, and each is
joined to the k/2 next ones on either side. How large k and the threshold t must be depends on how many clients may
work against the others or drop out; both are stated, and what is reached is computed exactly.

Three things can go wrong in the sparse graph, with c corrupt clients and d drop-outs among n, each set fixed before
the order is drawn. The probabilities are over that order, as exact fractions:

1. *Some honest client has t or more corrupt neighbours*, which together open its secrets. The k neighbours of a client
   are a uniform draw from the others, so the number of corrupt ones is hypergeometric. All drop-outs may happen before
   the graph is drawn, which then joins n - d clients, c of them corrupt: the draw is from that many. A union bound
   over the n - c honest clients: (n - c) P[H(n-d-1, c, k) >= t].
2. *The graph of honest survivors falls apart*: the coordinator then learns the sum of each part. Taking c + d clients
   out leaves m = n - c - d on the circle with gaps between them. Two that follow each other are joined unless k/2 or
   more in a row are missing between them, and nothing else can join the sides of such a gap. One gap leaves a path,
   so the graph falls apart exactly when two gaps are that long. Seen from one survivor the gaps are a uniform
   composition of c + d into m parts, so two given ones are both that long with probability
   C(n-1-k, m-1) / C(n-1, m-1) = (c+d)_k / (n-1)_k (falling factorials). A union bound over pairs of gaps:
   C(m, 2) (c+d)_k / (n-1)_k. Fewer clients in the graph, drop-outs having gone before it, make this smaller.
3. *Fewer than t holders of some client's secret answer.* A client that drops out cannot answer itself: it needs t of
   its k neighbours, among whom are the other d - 1 drop-outs; any other client holds a share of its own and needs
   t - 1. A union bound: d P[H(n-1, d-1, k) > k - t] + (n - d) P[H(n-1, d, k) > k - t + 1].

The first two are failures of privacy, the third one of liveness: the round ends without a sum. H(N, s, k) counts the
special ones among k drawn of N, s of them special.

In the complete graph nothing depends on chance. No t - 1 corrupt clients can open a secret, and any n - min_survivors
drop-outs leave enough answers.

Threat model: a coordinator that follows the protocol, above all draws the order at random, and tries to learn what it
can together with corrupt clients; drop-outs that do not depend on the order.

Not protected against: a coordinator that steers the order or the drop-outs of a sparse graph, and could surround a
client. In the complete graph clients that check each other's signatures also withstand a coordinator that tells them
different survivors, as long as fewer than 2t - n clients are corrupt.

Not here: keys, masks and shares themselves (the other modules of this package).

Source:
    J. H. Bell, K. A. Bonawitz, A. Gascon, T. Lepoint, M. Raykova, "Secure Single-Server Aggregation with
    (Poly)Logarithmic Overhead", CCS 2020: the three events and the Harary graph on a random order; the bounds are the
    ones derived above. K. Bonawitz et al., "Practical Secure Aggregation for Privacy-Preserving Machine Learning",
    CCS 2017: the complete graph and thresholds above two thirds.

Example:
    >>> graph_parameters(10)
    GraphParameters(num_clients=10, degree=9, threshold=7, min_survivors=7, privacy_bits=None, liveness_bits=None)
    >>> sparse = graph_parameters(1000)
    >>> sparse.degree, sparse.threshold, sparse.min_survivors
    (52, 29, 900)
    >>> f"{sparse.privacy_bits:.1f}, {sparse.liveness_bits:.1f}"
    '42.4, 30.8'
    >>> import secrets
    >>> neighbourhoods(["alice", "bob", "sue"], degree=2, random_bytes=secrets.token_bytes)["bob"]
    ('alice', 'sue')
"""

import functools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from fedgdl.errors import ConfigError

__all__ = ["GraphParameters", "graph_parameters", "neighbourhoods", "whole_clients"]

_LARGEST_ALWAYS_COMPLETE: Final = 100
_DRAW_BYTES: Final = 8


@dataclass(frozen=True, slots=True)
class GraphParameters:
    """A cohort's graph and thresholds, and what they reach for the stated shares.

    Attributes:
        num_clients: n, the size of the sampled cohort.
        degree: k, how many neighbours a client has; n - 1 in the complete graph.
        threshold: t, how many shares open a secret.
        min_survivors: no sum over fewer clients is opened.
        privacy_bits: the probability that the stated share of corrupt clients learns more than the sum is below 2 to
            minus this. None where it cannot happen at all, as in the complete graph.
        liveness_bits: the probability that the stated share of drop-outs ends the round is below 2 to minus this, at
            least 0. None where it cannot happen at all.
    """

    num_clients: int
    degree: int
    threshold: int
    min_survivors: int
    privacy_bits: float | None
    liveness_bits: float | None

    @property
    def is_complete(self) -> bool:
        """Whether everyone is everyone's neighbour."""
        return self.degree >= self.num_clients - 1

    @property
    def max_dropouts(self) -> int:
        """How many clients may drop out before the round has to end without a sum."""
        return self.num_clients - self.min_survivors


@functools.lru_cache(maxsize=256)
def graph_parameters(
    num_clients: int,
    *,
    corrupt_share: float = 0.1,
    dropout_share: float = 0.1,
    privacy_bits: int = 40,
    liveness_bits: int = 30,
    min_cohort: int = 3,
) -> GraphParameters:
    """Returns the graph and the thresholds of a cohort.

    Up to 100 clients the graph is complete and t = floor(2n/3) + 1. Above, it has the smallest even degree for which
    some threshold above half of it reaches both stated probabilities, with the largest such threshold; it is complete
    as well where no degree below n - 1 does.

    Args:
        num_clients: n, the size of the sampled cohort, at least 2.
        corrupt_share: the share of clients that may work against the others, rounded down to whole clients.
        dropout_share: the share of clients that may drop out of a round, in all its stages together, rounded down.
            In cohorts of up to 100 it has no say: any n - min_survivors may.
        privacy_bits: the corrupt clients shall succeed with a probability of at most 2 to minus this.
        liveness_bits: these drop-outs shall end the round with a probability of at most 2 to minus this.
        min_cohort: no sum over fewer clients is ever opened.

    Raises:
        ConfigError: a value is out of its range, the cohort is smaller than `min_cohort`, or no graph reaches what
            is asked for; the message names the keys of `aggregation` to change.
    """
    _require_sound(num_clients, corrupt_share, dropout_share, privacy_bits, liveness_bits, min_cohort)
    num_corrupt = whole_clients(corrupt_share, num_clients)
    num_dropouts = whole_clients(dropout_share, num_clients)
    if num_clients > _LARGEST_ALWAYS_COMPLETE:
        _require_dropouts(num_dropouts, num_clients - min_cohort, "aggregation.min_cohort")
        cohort = _Cohort(num_clients, num_corrupt, num_dropouts)
        found = cohort.find_sparsest(Fraction(1, 2**privacy_bits), Fraction(1, 2**liveness_bits))
        if found is not None:
            min_survivors = max(num_clients - num_dropouts, min_cohort)
            privacy, liveness = cohort.privacy_failure(*found), cohort.liveness_failure(*found)
            return GraphParameters(num_clients, *found, min_survivors, _bits(privacy), _bits(liveness))
    return _complete(num_clients, num_corrupt, num_dropouts, min_cohort)


def neighbourhoods(
    client_ids: Sequence[str], degree: int, random_bytes: Callable[[int], bytes]
) -> dict[str, tuple[str, ...]]:
    """Returns the neighbours of each client, without itself, on a freshly drawn graph.

    Works for any roster, also when clients dropped out before it was drawn up: with no more than `degree` other
    clients everyone is everyone's neighbour.

    Args:
        client_ids: the roster, all different, in any order.
        degree: how many neighbours each shall have; even, or at least the number of the other clients.
        random_bytes: returns so many random bytes, `secrets.token_bytes` outside of tests.

    Returns:
        client id -> ids of its neighbours, sorted. Whoever is someone's neighbour has that one for a neighbour.

    Raises:
        ValueError: two ids are the same, or no such graph exists.
    """
    roster = sorted(client_ids)
    if len(set(roster)) < len(roster):
        message = f"the ids of a roster must differ, but of {len(roster)} only {len(set(roster))} do"
        raise ValueError(message)
    if degree >= len(roster) - 1:
        return {client: (*roster[:index], *roster[index + 1 :]) for index, client in enumerate(roster)}
    if degree < 2 or degree % 2:
        message = f"a graph of {len(roster)} clients needs an even degree of at least 2, got {degree}"
        raise ValueError(message)
    circle = _shuffled(roster, random_bytes)
    half, size = degree // 2, len(circle)
    twice = circle * 2  # from any place on, the next ones stand side by side
    return {
        client: tuple(sorted(twice[place + 1 : place + 1 + half] + twice[place + size - half : place + size]))
        for place, client in enumerate(circle)
    }


@dataclass(frozen=True, slots=True)
class _Cohort:
    """The failures of sparse graphs on n clients, of which some are corrupt and others drop out."""

    num_clients: int
    num_corrupt: int
    num_dropouts: int

    def find_sparsest(self, no_privacy: Fraction, no_liveness: Fraction) -> tuple[int, int] | None:
        """Returns (degree, threshold), the smallest even degree at which both failures are that improbable."""
        threshold = 0
        for degree in range(2, self.num_clients - 1, 2):
            # Of two more neighbours none or both may answer: the largest threshold that enough of them reach stays, or
            # rises by at most 2.
            most = threshold + 2
            while threshold < most and self.liveness_failure(degree, threshold + 1) <= no_liveness:
                threshold += 1
            if (
                threshold > degree // 2
                and self._falls_apart(degree) <= no_privacy
                and self.privacy_failure(degree, threshold) <= no_privacy
            ):
                return degree, threshold
        return None

    def privacy_failure(self, degree: int, threshold: int) -> Fraction:
        """Returns the bound on the first two events together."""
        num_others = self.num_clients - self.num_dropouts - 1
        num_corrupt = min(self.num_corrupt, num_others)  # more may be stated than stay
        surrounded = _tail(num_others, num_corrupt, min(degree, num_others), threshold)
        return (self.num_clients - self.num_corrupt) * surrounded + self._falls_apart(degree)

    def liveness_failure(self, degree: int, threshold: int) -> Fraction:
        """Returns the bound on the third event."""
        num_others, num_dropouts = self.num_clients - 1, self.num_dropouts
        if num_dropouts == 0:
            return Fraction(0)
        of_dropouts = _tail(num_others, num_dropouts - 1, degree, degree - threshold + 1)
        of_others = _tail(num_others, num_dropouts, degree, degree - threshold + 2)
        return num_dropouts * of_dropouts + (self.num_clients - num_dropouts) * of_others

    def _falls_apart(self, degree: int) -> Fraction:
        """Returns the bound on the second event."""
        num_missing = self.num_corrupt + self.num_dropouts
        num_pairs = math.comb(max(0, self.num_clients - num_missing), 2)
        return Fraction(num_pairs * math.perm(num_missing, degree), math.perm(self.num_clients - 1, degree))


def _complete(num_clients: int, num_corrupt: int, num_dropouts: int, min_cohort: int) -> GraphParameters:
    threshold = 2 * num_clients // 3 + 1
    if num_corrupt >= threshold:
        message = (
            f"{num_corrupt} of {num_clients} clients may be corrupt, but even where everyone is everyone's neighbour "
            f"{threshold} of them open any secret: lower aggregation.corrupt_share"
        )
        if num_clients > _LARGEST_ALWAYS_COMPLETE:
            message += " (a sparser graph needs a lower aggregation.privacy_bits or aggregation.liveness_bits, too)"
        raise ConfigError(message)
    min_survivors = max(threshold, min_cohort)
    if num_clients > _LARGEST_ALWAYS_COMPLETE:
        keys = "aggregation.privacy_bits, aggregation.liveness_bits"
        _require_dropouts(num_dropouts, num_clients - min_survivors, keys)
    is_alive = num_dropouts <= num_clients - min_survivors
    return GraphParameters(num_clients, num_clients - 1, threshold, min_survivors, None, None if is_alive else 0.0)


def _require_dropouts(num_dropouts: int, num_tolerated: int, other_keys: str) -> None:
    if num_dropouts > num_tolerated:
        message = (
            f"{num_dropouts} clients may drop out of the cohort, but the round ends when more than {num_tolerated} do: "
            f"lower aggregation.dropout_share (or {other_keys})"
        )
        raise ConfigError(message)


def _require_sound(
    num_clients: int,
    corrupt_share: float,
    dropout_share: float,
    privacy_bits: int,
    liveness_bits: int,
    min_cohort: int,
) -> None:
    for name, share in (("corrupt_share", corrupt_share), ("dropout_share", dropout_share)):
        if not 0 <= share < 1:
            message = f"aggregation.{name} = {share}: expected a share of at least 0 and below 1"
            raise ConfigError(message)
    for name, number, least in (
        ("privacy_bits", privacy_bits, 1),
        ("liveness_bits", liveness_bits, 1),
        ("min_cohort", min_cohort, 2),
    ):
        if number < least:
            message = f"aggregation.{name} = {number}: expected at least {least}"
            raise ConfigError(message)
    if num_clients < min_cohort:
        message = (
            f"a cohort of {num_clients} is smaller than aggregation.min_cohort = {min_cohort}: "
            "sample more clients or ask for a smaller min_cohort, of at least 2"
        )
        raise ConfigError(message)


def whole_clients(share: float, num_clients: int) -> int:
    """Returns the share of the clients, rounded down; a share is the decimal number that was written: 0.3 is 3/10."""
    return math.floor(Fraction(repr(float(share))) * num_clients)


def _tail(population: int, num_special: int, num_drawn: int, at_least: int) -> Fraction:
    """Returns the probability of at least so many special ones among those drawn without replacement.

    Exact, or above it by no more than one part in 2**64.
    """
    num_common = population - num_special
    fewest, most = max(at_least, num_drawn - num_common, 0), min(num_special, num_drawn)
    if fewest > most:
        return Fraction(0)
    ways = math.comb(num_special, fewest) * math.comb(num_common, num_drawn - fewest)
    total = ways
    for special in range(fewest, most):
        # One special one more, one common one less; each count of ways is whole.
        gain = (num_special - special) * (num_drawn - special)
        loss = (special + 1) * (num_common - num_drawn + special + 1)
        if 2 * gain <= loss and ways << 64 <= total:
            total += ways  # each count from here on is at most half the one before
            break
        ways = ways * gain // loss
        total += ways
    return Fraction(total, math.comb(population, num_drawn))


def _bits(probability: Fraction) -> float | None:
    """Returns -log2 of a bound on a probability, at least 0; none for 0."""
    if probability == 0:
        return None
    return max(0.0, math.log2(probability.denominator) - math.log2(probability.numerator))


def _shuffled(items: Sequence[str], random_bytes: Callable[[int], bytes]) -> list[str]:
    """Returns the items in an order drawn uniformly from all.

    Source: R. Durstenfeld, "Algorithm 235: Random permutation", CACM 7(7), 1964.
    """
    order = list(items)
    draws = _draws(len(order), random_bytes)
    for last in range(len(order) - 1, 0, -1):
        bound = last + 1
        usable = 2 ** (8 * _DRAW_BYTES) // bound * bound
        # Numbers above the largest multiple of the bound would favour the small remainders.
        chosen = next(number for number in draws if number < usable) % bound
        order[last], order[chosen] = order[chosen], order[last]
    return order


def _draws(num_expected: int, random_bytes: Callable[[int], bytes]) -> Iterator[int]:
    """Yields random 64-bit numbers for ever; most often the expected number of them is enough."""
    while True:
        drawn = random_bytes(num_expected * _DRAW_BYTES)
        for first in range(0, len(drawn), _DRAW_BYTES):
            yield int.from_bytes(drawn[first : first + _DRAW_BYTES], "little")
