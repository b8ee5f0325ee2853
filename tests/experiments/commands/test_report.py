import json
from pathlib import Path

from program import fedgdl, fedgdl_json

SMALL = ["--set", "data.source=synthetic-mail", "--set", "data.examples=300", "--engine", "inline", "--rounds", "1"]


def test_a_run_is_reported_from_its_folder_and_from_its_condensed_result(tmp_path: Path) -> None:
    run = fedgdl_json("run", "spam", *SMALL, "--baseline", "central", "--out", "one", cwd=tmp_path)
    reported = fedgdl_json("report", "one", "--condensed", "kept", cwd=tmp_path)["runs"][0]
    assert reported["accuracy"] == run["rounds"][-1]["accuracy"]
    assert reported["central_accuracy"] == run["baselines"]["central"]["accuracy"]
    assert "client_id" not in (tmp_path / "kept" / "spam.json").read_text()
    assert fedgdl_json("report", "kept/spam.json", cwd=tmp_path)["runs"] == [reported]
    shown = fedgdl("report", "one", cwd=tmp_path, COLUMNS="120")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert f"{reported['accuracy']:.2%}" in shown.stdout
    table = fedgdl("report", "one", "kept/spam.json", "--markdown", cwd=tmp_path).stdout.splitlines()
    assert len(table) == 4
    assert table[2] == table[3]


def test_80_columns_hold_the_table_unwrapped_without_columns_that_no_run_fills(tmp_path: Path) -> None:
    fedgdl_json("run", "spam", *SMALL, "--out", "one", cwd=tmp_path)
    shown = fedgdl("report", "one", cwd=tmp_path, COLUMNS="80").stdout.splitlines()
    assert shown[0].split() == ["run", "rounds", "s", "accuracy", "loss"]
    assert shown[2].split()[:3] == ["spam", "*", "1"]
    assert shown[-1] == "* generated data: these numbers say nothing about real data"
    run = fedgdl_json(
        "run",
        "spam",
        *SMALL,
        "--until-accuracy",
        "0.1",
        "--baseline",
        "central",
        "--baseline",
        "local",
        "--set",
        "name=a-name-as-long-as-names-may-well-be",
        "--out",
        "two",
        cwd=tmp_path,
    )
    assert run["status"] == "done"
    wide = fedgdl("report", "one", "two", cwd=tmp_path, COLUMNS="60").stdout.splitlines()
    assert wide[0].split()[-4:] == ["central", "gap", "local", "target"]
    assert wide[3].split()[0] == "a-name-as-long-as-names-may-well-be"
    assert wide[3].split()[-3:] == ["10%:", "1.0", "rounds"]


def test_a_folder_without_a_result_is_bad_usage(tmp_path: Path) -> None:
    refused = fedgdl("report", "nowhere", cwd=tmp_path)
    assert refused.returncode == 2
    assert "nowhere" in refused.stderr
    (tmp_path / "result.json").write_text(json.dumps({"rounds": []}))
    assert fedgdl("report", ".", cwd=tmp_path).returncode == 2
