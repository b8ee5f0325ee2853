"""The mistakes of the book's encrypted section one after the other, with one key, as one demonstration.

Not here: the parts themselves (`exponents`, `book_rounds`, `short_key`), and how they are shown
(`experiments.commands.attack_book`).

Example:
    >>> from fedgdl.config import DataConfig
    >>> from fedgdl.data import load_dataset
    >>> mail = load_dataset(DataConfig("synthetic-mail", examples=3_000), 1)
    >>> demonstration = demonstrate(mail, key_bits=64, num_rounds=1, up_to_bits=64, seed=1)
    >>> [one.num_read for one in demonstration.on_one_scale], demonstration.email.recall  # the e-mail, two clients
    ([0, 0, 0], 1.0)
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from experiments.attacks.book_paillier import FIXED_PRECISION, Ciphertexts, PublicKey, Steps, encrypt, make_key
from experiments.attacks.book_rounds import BookRounds, RoundsFinding, one_email_update
from experiments.attacks.exponents import ExponentFinding, find_by_exponents
from experiments.attacks.short_key import BrokenKey, BrokenUpdate, break_key, read_with_factors
from fedgdl.data import PreparedDataset
from fedgdl.seeding import stream

__all__ = ["ONE_EMAIL", "Demonstration", "demonstrate"]

ONE_EMAIL: Final = "Bob's one e-mail"
_SIZES: Final = (64, 96, 128, 160, 192)
"""Moduli of so many bits are factored, as far as asked for, beside the key's own."""


@dataclass(frozen=True, slots=True)
class Demonstration:
    """What the mistakes give away.

    Attributes:
        key_bits: of the key, as the book encrypts with it.
        zero_exponent: of a weight that did not move, in clear.
        floats: what exponents tell of Bob's one e-mail, then of each client's update of the first round.
        on_one_scale: the same updates, encrypted on one scale.
        rounds: one model decrypted, and the sum decrypted.
        broken: fresh keys of other sizes and the key itself, by size; the key's own is `broken_key`.
        broken_key: how the key itself was broken.
        victim: whose update was read with the factors.
        read: what they gave of it.
    """

    key_bits: int
    zero_exponent: int
    floats: tuple[ExponentFinding, ...]
    on_one_scale: tuple[ExponentFinding, ...]
    rounds: RoundsFinding
    broken: tuple[BrokenKey, ...]
    broken_key: BrokenKey
    victim: str
    read: BrokenUpdate

    @property
    def email(self) -> ExponentFinding:
        """What exponents tell of Bob's one e-mail."""
        return self.floats[0]


def demonstrate(mail: PreparedDataset, *, key_bits: int, num_rounds: int, up_to_bits: int, seed: int) -> Demonstration:
    """Returns what all mistakes give away; whoever watches sees how far each part is.

    Args:
        mail: the clients' e-mails.
        key_bits: of the key; the book takes 128.
        num_rounds: of the federation; the book prints 3.
        up_to_bits: beside the key's, fresh moduli of up to so many bits are factored.
        seed: of the polynomials that factoring tries; keys come from the system's randomness.

    Raises:
        CryptoError: the key is too short for floats, or too long to be broken here.
        DataError: no client has enough e-mails.
    """
    public_key, private_key = make_key(key_bits)
    email = one_email_update(mail)
    steps = Steps(ONE_EMAIL, 2 * mail.num_words)
    in_book_way, on_one_scale = (encrypt(public_key, email, precision, steps) for precision in (None, FIXED_PRECISION))
    sent = {ONE_EMAIL: (email, in_book_way, on_one_scale)}
    rounds = BookRounds(mail, public_key, private_key).run(num_rounds)
    sent |= {name: (one.weights, one.ciphertexts, one.on_one_scale) for name, one in rounds.sent.items()}
    floats, scaled = _find(public_key, sent)
    rng = stream(seed, "attack book-paillier")
    broken = [
        break_key(public_key if size == key_bits else make_key(size)[0], rng)
        for size in sorted({size for size in _SIZES if size <= up_to_bits} | {key_bits})
    ]
    (own,) = (one for one in broken if one.num_bits == key_bits)
    victim = rounds.clients[0]
    read = read_with_factors(public_key, own.factors, rounds.sent[victim])
    return Demonstration(key_bits, floats[0].zero_exponent, floats, scaled, rounds, tuple(broken), own, victim, read)


def _find(
    public_key: PublicKey, sent: dict[str, tuple[npt.NDArray[np.float64], Ciphertexts, Ciphertexts]]
) -> tuple[tuple[ExponentFinding, ...], tuple[ExponentFinding, ...]]:
    """Returns what exponents tell of each update, of floats and on one scale."""
    floats = [find_by_exponents(name, public_key, one, update, None) for name, (update, one, _) in sent.items()]
    scaled = [
        find_by_exponents(name, public_key, one, update, FIXED_PRECISION) for name, (update, _, one) in sent.items()
    ]
    return tuple(floats), tuple(scaled)
