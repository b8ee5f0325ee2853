"""The sentences and words that generated e-mails are made of; see `fedgdl.data.sources.synthetic_mail`.

A sentence has slots: `{topic}` is a word of the mailbox's topic, `{word}` a word of the invented
language, `{day}`, `{place}`, `{offer}` and `{claim}` are words of the lists below, `{number}` is a number.

Example:
    >>> SENTENCES["common"][0].format(day="friday", word="talo")
    'can you look at the talo before friday ?'
"""

from typing import Final

__all__ = ["GREETINGS", "LISTS", "SENTENCES", "SYLLABLES", "TOPICS"]

TOPICS: Final = (
    "gas pipeline volume meter nomination contract supply well storage flow delivery counterparty",
    "model risk option price volatility forecast research curve paper seminar student university",
    "trading desk power market position deal west load capacity outage transmission schedule",
    "legal agreement clause signature draft counsel filing regulation hearing commission tariff order",
    "invoice settlement account ledger audit payment balance budget expense quarter close team",
    "travel flight hotel training calendar meeting presentation customer visit agenda slides lunch",
)
"""Each mailbox's words, the most frequent first."""

GREETINGS: Final = {
    "ham": ("hello all", "team ,", "good morning ,", "hi ,", "fyi :", "thanks for the note ,"),
    "spam": ("dear friend ,", "hello ,", "hi ,", "attention !", "good day ,", "dear customer ,"),
}

LISTS: Final = {
    "day": "monday tuesday wednesday thursday friday tomorrow today noon",
    "place": "houston london portland denver calgary austin",
    "offer": "software watches mortgage pills loan degree casino vacation stock insurance phone account",
    "claim": "free cheap guaranteed amazing limited exclusive instant special best discount",
}

SENTENCES: Final = {
    "common": (
        "can you look at the {word} before {day} ?",
        "please reply to this message by {day} .",
        "here is the {word} {word} you asked for .",
        "i am in {place} until {day} .",
        "there are {number} new messages about {word} .",
        "do not forget the {word} .",
        "we will call you on {day} about the {word} and the {word} .",
        "the {word} {word} of {word} has changed , see below .",
        "my computer is slow again , the {word} does not start .",
        "your password is about to expire on {day} .",
        "who wants pizza on {day} ? it is {number} a slice .",
        "for more information visit the {word} page .",
        "this is about {word} , {word} and {word} .",
        "{word} {word} {word} .",
        "it took {number} days to find a {word} in {place} .",
    ),
    "ham": (
        "please review the {topic} {topic} and send comments by {day} .",
        "the {topic} file for {day} is attached .",
        "let us discuss the {topic} on {day} in {place} .",
        "i talked to the {topic} group about the {word} {topic} .",
        "we have {number} open items on the {topic} list .",
        "could you forward me the {topic} from last {day} ?",
        "the {word} {topic} was moved to {day} .",
        "thanks for the help with the {topic} .",
    ),
    "spam": (
        "click here for {claim} {offer} !",
        "save {number} % on {offer} , {claim} price !",
        "{claim} {offer} shipped to your door .",
        "you have won {number} dollars , claim now !",
        "no questions asked , {claim} {offer} in {number} minutes .",
        "to be removed from this list click below .",
        "order {offer} today , {claim} offer ends {day} .",
        "confirm your account now or lose your {offer} .",
    ),
}

SYLLABLES: Final = (
    "ba be bi bo bu da de di do du fa fe fi fo ga go ka ke ki ko la le li lo lu ma me mi mo mu "
    "na ne ni no nu pa pe pi po ra re ri ro ru sa se si so su ta te ti to tu va ve vi vo za zo"
)
"""What invented words are put together from."""
