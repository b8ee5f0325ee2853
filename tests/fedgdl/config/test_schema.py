import math
from collections.abc import Iterator

import pytest
from msgspec import inspect

from fedgdl.config import Experiment
from fedgdl.config.explanation import expected, shown


def types_below(kind: inspect.Type) -> Iterator[inspect.Type]:
    yield kind
    match kind:
        case inspect.Metadata():
            yield from types_below(kind.type)
        case inspect.UnionType():
            for item in kind.types:
                yield from types_below(item)
        case inspect.VarTupleType():
            yield from types_below(kind.item_type)
        case inspect.StructType():
            for field in kind.fields:
                yield from types_below(field.type)


SCHEMA = list(types_below(inspect.type_info(Experiment)))


def test_every_type_in_the_schema_has_words() -> None:
    assert "another type" not in {expected(kind) for kind in SCHEMA if not isinstance(kind, inspect.NoneType)}


def test_every_number_in_the_schema_is_bounded_on_both_sides() -> None:
    numbers = [kind for kind in SCHEMA if isinstance(kind, (inspect.IntType, inspect.FloatType))]
    assert numbers
    for kind in numbers:
        assert kind.ge is not None or kind.gt is not None
        assert kind.le is not None or kind.lt is not None


def test_every_pattern_is_described_and_refuses_a_line_break_at_the_end() -> None:
    for kind in SCHEMA:
        if isinstance(kind, inspect.StrType) and kind.pattern is not None:
            assert kind.pattern.startswith("^")
            assert kind.pattern.endswith(r"\Z")
    assert not any(isinstance(kind, inspect.StrType) and kind.pattern for kind in _not_described())


def _not_described() -> Iterator[inspect.Type]:
    described = [kind.type for kind in SCHEMA if isinstance(kind, inspect.Metadata)]
    return (kind for kind in SCHEMA if not any(kind is other for other in described))


def test_every_table_refuses_unknown_keys() -> None:
    tables = [kind for kind in SCHEMA if isinstance(kind, inspect.StructType)]
    assert len(tables) == 10
    assert all(kind.forbid_unknown_fields for kind in tables)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a\nb", '"a\\nb"'),
        ("é", '"é"'),
        (True, "true"),
        (3, "3"),
        (math.nan, "nan"),
        (-math.inf, "-inf"),
        ([1, [2, {"a": [3]}]], "[1, [2, {a = ...}]]"),
        ({"a": "b"}, '{a = "b"}'),
        (10**400, "0x"),
        (["x" * 1_000] * 1_000, '["xxx'),
    ],
)
def test_a_value_is_shown_as_toml_and_never_at_length(value: object, text: str) -> None:
    assert shown(value).startswith(text)
    assert len(shown(value)) <= 120
