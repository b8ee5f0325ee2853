"""The sentences and words that generated film reviews are made of; see `fedgdl.data.sources.synthetic_reviews`.

A sentence has slots: `{polar}` is a word of praise or blame, `{part}` what it is said of, `{word}` a word of the
invented language, `{topic}` one of the film's own words, `{adverb}`, `{person}` and `{number}` what they say.

Example:
    >>> SENTENCES["opinion"][0].format(part="plot", adverb="very", polar="dull")
    'The plot is very dull.'
    >>> POLARITY["superb"] > POLARITY["good"] > 0 > POLARITY["bad"] > POLARITY["awful"]
    True
"""

from typing import Final

__all__ = ["LISTS", "POLARITY", "SENTENCES"]

_GRADES: Final = {
    1.0: "superb brilliant wonderful excellent perfect amazing beautiful fantastic outstanding masterful",
    0.7: "great terrific touching delightful gripping memorable charming refreshing moving impressive",
    0.4: "good fine solid nice worthy decent enjoyable funny fresh honest",
    -0.4: "bad weak flat slow silly uneven tired odd predictable thin",
    -0.7: "poor boring lame dull clumsy tedious annoying disappointing bland messy",
    -1.0: "terrible awful horrible dreadful pathetic worthless unwatchable atrocious laughable painful",
}

POLARITY: Final = {word: grade for grade, words in _GRADES.items() for word in words.split()}
"""Each word of praise (above 0) or blame (below 0) and how much of it, from -1 to 1."""

LISTS: Final = {
    "part": "plot acting script story music cast ending dialogue camera pace direction humor lighting editing",
    "adverb": "very really quite rather truly so simply almost",
    "person": "director writer lead actress actor villain hero producer editor",
}

SENTENCES: Final = {
    "opinion": (
        "The {part} is {adverb} {polar}.",
        "I found the {part} {polar} and the {part} {polar}.",
        "What a {polar} {part}!",
        "The {person} gives a {polar} performance as the {word}.",
        "It is a {polar} film about {topic} and {word}.",
        "Everything from the {part} to the {word} is {polar}.",
        "This {topic} movie is {polar}, just {polar}...",
        'My friends called it "{polar}", and so do I.',
        "A {adverb} {polar} scene with a {word} stays with you.",
        "{polar} {part}, {polar} {topic}.",
    ),
    "common": (
        "The film is about a {topic} and a {word} in the year 19{number}.",
        "I saw it with my {word} at the {word} {number} days ago.",
        "A {person} meets the {topic}, then the {word} leaves.",
        "It's the {person}'s first {topic} movie after {word} {word}.",
        "There is a {word} in the {topic} (a {word}, I think).",
        "They don't show the {word} until the {topic} is gone.",
        "The {word} of the {topic} comes from a book by the {person}.",
        "It runs for {number} minutes and has one {word} song.",
        "You will see {word}, {word} and {topic} in it.",
        "Have you seen {topic} {number}? It isn't like that.",
        "The {person} plays a {word} who lost his {topic}.",
    ),
}
