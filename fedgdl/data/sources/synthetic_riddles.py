"""Generated riddles of directions, sizes, kinds and wishes: tasks 4, 5 and 15-20.

Example:
    >>> import numpy as np
    >>> story = Story(np.random.default_rng(1))
    >>> TELLERS[4](story)
    >>> len(story.lines)
    3
"""

from collections.abc import Callable
from typing import Final

from fedgdl.data.sources.synthetic_telling import MOVES, OBJECTS, PEOPLE, PLACES, Story

__all__ = ["TELLERS"]

_OPPOSITES: Final = {"north": "south", "south": "north", "east": "west", "west": "east"}
_SIDES: Final = {"above": (0, 1), "below": (0, -1), "to the right of": (1, 0), "to the left of": (-1, 0)}
_SHAPES: Final = ("red square", "blue square", "pink rectangle", "red sphere", "triangle", "yellow square")
_CONTAINERS: Final = ("chocolate", "box of chocolates", "box", "suitcase", "chest", "container")
_FEARS: Final = {"mouse": "mice", "cat": "cats", "wolf": "wolves", "sheep": "sheep"}
_KINDS: Final = ("swan", "frog", "lion", "rhino")
_COLOURS: Final = ("white", "green", "yellow", "gray")
_GIVES: Final = ("gave", "handed", "passed")
_WISHES: Final = {
    "tired": ("bedroom", "pajamas"),
    "bored": ("garden", "football"),
    "hungry": ("kitchen", "apple"),
    "thirsty": ("kitchen", "milk"),
}
"""Where people go who feel so, and what they take there."""


def _relate_places(story: Story) -> None:
    first, middle, last = story.draw(PLACES, 3)
    one, other = story.draw(tuple(_OPPOSITES), 2)
    facts = {one: story.say(f"The {first} is {one} of the {middle}.")}
    facts[other] = story.say(f"The {last} is {other} of the {middle}.")
    asked, place = story.pick(((one, first), (other, last)))
    if story.chance():
        story.ask(f"What is {asked} of the {middle}?", place, facts[asked])
    else:
        story.ask(f"What is the {place} {asked} of?", middle, facts[asked])


def _give_things(story: Story) -> None:
    holders = {thing: story.pick(PEOPLE) for thing in OBJECTS}
    for thing, person in holders.items():
        story.say(f"{person} picked up the {thing} there.")
    for _ in range(5):
        thing = story.pick(OBJECTS)
        giver = holders[thing]
        taker = holders[thing] = story.pick(person for person in PEOPLE if person != giver)
        fact = story.say(f"{giver} {story.pick(_GIVES)} the {thing} to {taker}.")
        question, answer = story.pick(
            (
                (f"Who gave the {thing} to {taker}?", giver),
                (f"Who did {giver} give the {thing} to?", taker),
                (f"What did {giver} give to {taker}?", thing),
                (f"Who received the {thing}?", taker),
            )
        )
        story.ask(question, answer, fact)


def _deduce_fears(story: Story) -> None:
    animals = tuple(_FEARS)
    feared = {animal: story.pick(other for other in animals if other != animal) for animal in animals}
    kinds = {person: story.pick(animals) for person in PEOPLE}
    rules: dict[str, int] = {}
    facts: dict[str, int] = {}
    for name in story.draw((*animals, *PEOPLE), len(animals) + len(PEOPLE)):
        if name in feared:
            rules[name] = story.say(f"{_FEARS[name].capitalize()} are afraid of {_FEARS[feared[name]]}.")
        else:
            facts[name] = story.say(f"{name} is a {kinds[name]}.")
    for person in story.draw(PEOPLE, len(PEOPLE)):
        kind = kinds[person]
        story.ask(f"What is {person.lower()} afraid of?", feared[kind], facts[person], rules[kind])


def _induce_colour(story: Story) -> None:
    known = story.draw(PEOPLE, 3)
    asked = story.pick(person for person in PEOPLE if person not in known)
    kinds = dict(zip(known, story.draw(_KINDS, 3), strict=True))
    colours = dict(zip(known, story.draw(_COLOURS, 3), strict=True))
    like = story.pick(known)
    told = [(person, f"{person} is a {kind}.") for person, kind in kinds.items()]
    told += [(person, f"{person} is {colour}.") for person, colour in colours.items()]
    told.append((asked, f"{asked} is a {kinds[like]}."))
    facts: dict[str, list[int]] = {}
    for person, text in story.draw(told, len(told)):
        facts.setdefault(person, []).append(story.say(text))
    story.ask(f"What color is {asked}?", colours[like], *facts[asked], *facts[like])


def _compare_positions(story: Story) -> None:
    first, middle, last = story.draw(_SHAPES, 3)
    to_first = story.pick(_SIDES)
    to_last = story.pick(side for side in _SIDES if side != to_first)
    facts = (
        story.say(f"The {first} is {to_first} the {middle}."),
        story.say(f"The {last} is {to_last} the {middle}."),
    )
    away = [one - other for one, other in zip(_SIDES[to_first], _SIDES[to_last], strict=True)]
    for side in story.draw(tuple(_SIDES), len(_SIDES)):
        is_so = any(step * goal > 0 for step, goal in zip(away, _SIDES[side], strict=True))
        story.ask(f"Is the {first} {side} the {last}?", "yes" if is_so else "no", *facts)


def _compare_sizes(story: Story) -> None:
    chosen = sorted(story.draw(range(len(_CONTAINERS)), 5))
    things = [_CONTAINERS[index] for index in chosen]  # each smaller than the next
    facts: dict[int, int] = {}
    for index in story.draw(range(4), 4):
        small, large = things[index : index + 2]
        facts[index] = story.say(
            f"The {large} is bigger than the {small}." if story.chance() else f"The {small} fits inside the {large}."
        )
    for _ in range(4):
        start = story.pick(range(3))
        stop = story.pick(range(start + 2, 5))
        one, other = story.draw((things[start], things[stop]), 2)
        is_smaller = one == things[start]
        if story.chance():
            question, is_so = f"Does the {one} fit in the {other}?", is_smaller
        else:
            question, is_so = f"Is the {one} bigger than the {other}?", not is_smaller
        story.ask(question, "yes" if is_so else "no", *(facts[index] for index in range(start, stop)))


def _find_path(story: Story) -> None:
    start, middle, goal, *aside = story.draw(PLACES, 5)
    first = story.pick(_OPPOSITES)
    second = story.pick(way for way in _OPPOSITES if way != _OPPOSITES[first])
    ways = [(start, first, middle), (middle, second, goal), (aside[0], story.pick(_OPPOSITES), aside[1])]
    facts: dict[str, int] = {}
    for here, way, there in story.draw(ways, len(ways)):
        facts[here] = story.say(
            f"The {there} is {way} of the {here}."
            if story.chance()
            else f"The {here} is {_OPPOSITES[way]} of the {there}."
        )
    question = f"How do you go from the {start} to the {goal}?"
    story.ask(question, f"{first[0]},{second[0]}", facts[start], facts[middle])


def _explain_deeds(story: Story) -> None:
    wishes = zip(story.draw(PEOPLE, 3), story.draw(tuple(_WISHES), 3), strict=True)
    for name, wish in wishes:
        place, thing = _WISHES[wish]
        person = name.lower()
        fact = story.say(f"{name} is {wish}.")
        story.ask(f"Where will {person} go?", place, fact)
        story.say(f"{name} {story.pick(MOVES)} to the {place}.")
        story.ask(f"Why did {person} go to the {place}?", wish, fact)
        story.say(f"{name} took the {thing} there.")
        story.ask(f"Why did {person} get the {thing}?", wish, fact)


TELLERS: Final[dict[int, Callable[[Story], None]]] = {
    4: _relate_places,
    5: _give_things,
    15: _deduce_fears,
    16: _induce_colour,
    17: _compare_positions,
    18: _compare_sizes,
    19: _find_path,
    20: _explain_deeds,
}
"""By task number, what tells a story of that task and asks its questions."""
