"""Streams: equal for equal arguments, unrelated for any other, and independent of all that happens around them."""

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from fedgdl.seeding import stream

Arguments = tuple[int, str, int, str]


def draw(arguments: Arguments, count: int = 4) -> list[int]:
    """The first numbers of a stream."""
    seed, purpose, round_index, client_id = arguments
    generator = stream(seed, purpose, round_index=round_index, client_id=client_id)
    return [int(generator.integers(2**63)) for _ in range(count)]


arguments = st.tuples(st.integers(), st.text(max_size=5), st.integers(0, 9), st.text(max_size=5))


@given(arguments, arguments)
def test_streams_are_equal_exactly_for_equal_arguments(a: Arguments, b: Arguments) -> None:
    assert (draw(a) == draw(b)) == (a == b)


def test_arguments_do_not_run_into_one_another() -> None:
    cases: list[Arguments] = [
        (1, "a", 11, "b"),
        (1, "a", 1, "1b"),
        (11, "a", 1, "b"),
        (1, "a1", 1, "b"),
        (1, "ab", 1, ""),
        (1, "a", 1, "b"),
        (1, "b", 1, "a"),
        (1, 'a", 1, "b', 0, ""),
        (-1, "a", 1, "b"),
        (2**200, "a", 1, "b"),
    ]
    assert len({tuple(draw(case)) for case in cases}) == len(cases)


def test_a_stream_depends_neither_on_others_nor_on_global_state() -> None:
    first = draw((5, "shuffle", 1, "bob"))
    other = stream(5, "shuffle", round_index=1, client_id="alice")
    other.normal(size=1000)
    np.random.default_rng(0).normal(size=10)
    assert draw((5, "shuffle", 1, "bob")) == first


def test_drawing_leaves_the_global_generator_alone() -> None:
    state = np.random.get_state(legacy=False)  # noqa: NPY002 (to show that it is not touched)
    stream(1, "cohort").permutation(10)
    after = np.random.get_state(legacy=False)  # noqa: NPY002
    np.testing.assert_equal(after, state)


def test_left_out_arguments_are_round_0_and_no_client() -> None:
    assert stream(3, "a").integers(2**63) == stream(3, "a", round_index=0, client_id="").integers(2**63)


def test_streams_of_neighbouring_rounds_and_clients_are_uncorrelated() -> None:
    # For n independent normal pairs the correlation has variance 1 / n; 45 pairs of streams, each |z| < 5: a false
    # alarm once in 40,000.
    n = 10_000
    streams = [
        stream(1, "noise", round_index=index, client_id=client).normal(size=n) for index in range(5) for client in "ab"
    ]
    for a, b in itertools.combinations(streams, 2):
        assert abs(np.corrcoef(a, b)[0, 1]) < 5 / np.sqrt(n)


def test_the_generator_is_philox() -> None:
    assert isinstance(stream(1, "a").bit_generator, np.random.Philox)


def test_the_first_numbers_never_change() -> None:
    """A run can be repeated years later only if a name keeps its stream.

    The key is the 16-byte BLAKE2b digest (person `fedgdl-stream`) of the JSON text of the four arguments.
    """
    import hashlib

    digest = hashlib.blake2b(b'[12345, "shuffle", 1, "bob"]', digest_size=16, person=b"fedgdl-stream").digest()
    key = np.frombuffer(digest, "<u8")
    expected = np.random.Generator(np.random.Philox(key=key)).integers(2**63, size=4)
    assert draw((12345, "shuffle", 1, "bob")) == expected.tolist()


def test_numpy_integers_are_integers() -> None:
    assert stream(int(np.int64(3)), "a").integers(2**63) == stream(np.int64(3), "a").integers(2**63)  # type: ignore[arg-type]
