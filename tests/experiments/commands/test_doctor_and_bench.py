from pathlib import Path

import pytest
from program import fedgdl, fedgdl_json


def test_the_doctor_says_what_is_here(tmp_path: Path) -> None:
    document = fedgdl_json("doctor", cwd=tmp_path)
    assert document["problems"] == []
    assert document["cores"]["usable"] >= 1
    assert len({str(Path(folder).parent) for folder in document["packages"].values()}) == 1
    assert set(document["packages"]) == {"fedgdl", "clients", "server", "experiments"}
    assert all(document["dependencies"].values())
    assert {"numpy", "phe", "msgspec"} <= document["dependencies"].keys()
    assert document["blas"]
    text = fedgdl("doctor", cwd=tmp_path).stdout
    assert "all is well" in text
    assert document["versions"]["numpy"] in text


def test_the_doctor_finds_a_package_that_is_shadowed(tmp_path: Path) -> None:
    """A folder `server` of somebody else's comes first on the path: pip would not say a word."""
    (tmp_path / "server").mkdir()
    (tmp_path / "server" / "__init__.py").write_text("")
    finished = fedgdl("doctor", cwd=tmp_path, PYTHONPATH=str(tmp_path))
    assert finished.returncode == 1
    assert "shadows" in finished.stdout


def test_the_doctor_finds_a_data_folder_that_is_none(tmp_path: Path) -> None:
    finished = fedgdl("doctor", cwd=tmp_path, data=tmp_path / "gone")
    assert finished.returncode == 1
    assert "gone, which is no folder" in finished.stdout


def test_the_spam_benchmark_gives_ratios_with_their_circumstances(tmp_path: Path) -> None:
    document = fedgdl_json("bench", "spam", "--repeats", "3", cwd=tmp_path)
    assert [timing["dtype"] for timing in document["timings"]] == ["float64", "float32"]
    for timing in document["timings"]:
        assert timing["ratio"] == timing["autograd_us"] / timing["by_hand_us"]
    assert {"machine", "versions", "blas", "repeats"} <= document.keys()


@pytest.mark.slow
def test_the_core_benchmark_takes_rows_and_prints_one_document(tmp_path: Path) -> None:
    document = fedgdl_json("bench", "core", "--rows", "relu-mlp-b1, mlp-b1", "--repeats", "2", cwd=tmp_path)
    assert [row["name"] for row in document["rows"]] == ["mlp-b1", "relu-mlp-b1"]
    for row in document["rows"]:
        assert row["fedgdl_over_by_hand"] == row["fedgdl"]["median_us"] / row["by_hand"]["median_us"]


@pytest.mark.slow
def test_the_core_benchmark_prints_a_table_and_what_its_rows_are(tmp_path: Path) -> None:
    text = fedgdl("bench", "core", "--rows", "relu-mlp-b1", "--repeats", "2", cwd=tmp_path).stdout
    assert "relu-mlp-b1: MLP 784-40-10, relu, mean squared error, batch 1" in text
    assert "goals: at most 1.25 times the step by hand" in text


def test_rows_are_spelt_right_and_belong_to_core(tmp_path: Path) -> None:
    finished = fedgdl("bench", "core", "--rows", "imbd-b1", cwd=tmp_path)
    assert finished.returncode == 2
    assert "did you mean imdb-b1?" in finished.stderr
    assert fedgdl("bench", "spam", "--rows", "mlp-b1", cwd=tmp_path).returncode == 2


def test_the_cohort_benchmark_prints_gains_beside_goals(tmp_path: Path) -> None:
    text = fedgdl("bench", "cohort", "--repeats", "1", cwd=tmp_path).stdout
    assert "MLP 784>100>10" in text
    assert "79,510" in text


@pytest.mark.slow
def test_the_start_up_benchmark_measures_a_real_run(tmp_path: Path) -> None:
    document = fedgdl_json("bench", "start-up", "--repeats", "1", cwd=tmp_path)
    assert document["experiment"] == "spam"
    assert 0 < document["start_up_seconds"] < 60
    assert 0 < document["rounds_seconds"] < 60
    assert document["num_rounds"] == 5
    assert document["added_worker_mb"] > 1
    assert document["worker_unshared_mb"] > 1


@pytest.mark.slow
def test_a_further_worker_costs_less_than_60_mb_on_the_book_s_data(tmp_path: Path, real_data: Path) -> None:
    """Most of it is Python and NumPy; the data file is mapped, so workers share it."""
    document = fedgdl_json("bench", "start-up", "--repeats", "1", cwd=tmp_path, data=real_data)
    assert document["experiment"] == "spam-book"
    assert document["added_worker_mb"] < 60


def test_the_list_of_benchmarks(tmp_path: Path) -> None:
    listed = fedgdl_json("bench", "--list", cwd=tmp_path)["benchmarks"]
    assert set(listed) == {"cohort", "core", "paillier", "secagg", "spam", "start-up"}
    assert fedgdl("bench", "nonsense", cwd=tmp_path).returncode == 2
