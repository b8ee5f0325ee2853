"""Whether an attack reads more, or less, than blind guessing does.

The tests bound the probability from above, in closed form: they raise a false alarm no more often than they say,
and see a difference a little later than exact tests would.

Example: five words out of 3,588 are guessed, and all five are right; then none is.
    >>> expected = 5 * 5 / 3588
    >>> hits_bound(5, expected) < 1e-11, hits_bound(0, expected)
    (True, 1.0)

Twenty labels out of twenty are right, then eleven.
    >>> round(coin_bound(right=20, flips=20) * 2**20, 6), coin_bound(right=11, flips=20)
    (2.0, 1.0)
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from experiments.attacks.words import Finding

__all__ = ["AgainstChance", "coin_bound", "compare_with_chance", "hits_bound"]


@dataclass(frozen=True, slots=True)
class AgainstChance:
    """How readings of several e-mails, each of its own round, compare with blind guesses.

    Attributes:
        hits: words named that were right.
        expected_hits: how many blind guesses get right on average, naming as many words.
        hits_p_value: the probability, or more, that blind guesses are as far off that as these.
        labels_right: how many labels were right.
        labels_p_value: the probability, or more, that a coin is as far off one half as this.
    """

    hits: int
    expected_hits: float
    hits_p_value: float
    labels_right: int
    labels_p_value: float

    @property
    def smallest_p_value(self) -> float:
        """The more telling of the two."""
        return min(self.hits_p_value, self.labels_p_value)


def compare_with_chance(findings: Sequence[Finding], num_words: int) -> AgainstChance:
    """Returns how findings compare with blind guesses among the words of a vocabulary.

    Args:
        findings: one for each round.
        num_words: of the vocabulary.
    """
    sizes = [(len(finding.reading.word_ids), len(finding.email.word_ids)) for finding in findings]
    hits = sum(finding.hits for finding in findings)
    expected = sum(named * right / num_words for named, right in sizes)
    labels_right = sum(finding.is_label_right for finding in findings)
    return AgainstChance(
        hits,
        expected,
        hits_bound(hits, expected),
        labels_right,
        coin_bound(labels_right, len(findings)),
    )


def hits_bound(hits: float, expected: float) -> float:
    """Returns how probable it is, at most, that blind guesses are as far off their expected number of hits as these.

    Blind: which words are named does not depend on which are right. Guesses of several rounds may be taken together,
    each round's with as many words as it likes; hits and expected hits are then those of all rounds.

    Args:
        hits: words named that were right.
        expected: the sum over the rounds of (words named) * (words that are right) / (words there are).

    Returns:
        Two-sided, from 0 to 1; 1 also where nothing was expected and nothing hit.

    Source:
        W. Hoeffding, "Probability Inequalities for Sums of Bounded Random Variables", Journal of the American
        Statistical Association 58 (1963): theorem 4 (drawing without replacement spreads no wider than with), then
        H. Chernoff's bound for sums of indicators, P <= exp(-(h ln(h / m) - h + m)) for h hits where m are expected.
    """
    if expected <= 0:
        return 1.0 if hits <= 0 else 0.0
    divergence = hits * math.log(hits / expected) - hits + expected if hits > 0 else expected
    return min(1.0, 2 * math.exp(-max(0.0, divergence)))


def coin_bound(right: int, flips: int) -> float:
    """Returns how probable it is, at most, that a fair coin is as far off one half as this.

    Args:
        right: how often it was right.
        flips: out of how many.

    Returns:
        Two-sided, from 0 to 1.

    Source:
        W. Hoeffding 1963, theorem 1: P <= exp(-n KL(right / n, 1/2)).
    """
    if flips == 0:
        return 1.0
    shares = [share for share in (right / flips, 1 - right / flips) if share > 0]
    divergence = sum(share * math.log(2 * share) for share in shares)
    return min(1.0, 2 * math.exp(-flips * max(0.0, divergence)))
