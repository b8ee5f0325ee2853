"""Chapter 15 as printed: the accuracies of one client's model, taken for those of an encrypted mean.

The book encrypts the three models, adds them, and then decrypts the last one alone, Sue's, and divides it by 3. A
division by 3 changes no sign, so the accuracies are Sue's own. The right mean, which decrypting the sum gives, is in
`ch15-encrypted`. Encrypted as in the book, one weight a ciphertext, under a key of 128 bits, with exponents in clear:
`fedgdl attack book-paillier` shows what each of these gives away.

Besides, the loss of Bob's one e-mail as the book prints it: divided by the batch size of another cell.

Source:
    A. W. Trask, "Grokking Deep Learning", Manning 2019, chapter 15, companion notebook.

Example:
    >>> printed_mean([np.array([3.0, 0.0]), np.array([0.0, 6.0])])  # of two models: half of the second
    array([0., 3.])
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
from gmpy2 import mpz

from fedgdl.crypto.paillier import Obfuscators, make_obfuscators
from fedgdl.crypto.paillier.private import PaillierPrivateKey, generate
from fedgdl.progress import watched
from fedgdl.zoo.book_mail import PLAN, LocalTraining, book_clients, load_book_mail
from fedgdl.zoo.chapter_15 import EMAIL, expect_losses, read_an_email
from fedgdl.zoo.pictures import Curves, Line
from fedgdl.zoo.recipe import Expected, Outcome, Recipe, Setting, Value, equal, exactly

__all__ = ["RECIPES", "decrypt_floats", "encrypt_floats", "printed_mean"]

_Weights = npt.NDArray[np.float64]

_ROUNDS: Final = 3
_KEY_BITS: Final = 128
_MANTISSA_BITS: Final = 53


def printed_mean(models: Sequence[_Weights]) -> _Weights:
    """Returns the last of some models, (V,) each, divided by their number."""
    return models[-1] / len(models)


def encrypt_floats(weights: _Weights, obfuscators: Obfuscators) -> tuple[list[mpz], npt.NDArray[np.int64]]:
    """Returns a ciphertext of each weight's mantissa, and, in clear as in the book, its exponent to base 2.

    Args:
        weights: (V,) floats.
        obfuscators: of the key to encrypt with, whose modulus has more than 54 bits.
    """
    public_key = obfuscators.public_key
    mantissas, exponents = np.frexp(weights)
    numbers = (mantissas * 2.0**_MANTISSA_BITS).astype(np.int64).tolist()
    plaintexts = [number % public_key.n for number in numbers]  # those below zero are put at the upper end
    drawn = map(public_key.split, obfuscators.draw(len(plaintexts)))
    return public_key.encrypt_many(plaintexts, drawn), exponents.astype(np.int64) - _MANTISSA_BITS


def decrypt_floats(
    private_key: PaillierPrivateKey, ciphertexts: Sequence[mpz], exponents: npt.NDArray[np.int64]
) -> _Weights:
    """Returns the weights, (V,), to the last bit."""
    n = private_key.public_key.n
    numbers = [int(number if 2 * number < n else number - n) for number in private_key.decrypt_many(ciphertexts)]
    return np.ldexp(np.array(numbers, np.float64), exponents)


def _federate(setting: Setting) -> Outcome:
    """Goes through the book's rounds, and one client's training of the round that was interrupted."""
    mail = load_book_mail(setting)
    local, clients = LocalTraining(mail), book_clients(mail)
    private_key = generate(_KEY_BITS)
    obfuscators, num_changed = make_obfuscators(private_key.public_key), 0
    weights: _Weights = np.zeros(mail.num_words)
    measured: dict[str, Value] = {}
    accuracies, of_the_last = list[float](), list[float]()
    for index in watched(range(1, _ROUNDS + 1), "ch15-encrypted-as-printed"):
        models = list[_Weights]()
        for name in clients:
            update = local.train(name, weights, round_index=index)
            models.append(weights + update.delta)
            measured[f"loss of {name}, round {index}"] = update.train_loss
        encrypted = [encrypt_floats(model, obfuscators) for model in models]
        # The book adds all three here, and makes no use of the sum: the last one alone is decrypted.
        decrypted = [*models[:-1], decrypt_floats(private_key, *encrypted[-1])]
        num_changed += int(np.count_nonzero(decrypted[-1] != models[-1]))
        weights = printed_mean(decrypted)
        accuracies.append(local.test(weights))
        of_the_last.append(local.test(models[-1]))
        measured[f"accuracy after round {index}"] = accuracies[-1]
    update = local.train(clients[0], weights, round_index=_ROUNDS + 1)
    measured[f"loss of {clients[0]}, round {_ROUNDS + 1}"] = update.train_loss
    measured["accuracies, less those of the last client's own model"] = tuple(
        ours - theirs for ours, theirs in zip(accuracies, of_the_last, strict=True)
    )
    measured["weights that encryption changed"] = num_changed
    line = Line("a client's own model, divided", range(1, _ROUNDS + 1), accuracies)
    return Outcome(
        measured,
        {"rounds": Curves("Said to be the encrypted mean", "round", "test accuracy", (line,))},
        data=mail.description,
        is_synthetic=mail.is_synthetic,
    )


def _print_a_loss(setting: Setting) -> Outcome:
    """Takes Bob's step on his one e-mail, and divides its loss as the book does."""
    right = read_an_email(setting)
    stray_batch_size, loss = PLAN.batch_size, right.measured["loss"]
    return Outcome(
        {"loss printed": loss / stray_batch_size if isinstance(loss, float) else loss},
        data=right.data,
        is_synthetic=right.is_synthetic,
    )


RECIPES: Final = (
    Recipe(
        name="ch15-encrypted-as-printed",
        chapter=15,
        section="Homomorphically encrypted federated learning",
        summary="The book's encrypted rounds: Sue's model alone is decrypted, and divided by 3.",
        model="one weight for each of 50,635 words, summed, sigmoid; all zero at first",
        data="enron-book: 1,000 / 1,000 / 39,908 training e-mails; 2,000 test e-mails, all of them in training too",
        settings={
            "rounds": f"{_ROUNDS}, and Bob's part of a fourth, at which the book's run was interrupted",
            "batch": f"{PLAN.batch_size}, in file order, the last incomplete one left out",
            "learning rate": "0.01 on the sum of squares",
            "encryption": f"Paillier, {_KEY_BITS} bits, a ciphertext for each weight, exponents in clear",
        },
        published="accuracies 98.75, 99.05 and 99.15 per cent, and the losses below",
        defects=("B22", "B25", "B26", "B27", "B28", "B30"),
        is_book_compatible=True,
        source="enron-book",
        expected=(
            Expected("accuracy after round 1", 0.9875, equal, origin="book", needs_real_data=True),
            Expected("accuracy after round 2", 0.9905, equal, origin="book", needs_real_data=True),
            Expected("accuracy after round 3", 0.9915, equal, origin="book", needs_real_data=True),
            *expect_losses(
                "bob", (0.21908166249699718, 0.063664140530356044, 0.058477976535441636, 0.0579450413900613)
            ),
            *expect_losses("alice", (0.2937106899184867, 0.06100035791351306, 0.05987976552444443)),
            *expect_losses("sue", (0.033339966977175894, 0.025483920416627266, 0.024763428511034746)),
            # The sign of a sum of weights is that of a third of it.
            Expected("accuracies, less those of the last client's own model", (0.0,) * 3, equal, origin="derived"),
            Expected("weights that encryption changed", 0, equal, origin="derived"),
        ),
        run=_federate,
        seconds=(5.0, 5.0),
    ),
    Recipe(
        name="ch15-hacking-as-printed",
        chapter=15,
        section="Hacking into federated learning",
        summary="The loss of Bob's one e-mail, divided by a batch size that is none of his.",
        model="one weight for each word, summed, sigmoid; all zero at first",
        data=f"one e-mail, no spam: {' '.join(EMAIL)}; the words of enron-book",
        settings={"steps": "1", "learning rate": "0.01 on the square", "divided by": str(PLAN.batch_size)},
        published="loss 0.0005",
        defects=("B24",),
        is_book_compatible=True,
        source="enron-book",
        expected=(Expected("loss printed", 0.0005, exactly, origin="book"),),
        run=_print_a_loss,
    ),
)
