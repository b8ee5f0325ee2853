"""`fedgdl run --audit`."""

import json
from pathlib import Path

import pytest
from program import fedgdl, fedgdl_json, run_script

SMALL = ["run", "spam", "--set", "data.source=synthetic-mail", "--set", "data.examples=600", "--rounds", "1"]
SECAGG = ["--set", "aggregation.kind=secagg"]


def test_an_audit_of_worker_processes_is_in_the_json_and_in_the_folder(tmp_path: Path) -> None:
    result = fedgdl_json(*SMALL, *SECAGG, "--workers", "2", "--audit", "--out", "run", cwd=tmp_path)
    audit = result["audit"]
    assert audit["verdict"] == "passed"
    assert len(audit["verdicts"]) == 7
    assert set(audit["verdicts"].values()) == {"passed"}
    page = tmp_path / audit["page"]
    assert page == tmp_path / "run" / "audit" / "audit.html"
    assert {path.name for path in page.parent.iterdir()} == {"audit.html", "audit.json", "received.bin"}
    stages = json.loads((page.parent / "audit.json").read_text("utf-8"))["rounds"][0]["stages"]
    trained = next(stage for stage in stages if stage["name"] == "masked input")
    assert all(client["seconds"] > 0 for client in trained["clients"])


def test_the_table_is_followed_by_the_verdict(tmp_path: Path) -> None:
    finished = fedgdl(*SMALL, "--engine", "inline", "--audit", "--out", "run", cwd=tmp_path)
    assert (finished.returncode, finished.stderr) == (0, "")
    assert finished.stdout.endswith(f"audit: unprotected  {Path('run') / 'audit' / 'audit.html'}\n")


def test_without_the_option_nothing_is_recorded(tmp_path: Path) -> None:
    result = fedgdl_json(*SMALL, *SECAGG, "--engine", "inline", "--out", "run", cwd=tmp_path)
    assert "audit" not in result
    assert not (tmp_path / "run" / "audit").exists()


def test_ctrl_c_while_the_page_is_written_keeps_run_and_record_and_says_so(tmp_path: Path) -> None:
    arguments = [*SMALL, *SECAGG, "--engine", "inline", "--audit", "--out", "run", "--json"]
    script = run_script(
        "import os, signal, sys\n"
        "import experiments.audit.audit\n"
        "def press_ctrl_c(document, pictures): os.kill(os.getpid(), signal.SIGINT)\n"
        "experiments.audit.audit.render_page = press_ctrl_c\n"
        "from experiments.cli import main\n"
        f"sys.argv = ['fedgdl', *{arguments!r}]\n"
        "main()\n",
        tmp_path,
    )
    out, errors = script.communicate(timeout=110)
    assert script.returncode == 130
    result = json.loads(out)
    assert result["status"] == "done"
    assert (result["audit"]["page"], result["audit"]["verdict"]) == (None, "passed")
    record = Path("run") / "audit" / "received.bin"
    assert f"Interrupted; the audit has no page; what the coordinator received is kept in {record}." in errors
    assert "baselines" not in errors
    assert "Traceback" not in errors
    assert {path.name for path in (tmp_path / "run" / "audit").iterdir()} == {"audit.json", "received.bin"}


def test_a_failed_check_is_exit_code_1(tmp_path: Path) -> None:
    arguments = [*SMALL, *SECAGG, "--engine", "inline", "--audit", "--out", "run", "--json"]
    script = run_script(
        "import sys\n"
        "import clients.protection.secagg, server.aggregation.secagg\n"
        "def leave_masks_out(vector, masks, *, num_threads=1): pass\n"
        "clients.protection.secagg.add_masks = server.aggregation.secagg.add_masks = leave_masks_out\n"
        "from experiments.cli import main\n"
        f"sys.argv = ['fedgdl', *{arguments!r}]\n"
        "main()\n",
        tmp_path,
    )
    out, errors = script.communicate(timeout=110)
    assert script.returncode == 1
    assert json.loads(out)["audit"]["verdict"] == "failed"
    assert "the audit failed" in errors


@pytest.mark.slow
def test_an_encrypted_run_of_worker_processes_passes_and_its_key_holder_is_heard(tmp_path: Path) -> None:
    encrypted = ["--set", "aggregation.kind=paillier", "--set", "aggregation.insecure_key_bits=256"]
    audit = fedgdl_json(*SMALL, *encrypted, "--workers", "2", "--audit", "--out", "run", cwd=tmp_path)["audit"]
    assert audit["verdict"] == "passed"
    assert len(audit["verdicts"]) == 13
    document = json.loads((tmp_path / "run" / "audit" / "audit.json").read_text("utf-8"))
    assert document["received"]["kinds"]["the key holder has opened a sum"]["frames"] == 1
