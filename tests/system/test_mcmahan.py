"""The settings of McMahan et al., 2017, on real digits, shortened: a lower accuracy, reached in few rounds."""

from pathlib import Path

import pytest
from program import fedgdl_json


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("name", "until", "rounds"),
    [
        ("mcmahan-2nn-iid", 0.9, 8),  # measured: 90.4 % after round 3
        ("mcmahan-2nn-shards", 0.75, 40),
        ("mcmahan-cnn-shards", 0.7, 10),  # 75.2 % at the first test, after round 5
    ],
)
def test_a_lower_accuracy_is_reached_early(
    name: str, until: float, rounds: int, tmp_path: Path, real_data: Path
) -> None:
    run = fedgdl_json(
        "run", name, "--until-accuracy", str(until), "--rounds", str(rounds), cwd=tmp_path, data=real_data
    )
    tested = [record["accuracy"] for record in run["rounds"] if record["accuracy"] is not None]
    assert tested[-1] >= until
    assert max(tested[:-1], default=0.0) < until
    assert run["rounds_to_target"] <= len(run["rounds"]) <= rounds
    assert not run["data_is_synthetic"]
