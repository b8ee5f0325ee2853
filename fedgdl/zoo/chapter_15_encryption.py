"""Chapter 15, encrypted: two numbers added under encryption, and the federation whose sum alone is decrypted.

The book's rounds with the key in one hand, without processes: three clients' updates are encrypted, their sum is
decrypted, and nothing else. It gives the plain mean's accuracies, which the book's own encrypted section misses, since
one client's model is decrypted there (`book_compatible.chapter_15`).

Not here: who may hold the key, signatures, and processes: `fedgdl run spam-book --set aggregation.kind=paillier` is
the same federation with all of that. Keys are drawn from the system's randomness, as always; no number here depends
on them.

Source:
    A. W. Trask, "Grokking Deep Learning", Manning 2019, chapter 15, companion notebook.

Example:
    >>> [recipe.name for recipe in RECIPES]
    ['ch15-homomorphic', 'ch15-encrypted']
"""

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from fedgdl.config import AggregationConfig
from fedgdl.crypto.paillier import (
    CiphertextSum,
    Obfuscators,
    Packing,
    encrypt_vector,
    make_obfuscators,
    read_ciphertexts,
)
from fedgdl.crypto.paillier.private import PaillierPrivateKey, generate
from fedgdl.federated import ClientUpdate, UpdateEncoding
from fedgdl.federated.strategy import FedAvg
from fedgdl.parameters import Layout
from fedgdl.progress import watched
from fedgdl.zoo.book_mail import LocalTraining, book_clients, load_book_mail
from fedgdl.zoo.pictures import Curves, Line, Text
from fedgdl.zoo.recipe import Expected, Outcome, Recipe, Setting, Value, at_least, at_most, equal

__all__ = ["RECIPES"]

_KEY_BITS: Final = 2_048
_ROUNDS: Final = 3
_CLIP: Final = 2.0
_BITS: Final = 16
_SLOT_BITS: Final = 16

Array = npt.NDArray[Any]


def _add_under_encryption(_setting: Setting) -> Outcome:
    """Adds 5 and 3 without seeing them, then three numbers at once, packed into one ciphertext."""
    private_key = generate(_KEY_BITS)
    public_key = private_key.public_key
    obfuscators = make_obfuscators(public_key)
    fives, threes = (
        [public_key.encrypt(number, obfuscator) for obfuscator in obfuscators.draw(2)] for number in (5, 3)
    )
    total = private_key.decrypt(public_key.add(fives[0], threes[0]))
    packing = Packing(3, _SLOT_BITS, public_key.plaintext_bits)
    vectors = [np.array([5, 1, 200], np.uint32), np.array([3, 2, 55], np.uint32)]
    packed = _open_sum(private_key, obfuscators, packing, vectors)
    lines = [
        f"E(5) = {str(int(fives[0]))[:24]}... ({int(fives[0]).bit_length():,} bits)",
        f"E(3) = {str(int(threes[0]))[:24]}...",
        f"E(5) * E(3) modulo n^2 decrypts to {int(total)}",
        f"packed: (5, 1, 200) + (3, 2, 55) decrypts to {tuple(packed.tolist())}",
    ]
    return Outcome(
        {
            "the sum that is decrypted": int(total),
            "ciphertexts of 5, encrypted twice, that differ": len(set(fives)),
            "bits of a ciphertext, at most": 8 * public_key.ciphertext_bytes,
            "sums of three numbers in one ciphertext": tuple(packed.tolist()),
            "numbers of 16 bits that one ciphertext has room for": packing.slots_per_plaintext,
        },
        {"demo": Text("Sums of what nobody sees", "\n".join(lines))},
    )


def _open_sum(
    private_key: PaillierPrivateKey, obfuscators: Obfuscators, packing: Packing, vectors: list[Array]
) -> Array:
    """Returns the sum of vectors, each of which is encrypted, added to the others, and decrypted with them alone."""
    public_key = private_key.public_key
    total = CiphertextSum(public_key, packing)
    for vector in vectors:
        total.add(read_ciphertexts(public_key, packing, encrypt_vector(public_key, packing, vector, obfuscators)))
    return packing.unpack(private_key.decrypt_many(total.ciphertexts), vectors[0].dtype)


def _federate(setting: Setting) -> Outcome:
    """Goes through the book's rounds with encrypted updates; a quick run through the first."""
    mail = load_book_mail(setting)
    local, clients = LocalTraining(mail), book_clients(mail)
    config = AggregationConfig("paillier", clip=_CLIP, bits=_BITS, max_weight=1, key_bits=_KEY_BITS)
    layout = Layout.of({"words": (mail.num_words,)}, "float64")
    encoding = UpdateEncoding(config, FedAvg("equal"), layout, max_clients=len(clients))
    private_key = generate(_KEY_BITS)
    obfuscators = make_obfuscators(private_key.public_key)
    packing = Packing(encoding.size, encoding.sum_bits, private_key.public_key.plaintext_bits)
    weights, accuracies, differences = np.zeros(mail.num_words), list[float](), list[float]()
    for index in watched(range(1, (1 if setting.is_quick else _ROUNDS) + 1), "ch15-encrypted"):
        updates = [_copy(local.train(name, weights, round_index=index)) for name in clients]
        vectors = [encoding.encode(update).vector for update in updates]
        opened = encoding.decode(_open_sum(private_key, obfuscators, packing, vectors), num_clients=len(clients)).sums
        step = opened["weighted_delta"] / opened["weight"][0]
        plain = np.mean([np.clip(update.delta, -_CLIP, _CLIP) for update in updates], axis=0)
        allowed = encoding.max_mean_error(len(clients), float(opened["weight"][0]))
        differences.append(float(np.abs(step - plain).max()) / allowed)
        weights += step
        accuracies.append(local.test(weights))
    measured: dict[str, Value] = {
        f"accuracy after round {index}": accuracy for index, accuracy in enumerate(accuracies, 1)
    }
    measured |= {
        "accuracy after the last round": accuracies[-1],
        "distance from the plain mean, of what rounding allows": max(differences),
        "weights in a ciphertext": packing.slots_per_plaintext,
        "ciphertexts of an update": packing.num_plaintexts,
    }
    line = Line("the sum, decrypted", range(1, len(accuracies) + 1), accuracies)
    return Outcome(
        measured,
        {"rounds": Curves("Encrypted updates, one sum", "round", "test accuracy", (line,))},
        data=mail.description,
        is_synthetic=mail.is_synthetic,
    )


def _copy(update: ClientUpdate) -> ClientUpdate:
    """Returns an update whose delta is its own: the next client trains in the same memory."""
    return ClientUpdate(np.array(update.delta), update.num_examples, update.train_loss, update.train_accuracy)


RECIPES: Final = (
    Recipe(
        name="ch15-homomorphic",
        chapter=15,
        section="Homomorphic encryption",
        summary="5 and 3 are added by somebody who sees neither, and the sum is 8.",
        model="none",
        data="two numbers",
        settings={"scheme": "Paillier's, g = n + 1", "key": f"{_KEY_BITS:,} bits; the book's has 1,024"},
        published="8",
        defects=("B30",),
        expected=(
            Expected("the sum that is decrypted", 8, equal, origin="book"),
            Expected("ciphertexts of 5, encrypted twice, that differ", 2, equal, origin="derived"),
            Expected("bits of a ciphertext, at most", 2 * _KEY_BITS, equal, origin="derived"),
            Expected("sums of three numbers in one ciphertext", (8, 3, 255), equal, origin="derived"),
            # A bit of each slot stays free, and one of the plaintext.
            Expected(
                "numbers of 16 bits that one ciphertext has room for",
                (_KEY_BITS - 1) // (_SLOT_BITS + 1),
                equal,
                origin="derived",
            ),
        ),
        run=_add_under_encryption,
        seconds=(0.5, 0.5),
    ),
    Recipe(
        name="ch15-encrypted",
        chapter=15,
        section="Homomorphically encrypted federated learning",
        summary="The book's rounds with encrypted updates, of which the sum alone is decrypted: the plain mean.",
        model="one weight for each of 50,635 words, summed, sigmoid; all zero at first",
        data="enron-book: 1,000 / 1,000 / 39,908 training e-mails; 2,000 test e-mails, all of them in training too",
        settings={
            "rounds": f"{_ROUNDS}; 1 in a quick run",
            "batch": "500, in file order, the last incomplete one left out",
            "learning rate": "0.01 on the sum of squares",
            "encryption": f"Paillier, {_KEY_BITS:,} bits",
            "encoding": f"{_BITS} bits a weight on one scale, clipped at {_CLIP:g}, packed",
        },
        published="98.75, 99.05 and 99.15 per cent, which are Sue's own: see ch15-encrypted-as-printed",
        defects=("B25", "B26", "B27", "B28", "B30"),
        source="enron-book",
        expected=(
            Expected("accuracy after round 1", 0.8405, equal, origin="book", needs_real_data=True),
            Expected("accuracy after round 2", 0.9225, equal, origin="book", is_quick=False, needs_real_data=True),
            Expected("accuracy after round 3", 0.988, equal, origin="book", is_quick=False, needs_real_data=True),
            Expected("weights in a ciphertext", (_KEY_BITS - 1) // 19, equal, origin="derived", needs_real_data=True),
            Expected("distance from the plain mean, of what rounding allows", 1.0, at_most, origin="derived"),
            Expected("accuracy after the last round", 0.55, at_least, origin="goal"),
        ),
        run=_federate,
        seconds=(3.0, 12.0),
    ),
)
