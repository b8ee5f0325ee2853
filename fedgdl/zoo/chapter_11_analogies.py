"""Chapter 11, word analogies: terrible - bad + good, with the vectors of `chapter_11_fill_in`.

Vectors are divided by their lengths before they are added and compared, so a score is a cosine, at most 1. (The book
multiplies by squared lengths instead, and its scores are near -210.) The words of the question are no answers: the book
drops whatever comes first.

Source:
    A. W. Trask, "Grokking Deep Learning", Manning 2019, chapter 11; Mikolov, Yih, Zweig, "Linguistic Regularities in
    Continuous Space Word Representations", NAACL 2013, section 4.

Example:
    >>> vectors = np.array([[1.0, 0.0], [0.0, 1.0], [0.6, 0.8]])
    >>> solve(vectors, plus=[0, 1], minus=[], count=1)
    [(2, 0.99)]
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from fedgdl.zoo.chapter_11_fill_in import TrainedWords, train_words
from fedgdl.zoo.pictures import Text
from fedgdl.zoo.recipe import Expected, Outcome, Recipe, Setting, Value, at_least, at_most

__all__ = ["RECIPES", "solve"]

_Floats = npt.NDArray[np.floating]

_NUM_ANSWERS: Final = 10

_PRAISE: Final = (
    "amazing awesome beautiful brilliant charming decent delightful enjoyable excellent exceptional fabulous "
    "fantastic fine fresh funny good great gripping impressive incredible lovely magnificent marvelous masterful "
    "memorable moving nice outstanding perfect phenomenal pleasant refreshing remarkable respectable solid "
    "spectacular splendid stellar strong stunning superb superior terrific top touching wonderful worthy"
)
_BLAME: Final = (
    "abysmal annoying appalling atrocious awful bad bland boring clumsy crappy dire disappointing dreadful dull dumb "
    "flat forgettable hideous horrendous horrible horrid lame laughable lousy mediocre messy miserable odd painful "
    "pathetic poor predictable ridiculous silly sloppy slow stupid tedious terrible thin tired uneven unwatchable "
    "weak worthless"
)
"""Words that a reader takes for praise and for blame, with blanks between."""

_QUESTIONS: Final = (
    (("terrible", "good"), ("bad",)),
    (("wonderful", "bad"), ("good",)),
    (("actor", "she"), ("he",)),
    (("elizabeth", "he"), ("she",)),
    (("king", "woman"), ("man",)),
)


def solve(
    vectors: _Floats, *, plus: Sequence[int], minus: Sequence[int], count: int = _NUM_ANSWERS
) -> list[tuple[int, float]]:
    """Returns the words nearest to a sum and difference of words, nearest first, each with its cosine.

    Args:
        vectors: (V, D), each of length 1.
        plus: ids that are added.
        minus: ids that are taken away; neither these nor those are among the answers.
        count: how many are returned, or fewer where there are not as many.
    """
    question = vectors[list(plus)].sum(0) - vectors[list(minus)].sum(0)
    length = float(np.sqrt(question @ question))
    scores = vectors @ question / (length or 1.0)
    asked = {*plus, *minus}
    order = [int(index) for index in np.argsort(-scores, kind="stable") if int(index) not in asked]
    return [(index, round(float(scores[index]), 3)) for index in order[:count]]


def _name(plus: Sequence[str], minus: Sequence[str]) -> str:
    """Returns a question as the book writes it: `"terrible - bad + good"`."""
    return f"{plus[0]} - {minus[0]} + {plus[1]}"


def _answer(trained: TrainedWords) -> dict[str, list[tuple[str, float]]]:
    """Returns the answers to those questions whose words all occur, by question."""
    vectors, places = trained.unit_vectors(), {word: index for index, word in enumerate(trained.words)}
    answers = {}
    for plus, minus in _QUESTIONS:
        if all(word in places for word in (*plus, *minus)):
            found = solve(vectors, plus=[places[word] for word in plus], minus=[places[word] for word in minus])
            answers[_name(plus, minus)] = [(trained.words[index], score) for index, score in found]
    return answers


def _ask(setting: Setting) -> Outcome:
    """Answers the book's questions, and two whose answers can be counted."""
    trained = train_words(setting)
    answers = _answer(trained)
    measured: dict[str, Value] = {
        "questions asked": len(answers),
        "largest cosine": max((score for found in answers.values() for _, score in found), default=2.0),
    }
    for question, kind, wanted in (
        ("terrible - bad + good", "praise", _PRAISE),
        ("wonderful - good + bad", "blame", _BLAME),
        ("terrible - bad + good", "praise or blame", f"{_PRAISE} {_BLAME}"),
    ):
        if question in answers:
            measured[f"{kind} among ten answers to {question}"] = len(
                {word for word, _ in answers[question]} & set(wanted.split())
            )
    actors = [word for word, _ in answers.get("actor - he + she", [])]
    if actors:
        measured["place of actress among the answers to actor - he + she"] = (
            actors.index("actress") + 1 if "actress" in actors else _NUM_ANSWERS + 1
        )
    lines = [
        f"{question}: " + ", ".join(f"{word} {score:.2f}" for word, score in found)
        for question, found in answers.items()
    ]
    pictures = {
        "analogies": Text(
            "Analogies: the ten nearest words, each with the cosine of the angle to the sum: 1 is the nearest",
            "\n".join(lines),
        )
    }
    return Outcome(measured, pictures, None, trained.description, trained.is_synthetic)


RECIPES: Final = (
    Recipe(
        name="ch11-analogies",
        chapter=11,
        section="King - Man + Woman ~= Queen; Word analogies",
        summary="Sums and differences of word vectors answer what is to good as terrible is to bad.",
        model="the words of ch11-fill-in: 50 numbers each, brought to length 1",
        data="imdb: as ch11-fill-in",
        settings={
            "questions": "; ".join(_name(plus, minus) for plus, minus in _QUESTIONS),
            "nearness": "cosine",
            "answers": "without the question's words",
        },
        published="terrible - bad + good: terrific, perfect, worth, good, terrible, decent, superb, great, worthy; "
        "elizabeth - she + he: simon, obsessed, stanwyck, sandler, branagh, daniel, peter, tony, aged",
        defects=("B18", "B20"),
        source="imdb",
        expected=(
            Expected("questions asked", len(_QUESTIONS), at_least, "goal", is_quick=False, needs_real_data=True),
            Expected("questions asked", 2, at_least, "goal"),
            Expected("largest cosine", 1.0, at_most, "derived"),
            Expected(
                "praise among ten answers to terrible - bad + good",
                5,
                at_least,
                "goal",
                is_quick=False,
                needs_real_data=True,
            ),
            Expected("praise among ten answers to terrible - bad + good", 3, at_least, "goal", needs_real_data=True),
            # Generated reviews praise and blame in the same sentences: there the vectors know the role alone.
            Expected("praise or blame among ten answers to terrible - bad + good", 6, at_least, "goal"),
            Expected(
                "blame among ten answers to wonderful - good + bad",
                4,
                at_least,
                "goal",
                is_quick=False,
                needs_real_data=True,
            ),
            Expected(
                "place of actress among the answers to actor - he + she",
                3,
                at_most,
                "goal",
                is_quick=False,
                needs_real_data=True,
            ),
        ),
        run=_ask,
        shared_training="ch11-fill-in",
        seconds=(4.0, 75.0),
    ),
)
