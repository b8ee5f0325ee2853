from collections.abc import Callable
from dataclasses import replace
from io import StringIO

import numpy as np
import pytest
from rich.console import Console
from rich.table import Table

from experiments.benchmarks.measure import Reference, Timing
from experiments.benchmarks.paillier import run
from experiments.benchmarks.paillier_key import NO_GOALS, Goals, Vector, _MeasuredKey
from experiments.benchmarks.paillier_processes import Job, codes, measure_two_processes
from experiments.benchmarks.paillier_report import (
    EncryptedRun,
    KeyReport,
    PaillierReport,
    PaillierRow,
    TableRow,
    ThresholdRow,
    TwoProcesses,
)
from experiments.benchmarks.paillier_run import measure_run
from experiments.benchmarks.paillier_tables import copied, mapped, table_bytes
from experiments.benchmarks.tables import encrypted_run_table, paillier_table, shared_tables_table
from fedgdl.crypto.paillier import TableObfuscators
from fedgdl.crypto.paillier.private import generate
from fedgdl.errors import ConfigError, RunFailed

ROWS = ["encrypt", "encrypt-pool", "encrypt-factors", "encrypt-textbook", "add", "check", "decrypt", "decrypt-threads"]
FEW_MAILS = (
    "data.source=synthetic-mail",
    "data.examples=300",
    "rounds=2",
    "engine.kind=inline",
    "aggregation.insecure_key_bits=256",
)


@pytest.fixture(scope="module")
def key() -> _MeasuredKey:
    return _MeasuredKey(generate(256), Vector(200, 100, 16), 2, NO_GOALS)


def test_slots_have_room_for_the_largest_sum() -> None:
    vector = Vector(size=100_000, max_clients=100, bits=16)
    assert vector.sum_bits == 23
    assert 100 * vector.max_code < 2**23 <= 2 * 100 * vector.max_code
    found = codes(100_000, vector.max_code)
    assert found.dtype == np.uint32
    assert (found.min(), found.max()) == (0, vector.max_code)
    assert codes(1, 5).tolist() == [5]
    assert np.array_equal(found, codes(100_000, vector.max_code))


def test_each_part_stands_beside_phe_a_weight(key: _MeasuredKey) -> None:
    rows = {row.name: row for row in (*key.encryption(), *key.sums(), *key.decryption())}
    assert list(rows) == ROWS
    for row in rows.values():
        assert row.fedgdl.median_us > 0
        for reference in row.references:
            assert reference.over_fedgdl == reference.median_us / row.fedgdl.median_us
    assert {row.name for row in rows.values() if not row.references} == {"check"}
    assert rows["decrypt-threads"].references[0].name == "by one thread"
    assert rows["decrypt-threads"].clock == "wall"
    assert rows["encrypt"].num_ciphertexts == key.packing.num_plaintexts == 20
    assert rows["add"].repeats == 5 * rows["encrypt"].repeats
    # A value of phe's is a ciphertext of its own, of which ours hold ten weights.
    assert rows["encrypt-textbook"].references[0].over_fedgdl > 2


def test_wrong_sums_and_foreign_ciphertexts_are_refused(key: _MeasuredKey) -> None:
    right = key._codes * np.uint32(100)
    wrong = right.copy()
    wrong[7] += 1
    first, theirs = key._data[:64], [key._phe_public.raw_encrypt(value) for value in key._values]
    ciphertext = int.from_bytes(first, "big")
    key._check(right, ciphertext, theirs)
    with pytest.raises(RunFailed, match="is not the sum"):
        key._check(wrong, ciphertext, theirs)
    with pytest.raises(RunFailed, match="do not decrypt one another"):
        key._check(right, ciphertext, theirs[::-1])
    with pytest.raises(RunFailed, match="do not decrypt one another"):
        key._check(right, ciphertext + 1, theirs)


def test_goals_are_compared_with_medians(key: _MeasuredKey) -> None:
    goals = Goals({"encrypt": 1000.0}, {"encrypt": 10.0}, None, None)
    measured = object.__new__(_MeasuredKey)
    vars(measured).update(vars(key), _goals=goals)
    seconds = {"encrypt": [0.2, 0.1, 0.3], "phe, a value": [0.16]}
    row = measured._row("encrypt", "", seconds, key.packing)
    assert row.fedgdl.median_us == pytest.approx(1e6 * 0.2 / 200)  # a weight
    assert row.is_goal_met is True
    (reference,) = row.references
    assert reference.median_us == pytest.approx(1e6 * 0.16 / 8)  # a value, of eight
    assert reference.over_fedgdl == pytest.approx(20)
    assert reference.is_goal_met is True
    missed = measured._row("encrypt", "", {"encrypt": [0.21], "phe, a value": [0.01]}, key.packing)
    assert (missed.is_goal_met, missed.references[0].is_goal_met) == (False, False)
    assert Reference.of("x", 9.0, 3.0).is_goal_met is None


@pytest.mark.parametrize("num_bits", [128, 512])
def test_copied_and_mapped_tables_give_the_same_powers(num_bits: int) -> None:
    counting = iter(range(1, 100))
    own = TableObfuscators(generate(num_bits).public_key, random_bytes=lambda count: bytes([next(counting)]) * count)
    drawn = own.draw(3)
    block = table_bytes(own)
    for share in (copied, mapped):
        counting = iter(range(1, 100))
        assert share(own, block).draw(3) == drawn
    wrong = bytearray(block)
    wrong[:] = bytes(len(wrong))
    assert copied(own, bytes(wrong)).draw(3) != drawn


def test_a_process_that_fails_is_told(capfd: pytest.CaptureFixture[str]) -> None:
    too_large = Job(generate(128).public_key.to_bytes(), 10, sum_bits=7, max_code=500)
    with pytest.raises(RunFailed, match="has ended"):
        measure_two_processes(too_large, 1, None)
    assert "CryptoError" in capfd.readouterr().err  # its own words are on the screen


def text_of(table: Table) -> str:
    console = Console(file=StringIO(), width=200)
    console.print(table)
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


def made_up() -> PaillierReport:
    phe = Reference("phe, a value", 9000.0, 1800.0, 1000.0, is_goal_met=True)
    row = PaillierRow(
        "encrypt", "of a table", "CPU", 5, 1177, Timing(5.0, 4.5), 4.0, is_goal_met=False, references=(phe,)
    )
    two = TwoProcesses(5, 1.0, 0.5, 2.0, 1.7, is_goal_met=True, peak_bytes=10**8)
    shares = ThresholdRow(3, 2, 5, 16, 1.5, Timing(17_000.0, 16_000.0), Timing(70.0, 60.0), 85)
    tables = (TableRow("built by itself", 0.25, 21_000_000, 5.0),)
    key = KeyReport(2048, 85, 1177, 6.03, 6.1, True, 0.1, (row,), (row,), tables, two, shares)  # noqa: FBT003
    whole = EncryptedRun(
        what="spam",
        data_is_synthetic=False,
        key_bits=3072,
        num_weights=141_618,
        num_rounds=3,
        exact_seconds=3.0,
        encrypted_seconds=42.0,
        overhead_seconds=39.0,
        most_seconds=60.0,
        is_goal_met=True,
        is_same_model=True,
        exact_stages={"train": 0.25, "rest": 0.01},
        encrypted_stages={"encrypted input": 1.25, "rest": 10.5},
        peak_bytes={"coordinator": 1},
        bytes_per_update=700_000.0,
    )
    return PaillierReport((key,), 100_000, 100, 16, whole, True, 0.5, "a machine", {})  # noqa: FBT003


def test_tables_hold_every_row_and_its_verdict() -> None:
    report = made_up()
    assert report.run is not None
    shown = text_of(paillier_table(report.keys[0], report.size))
    for figure in ("<= 4 missed", ">= 1,000 met", "encrypt, no lanes", "1,177", "5 (4.5)", "1.8e+03"):
        assert figure in shown
    assert "21.0" in text_of(shared_tables_table(report.keys[0]))
    shown = text_of(encrypted_run_table(report.run))
    for figure in ("141,618 weights", "39.0 (< 60 met)", "10.50", "0.25", "encrypted, 3,072 bits"):
        assert figure in shown
    no_goal = replace(report.run, most_seconds=None, is_goal_met=None)
    assert "met" not in text_of(encrypted_run_table(no_goal))


def test_the_command_prints_it_all(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    import experiments.benchmarks.paillier as benchmark
    from experiments.commands.bench import _bench_paillier

    made: Callable[..., PaillierReport] = lambda repeats: made_up()  # noqa: ARG005, E731
    monkeypatch.setattr(benchmark, "run", made)
    _bench_paillier(None, as_json=False)
    shown = capsys.readouterr().out
    for figure in (
        "6.03 bytes a weight (<= 6.1 met)",
        "2.00 times as fast (>= 1.7 met)",
        "17.0 ms (200 us a weight)",
        "the same model, bit for bit",
        "load average 0.5",
        "vector lanes",
    ):
        assert figure in shown


def test_no_repeats_are_refused() -> None:
    with pytest.raises(ConfigError, match="at least 1 repeat, got 0"):
        run(repeats=0)


def test_a_run_is_compared_with_the_same_one_in_the_clear() -> None:
    found = measure_run("spam", FEW_MAILS)
    assert found.is_same_model
    assert found.overhead_seconds == found.encrypted_seconds - found.exact_seconds
    assert found.num_rounds == 2
    assert (found.key_bits, found.most_seconds, found.is_goal_met) == (256, None, None)
    assert {"train", "rest"} == found.exact_stages.keys()
    assert {"encrypted input", "rest"} == found.encrypted_stages.keys()
    assert found.peak_bytes.keys() <= {"coordinator"}  # the only process of this engine, where the system tells
    assert found.bytes_per_update > found.num_weights


def test_a_failed_round_is_told() -> None:
    faults = 'faults.events=[{kind="nan",client="bob",round=1}]'
    with pytest.raises(RunFailed, match="could not be measured"):
        measure_run("spam", [*FEW_MAILS, faults])


@pytest.mark.slow
def test_the_whole_report_is_json() -> None:
    report = run(1, key_bits=(512,), size=2000, experiment=None)
    (found,) = report.to_dict()["keys"]
    assert [row["name"] for row in found["rows"]] == ROWS
    assert found["bytes_per_weight"] == found["num_ciphertexts"] * 128 / 2000
    assert [row["how"] for row in found["tables"]] == [
        "built by itself",
        "copied from shared memory when it starts",
        "left in shared memory",
    ]
    without = [row["name"] for row in found["rows_without_lanes"]]
    assert without == ([name for name in ROWS if name not in {"add", "check"}] if report.has_lanes else [])
    assert found["threshold"]["partial"]["median_us"] > found["threshold"]["combine"]["median_us"] > 0
    assert found["processes"]["gain"] == found["processes"]["one_seconds"] / found["processes"]["two_seconds"]
    assert {"gmpy2", "phe", "fedgdl"} <= report.versions.keys()
