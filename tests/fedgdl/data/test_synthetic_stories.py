"""Generated stories: of the right form in every task, and their answers are right, by other reckonings."""

import re
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedgdl.config import DataConfig
from fedgdl.data.sources.babi import NAMES, check_lines
from fedgdl.data.sources.synthetic_stories import SOURCE, tell_tasks

LINES = tell_tasks(600, seed=1)


def stories(number: int) -> Iterator[list[str]]:
    """Yields the stories of a task, each as its lines without numbers."""
    story: list[str] = []
    for line in LINES[number]["train"]:
        index, _, text = line.partition(" ")
        if index == "1" and story:
            yield story
            story = []
        story.append(text)


def questions(story: list[str]) -> Iterator[tuple[list[str], str, str, list[str]]]:
    """Yields (the statements before it, the question, its answer, its facts) of each question."""
    said: list[str] = []
    for text in story:
        question, tab, rest = text.partition(" \t")
        if tab:
            answer, facts = rest.split("\t")
            yield list(said), question, answer, [story[int(fact) - 1] for fact in facts.split(" ")]
        else:
            said.append(text)


@given(st.integers(1, 60), st.integers(0, 1_000))
@settings(max_examples=10)
def test_every_task_has_its_lines_and_all_are_stories(num_lines: int, seed: int) -> None:
    tasks = tell_tasks(num_lines, seed)
    assert list(tasks) == list(NAMES)
    for number, task in tasks.items():
        assert (len(task["train"]), len(task["test"])) == (num_lines, max(1, num_lines // 5))
        for part, lines in task.items():
            check_lines(f"{NAMES[number]} {part}", lines)


def test_the_seed_decides_the_stories_and_test_stories_are_others() -> None:
    assert tell_tasks(30, 1) == tell_tasks(30, 1)
    assert tell_tasks(30, 1) != tell_tasks(30, 2)
    assert all(task["train"][:6] != task["test"][:6] for task in LINES.values())


@pytest.mark.parametrize("number", NAMES)
def test_facts_are_statements_and_name_what_is_asked(number: int) -> None:
    asked = 0
    for story in stories(number):
        for said, _, _, facts in questions(story):
            assert set(facts) <= set(said)
            asked += 1
    assert asked >= 600 // 15  # the longest stories have five questions in at most 40 lines


@pytest.mark.parametrize("number", [1, 11, 12, 13])
def test_a_person_is_where_they_were_last_said_to_go(number: int) -> None:
    for story in stories(number):
        for said, question, answer, _ in questions(story):
            person = question.removeprefix("Where is ").removesuffix("?")
            gone = [text for text in said if re.search(r"\b(he|she|they)\b", text) or person in text]
            mine = [text for text in gone if person in text]
            index = said.index(mine[-1]) if said.count(mine[-1]) == 1 else len(said) - 1 - said[::-1].index(mine[-1])
            follows = said[index + 1] if index + 1 < len(said) else ""
            last = follows if re.search(r"\b(he|she|they)\b", follows) else mine[-1]
            assert last.endswith(f"to the {answer}.")


@pytest.mark.parametrize("number", [2, 3])
def test_a_thing_is_where_it_was_carried(number: int) -> None:
    for story in stories(number):
        for said, question, answer, _ in questions(story):
            match = re.fullmatch(r"Where (?:is|was) the (\w+)(?: before the (\w+))?\?", question)
            assert match is not None
            path = places_of(match[1], said)
            if match[2] is None:
                assert answer == path[-1]
            else:
                assert [answer, match[2]] == path[-2:]


def places_of(thing: str, said: list[str]) -> list[str]:
    """Returns the places that a thing was in since it was first taken."""
    where: dict[str, str] = {}
    holder, path = "", []
    for text in said:
        person = text.partition(" ")[0]
        if match := re.search(r" to the (\w+)\.$", text):
            where[person] = match[1]
        elif f" the {thing}" in text:
            holder = person if re.search(r" (got|took|grabbed|picked up) ", text) else ""
        if person == holder and (not path or path[-1] != where[person]):
            path.append(where[person])
    return path


@pytest.mark.parametrize("number", [7, 8])
def test_a_person_carries_what_was_taken_and_not_dropped(number: int) -> None:
    for story in stories(number):
        for said, question, answer, _ in questions(story):
            match = re.search(r"is (\w+) carrying", question)
            assert match is not None
            carried: list[str] = []
            for text in said:
                if text.startswith(match[1]) and not re.search(r" to the (\w+)\.$", text):
                    (thing,) = re.findall(r"the (\w+)", text)
                    if re.search(r" (got|took|grabbed|picked up) ", text):
                        carried.append(thing)
                    else:
                        carried.remove(thing)
            expected = (["none", "one", "two", "three"][len(carried)], ",".join(carried) or "nothing")[number - 7]
            assert answer == expected


@pytest.mark.parametrize("number", [6, 9, 10])
def test_yes_no_and_maybe(number: int) -> None:
    answers = set()
    for story in stories(number):
        for said, question, answer, (fact,) in questions(story):
            match = re.fullmatch(r"Is (\w+) in the (\w+)\?", question)
            assert match is not None
            person, place = match.groups()
            (*_, last) = (text for text in said if text.startswith(person))
            assert fact == last
            possible = re.findall(r"the (\w+)", last)
            if " no longer " in last or " is not " in last or place not in possible:
                expected = "no"
            else:
                expected = "yes" if len(possible) == 1 else "maybe"
            assert answer == expected
            answers.add(answer)
    assert answers == ({"yes", "no", "maybe"} if number == 10 else {"yes", "no"})


STEPS = {"n": (0, 1), "s": (0, -1), "e": (1, 0), "w": (-1, 0)}


def test_a_path_leads_where_it_should() -> None:
    for story in stories(19):
        for _, question, answer, facts in questions(story):
            match = re.fullmatch(r"How do you go from the (\w+) to the (\w+)\?", question)
            assert match is not None
            links: dict[tuple[str, str], str] = {}
            for fact in facts:
                one, way, other = re.fullmatch(r"The (\w+) is (\w)\w+ of the (\w+)\.", fact).groups()  # type: ignore[union-attr]
                links[other, way] = one
                links[one, {"n": "s", "s": "n", "e": "w", "w": "e"}[way]] = other
            here = match[1]
            for way in answer.split(","):
                here = links[here, way]
            assert here == match[2]


def test_positions_are_those_of_a_map() -> None:
    sides = {"above": "n", "below": "s", "to the right of": "e", "to the left of": "w"}
    seen = set()
    for story in stories(17):
        for _, question, answer, facts in questions(story):
            pattern = rf"(?:The|Is the) (.+?) (?:is )?({'|'.join(sides)}) the (.+?)[.?]"
            place: dict[str, tuple[int, int]] = {}
            for fact in facts:
                one, side, _ = re.fullmatch(pattern, fact).groups()  # type: ignore[union-attr]
                place[one] = STEPS[sides[side]]
            one, side, other = re.fullmatch(pattern, question).groups()  # type: ignore[union-attr]
            away = (place[one][0] - place[other][0], place[one][1] - place[other][1])
            step = STEPS[sides[side]]
            assert answer == ("yes" if away[0] * step[0] + away[1] * step[1] > 0 else "no")
            seen.add(answer)
    assert seen == {"yes", "no"}


def test_sizes_follow_from_what_was_said() -> None:
    for story in stories(18):
        for said, question, answer, _ in questions(story):
            larger: set[tuple[str, str]] = set()
            for text in said:
                if match := re.fullmatch(r"The (.+) is bigger than the (.+)\.", text):
                    larger.add((match[1], match[2]))
                elif match := re.fullmatch(r"The (.+) fits inside the (.+)\.", text):
                    larger.add((match[2], match[1]))
            for _ in range(4):
                larger |= {(a, d) for a, b in larger for c, d in larger if b == c}
            match = re.fullmatch(r"Is the (.+) bigger than the (.+)\?|Does the (.+) fit in the (.+)\?", question)
            assert match is not None
            asked = (match[1], match[2]) if match[1] else (match[4], match[3])
            assert answer == ("yes" if asked in larger else "no")
            assert asked in larger or asked[::-1] in larger


def test_relations_fears_colours_and_times_follow_from_the_facts() -> None:
    for number, pattern in ((4, None), (15, "afraid"), (16, "color"), (14, "before")):
        for story in stories(number):
            for _, question, answer, facts in questions(story):
                text = " ".join(facts).lower()
                assert pattern is None or pattern in question
                assert answer in text or {"mouse": "mice", "wolf": "wolves"}[answer] in text


def test_the_split_is_scaled_by_the_configuration() -> None:
    split = SOURCE.split((), DataConfig("synthetic-stories", examples=400), 1)
    assert (len(split.train_rows), len(split.test_rows)) == (400, 80)
    assert split.groups is not None
    assert len(split.groups.names) == 20
    smallest = SOURCE.split((), DataConfig("synthetic-stories", examples=10), 1)
    assert len(smallest.train_rows) == 20
