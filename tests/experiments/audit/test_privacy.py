"""No count, loss or accuracy of a single client of a protected run is in its page, its JSON, or any received frame."""

import re
import struct
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from audited import SECAGG, Audited, line_experiment, line_task, run_audited

from fedgdl.config import AggregationConfig
from fedgdl.federated import ClientRecord

SIZES = {"ann": 66_413, "ben": 81_937, "cat": 97_259}
"""Numbers that stand nowhere by accident; all their sums and means are others."""

PLAIN, EXACT = AggregationConfig(), AggregationConfig(exact=True, clip=4.0)
PAILLIER = AggregationConfig("paillier", clip=4.0, insecure_key_bits=256)


def bytes_of(value: float) -> Iterator[bytes]:
    """Yields a number as the formats have it that a program might write it in: MessagePack and bare ones."""
    yield msgspec.msgpack.encode(value)
    for order in "<>":
        if isinstance(value, int):
            yield struct.pack(f"{order}I", value)
            yield struct.pack(f"{order}Q", value)
        yield struct.pack(f"{order}f", value)
        yield struct.pack(f"{order}d", value)


def words_of(value: float) -> Iterator[str]:
    """Yields a number as a person might read it: whole, or the first digits of it."""
    if isinstance(value, int):
        yield from (f"{value}", f"{value:,}")
    else:
        yield from (f"{value:.6f}"[:-1], f"{100 * value:.5f}"[:-1])


def figures(history_clients: tuple[ClientRecord, ...]) -> Iterator[tuple[str, float]]:
    """Yields the label and value of all that is known of single clients; each value is a distinctive one."""
    for client in history_clients:
        assert client.num_examples == SIZES[client.client_id]
        yield f"{client.client_id}: num_examples", client.num_examples
        for name in ("train_loss", "train_accuracy"):
            value = getattr(client, name)
            assert len(repr(value)) > 12
            yield f"{client.client_id}: {name}", value


def found_in(audited: Audited, content: bytes | str) -> set[str]:
    """Returns the labels of the clients' figures that stand in some bytes or text."""
    found = set()
    for label, value in figures(audited.history.rounds[0].clients):
        raw = content if isinstance(content, bytes) else content.encode()
        text = content if isinstance(content, str) else content.decode("latin-1")
        if any(form in raw for form in bytes_of(value)) or any(form in text for form in words_of(value)):
            found.add(label)
    return found


def without_pictures(page: str) -> str:
    """Returns a page without the letters that its pictures are written in."""
    return re.sub(r"base64,[A-Za-z0-9+/=]+", "", page)


def places(audited: Audited) -> dict[str, bytes | str]:
    folder = audited.folder / "audit"
    assert {path.name for path in folder.iterdir()} == {"audit.html", "audit.json", "received.bin"}
    return {
        "page": without_pictures(audited.page),
        "json": (folder / "audit.json").read_text("utf-8"),
        "frames": audited.received,
        "summary": repr(audited.audit.summary()),
    }


def run(folder: Path, aggregation: AggregationConfig) -> Audited:
    return run_audited(folder, line_experiment(aggregation), line_task(**SIZES))


@pytest.fixture(scope="module", params=[SECAGG, PAILLIER], ids=["secagg", "paillier"])
def protected(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> list[Audited]:
    return [run(tmp_path_factory.mktemp("protected") / "run", request.param) for _ in range(2)]


@pytest.fixture(scope="module", params=[PLAIN, EXACT], ids=["plain", "exact"])
def unprotected(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Audited:
    return run(tmp_path_factory.mktemp("unprotected") / "run", request.param)


ALL = {f"{client}: {name}" for client in SIZES for name in ("num_examples", "train_loss", "train_accuracy")}


def test_nothing_of_a_single_client_stands_anywhere(protected: list[Audited]) -> None:
    """A finding counts if a second run has it as well: four random bytes may be those of a number by accident."""
    for name in ("page", "json", "frames", "summary"):
        first, second = (found_in(audited, places(audited)[name]) for audited in protected)
        assert first & second == set(), name


def test_the_same_search_finds_all_of_it_in_the_frames_of_an_unprotected_run(unprotected: Audited) -> None:
    assert found_in(unprotected, unprotected.received) == ALL


def test_the_same_search_finds_all_of_it_in_the_simulator_s_own_result(protected: list[Audited]) -> None:
    audited = protected[0]
    assert found_in(audited, (audited.folder / "result.json").read_text("utf-8")) == ALL
    assert found_in(audited, (audited.folder / "history.jsonl").read_bytes()) == ALL


def test_the_page_of_an_unprotected_run_tells_nothing_of_a_single_client_either(unprotected: Audited) -> None:
    for name in ("page", "json", "summary"):
        assert found_in(unprotected, places(unprotected)[name]) == set(), name


def test_how_exact_the_mean_is_for_the_smallest_clients_is_the_simulator_s_to_know(protected: list[Audited]) -> None:
    for audited in protected:
        assert audited.history.protection is not None
        error = audited.history.protection["max_error_of_mean"]
        for name in ("page", "json", "summary"):
            content = places(audited)[name]
            assert isinstance(content, str)
            assert repr(error)[:4] not in content, name  # the first digits of it


def test_the_sum_of_a_single_client_is_not_told(tmp_path: Path) -> None:
    audited = run_audited(tmp_path / "run", line_experiment(PLAIN, cohort_size=1), line_task(**SIZES))
    for name in ("page", "json", "summary"):
        assert found_in(audited, places(audited)[name]) == set(), name
    assert audited.document["rounds"][0]["opened"] == {"num_clients": 1, "means": {}, "sums": {}}
