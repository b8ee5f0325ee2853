"""Generated stories of people who move through rooms and carry things: tasks 1-3 and 6-14.

Example:
    >>> import numpy as np
    >>> story = Story(np.random.default_rng(1))
    >>> TELLERS[1](story)
    >>> len(story.lines), story.lines[0].startswith("1 ")
    (15, True)
"""

from collections.abc import Callable
from typing import Final

from fedgdl.data.sources.synthetic_telling import MOVES, OBJECTS, PEOPLE, PLACES, PRONOUNS, Story

__all__ = ["TELLERS"]

_TAKES: Final = ("got", "took", "grabbed", "picked up")
_DROPS: Final = ("dropped", "put down", "left", "discarded")
_NUMBERS: Final = ("none", "one", "two", "three")
_TIMES: Final = ("yesterday", "this morning", "this afternoon", "this evening")
_QUESTIONS: Final = 5


class _House:
    """Where people and things are, and by which lines that is known.

    Attributes:
        where: each person's place and the line that says so.
        paths: each thing's places since it was first taken, with the lines that say how it came there.
        handled: the line in which each thing was last taken or dropped.
        holders: who carries each thing that is carried.
        deeds: the lines in which each person took or dropped something.
    """

    def __init__(self, story: Story) -> None:
        self.story = story
        self.where: dict[str, tuple[str, int]] = {}
        self.paths: dict[str, list[tuple[str, int]]] = {}
        self.handled: dict[str, int] = {}
        self.holders: dict[str, str] = {}
        self.deeds: dict[str, list[int]] = {}

    def move(self, *people: str, form: str = "{who} {move} to the {place}.") -> None:
        """Sends people to one place that none of them is in, with what they carry."""
        left = {self.where[person][0] for person in people if person in self.where}
        place = self.story.pick(place for place in PLACES if place not in left)
        text = form.format(who=" and ".join(people), move=self.story.pick(MOVES), place=place)
        number = self.story.say(text)
        for person in people:
            self.where[person] = (place, number)
            for thing in self.carried(person):
                self.paths[thing].append((place, number))

    def act(self) -> None:
        """Lets somebody move, take or drop something."""
        person = self.story.pick(PEOPLE)
        carried = self.carried(person)
        if person not in self.where or self.story.chance(0.4):
            self.move(person)
        elif carried and self.story.chance(0.4):
            self._handle(person, self.story.pick(carried), is_taken=False)
        else:
            here = self.where[person][0]
            free = [thing for thing in OBJECTS if thing not in self.holders and self._place(thing, here) == here]
            if free:
                self._handle(person, self.story.pick(free), is_taken=True)
            else:
                self.move(person)

    def carried(self, person: str) -> list[str]:
        """Returns what a person carries, in the order in which it was taken."""
        return [thing for thing, holder in self.holders.items() if holder == person]

    def _handle(self, person: str, thing: str, *, is_taken: bool) -> None:
        verb = self.story.pick(_TAKES if is_taken else _DROPS)
        there = " there" if is_taken and self.story.chance() else ""
        number = self.story.say(f"{person} {verb} the {thing}{there}.")
        self.handled[thing] = number
        self.deeds.setdefault(person, []).append(number)
        if is_taken:
            self.holders[thing] = person
            self.paths.setdefault(thing, [self.where[person]])
        else:
            del self.holders[thing]

    def _place(self, thing: str, unknown: str) -> str:
        return self.paths[thing][-1][0] if thing in self.paths else unknown


def _find_person(story: Story) -> None:
    house = _House(story)
    for _ in range(_QUESTIONS):
        house.move(story.pick(PEOPLE))
        house.move(story.pick(PEOPLE))
        _ask_where(house, story.pick(house.where))


def _ask_where(house: _House, person: str, *facts: int) -> None:
    place, fact = house.where[person]
    house.story.ask(f"Where is {person}?", place, *facts, fact)


def _find_thing(story: Story) -> None:
    house = _House(story)
    for _ in range(_QUESTIONS):
        story_length = len(story.lines)
        while len(story.lines) < story_length + 2 or not house.paths:
            house.act()
        thing = story.pick(house.paths)
        place, arrived = house.paths[thing][-1]
        story.ask(f"Where is the {thing}?", place, *sorted((house.handled[thing], arrived)))


def _retrace_thing(story: Story) -> None:
    house = _House(story)
    for _ in range(_QUESTIONS):
        story_length = len(story.lines)
        while len(story.lines) < story_length + 4 or all(len(path) < 2 for path in house.paths.values()):
            house.act()
        thing = story.pick(thing for thing, path in house.paths.items() if len(path) > 1)
        (before, first), (place, second) = house.paths[thing][-2:]
        facts = sorted({house.handled[thing], first, second})
        story.ask(f"Where was the {thing} before the {place}?", before, *facts)


def _affirm_place(story: Story) -> None:
    house = _House(story)
    for _ in range(_QUESTIONS):
        house.move(story.pick(PEOPLE))
        house.move(story.pick(PEOPLE))
        person = story.pick(house.where)
        place, fact = house.where[person]
        asked = place if story.chance() else story.pick(other for other in PLACES if other != place)
        story.ask(f"Is {person} in the {asked}?", "yes" if asked == place else "no", fact)


def _count_things(story: Story) -> None:
    _ask_carried(story, "How many objects is {person} carrying?", lambda things: _NUMBERS[len(things)])


def _list_things(story: Story) -> None:
    _ask_carried(story, "What is {person} carrying?", lambda things: ",".join(things) or "nothing")


def _ask_carried(story: Story, question: str, answer: Callable[[list[str]], str]) -> None:
    """Asks a question with a slot `{person}`, whose answer depends on what that person carries."""
    house = _House(story)
    for _ in range(_QUESTIONS):
        story_length = len(story.lines)
        while len(story.lines) < story_length + 2 or not house.deeds:
            house.act()
        person = story.pick(house.deeds)
        story.ask(question.format(person=person), answer(house.carried(person)), *house.deeds[person])


def _deny_place(story: Story) -> None:
    known: dict[str, tuple[str, bool, int]] = {}  # each person's last line: a place, whether they are there, its number
    for _ in range(_QUESTIONS):
        for _ in range(2):
            person = story.pick(PEOPLE)
            place, is_there, _ = known.get(person, ("", False, 0))
            if is_there and story.chance():
                words = story.pick(("is no longer", "is not"))
                known[person] = (place, False, story.say(f"{person} {words} in the {place}."))
            else:
                new = story.pick(other for other in PLACES if other != place)
                verb = story.pick(("is in", *(f"{move} to" for move in MOVES)))
                known[person] = (new, True, story.say(f"{person} {verb} the {new}."))
        person = story.pick(known)
        place, is_there, fact = known[person]
        # Of another place nothing is known when all that is said is where the person is not.
        asked = story.pick(PLACES) if is_there and story.chance() else place
        story.ask(f"Is {person} in the {asked}?", "yes" if is_there and asked == place else "no", fact)


def _doubt_place(story: Story) -> None:
    known: dict[str, tuple[list[str], int]] = {}  # each person's last line: the possible places, its number
    for _ in range(_QUESTIONS):
        for _ in range(2):
            person = story.pick(PEOPLE)
            first, second = story.draw(PLACES, 2)
            if story.chance():
                fact = story.say(f"{person} is either in the {first} or the {second}.")
                known[person] = ([first, second], fact)
            else:
                fact = story.say(f"{person} {story.pick(MOVES)} to the {first}.")
                known[person] = ([first], fact)
        person = story.pick(known)
        possible, fact = known[person]
        asked = story.pick(possible if story.chance(0.6) else PLACES)
        answer = "no" if asked not in possible else "yes" if len(possible) == 1 else "maybe"
        story.ask(f"Is {person} in the {asked}?", answer, fact)


def _follow_pronoun(story: Story) -> None:
    house = _House(story)
    for _ in range(_QUESTIONS):
        person = story.pick(PEOPLE)
        house.move(person)
        first = house.where[person][1]
        then = story.pick(("After that", "Afterwards", "Then", "Following that"))
        house.move(person, form=f"{then} {PRONOUNS[person]} {{move}} to the {{place}}.")
        _ask_where(house, person, first)


def _find_one_of_two(story: Story) -> None:
    house = _House(story)
    for _ in range(_QUESTIONS):
        house.move(*story.draw(PEOPLE, 2))
        house.move(*story.draw(PEOPLE, 2))
        _ask_where(house, story.pick(house.where))


def _follow_two(story: Story) -> None:
    house = _House(story)
    for _ in range(_QUESTIONS):
        people = story.draw(PEOPLE, 2)
        house.move(*people)
        first = house.where[people[0]][1]
        then = story.pick(("After that", "Afterwards", "Then", "Following that"))
        house.move(*people, form=f"{then} they {{move}} to the {{place}}.")
        _ask_where(house, story.pick(people), first)


def _order_times(story: Story) -> None:
    people = story.draw(PEOPLE, 2)
    days = {person: story.draw(PLACES, len(_TIMES)) for person in people}
    facts: dict[tuple[str, str], int] = {}
    for index in story.draw(range(len(people) * len(_TIMES)), len(people) * len(_TIMES)):
        person, time = people[index % len(people)], index // len(people)
        place, when = days[person][time], _TIMES[time]
        told = f"{person} {story.pick(MOVES)} to the {place}"
        text = f"{when.capitalize()} {told}." if story.chance() else f"{told} {when}."
        facts[person, place] = story.say(text)
    for _ in range(_QUESTIONS):
        person, later = story.pick(people), story.pick(range(1, len(_TIMES)))
        before, place = days[person][later - 1 : later + 1]
        numbers = sorted((facts[person, before], facts[person, place]))
        story.ask(f"Where was {person} before the {place}?", before, *numbers)


TELLERS: Final[dict[int, Callable[[Story], None]]] = {
    1: _find_person,
    2: _find_thing,
    3: _retrace_thing,
    6: _affirm_place,
    7: _count_things,
    8: _list_things,
    9: _deny_place,
    10: _doubt_place,
    11: _follow_pronoun,
    12: _find_one_of_two,
    13: _follow_two,
    14: _order_times,
}
"""By task number, what tells a story of that task and asks its questions."""
