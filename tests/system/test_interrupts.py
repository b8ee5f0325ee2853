"""Ctrl-C at a real terminal, and SIGTERM: finished rounds are kept, nothing is left, no traceback is shown."""

import json
import signal
from pathlib import Path

import pexpect
import psutil
import pytest
from program import PROGRAM, environment_with, orphaned_blocks, run_script

from fedgdl.parameters import load_parameters

LONG = ["run", "spam", "--set", "data.source=synthetic-mail", "--set", "data.examples=1000", "--rounds", "1000000"]


def test_ctrl_c_keeps_the_finished_rounds_and_shows_no_traceback(tmp_path: Path) -> None:
    terminal = pexpect.spawn(
        PROGRAM, [*LONG, "--out", "run"], cwd=str(tmp_path), env=environment_with(None), encoding="utf-8", timeout=60
    )
    terminal.setwinsize(40, 120)
    terminal.expect(r"clients of round (\d\d)")  # the progress bar has come to a round of two digits
    family = psutil.Process(terminal.pid).children(recursive=True)
    assert len(family) >= 3
    terminal.sendintr()
    terminal.expect(r"Interrupted; (\d+) finished rounds are kept")
    kept = int(terminal.match[1])
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert terminal.exitstatus == 130
    assert "Traceback" not in (terminal.before or "")
    lines = (tmp_path / "run" / "history.jsonl").read_text().splitlines()
    assert [json.loads(line)["round_index"] for line in lines] == list(range(1, kept + 1))
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert result["status"] == "interrupted"
    assert len(result["rounds"]) == kept
    for name in ("config.toml", "model.safetensors", "curves.png", "run.log"):
        assert (tmp_path / "run" / name).stat().st_size > 0
    assert not psutil.wait_procs(family, timeout=5)[1]
    assert not orphaned_blocks()


SCRIPT = """
from experiments import Callback, load_config, simulate

class Tell(Callback):
    def round_finished(self, history, record):
        print(record.round_index, flush=True)

    def run_finished(self, history):
        print(history.status, len(history.rounds), flush=True)

if __name__ == "__main__":
    try:
        simulate(load_config("spam", ["data.source=synthetic-mail", "data.examples=1000", "rounds=1000000"]), [Tell()])
    except KeyboardInterrupt:
        print("caught", flush=True)
"""


def test_sigterm_ends_a_run_as_ctrl_c_does(tmp_path: Path) -> None:
    process = run_script(SCRIPT, tmp_path)
    assert process.stdout is not None
    assert process.stdout.readline() == "1\n"
    process.send_signal(signal.SIGTERM)
    output, errors = process.communicate(timeout=30)
    rounds = [line for line in output.splitlines() if line.isdigit()]
    assert output.splitlines()[-2:] == [f"interrupted {len(rounds) + 1}", "caught"]
    assert (process.returncode, errors) == (0, "")
    assert not orphaned_blocks()


@pytest.mark.parametrize("gap_seconds", [None, 0.02, 0.1])
def test_impatience_loses_nothing(tmp_path: Path, gap_seconds: float | None) -> None:
    """Ctrl-C three times in a row: the run is kept as after one."""
    terminal = pexpect.spawn(
        PROGRAM, [*LONG, "--out", "run"], cwd=str(tmp_path), env=environment_with(None), encoding="utf-8", timeout=60
    )
    terminal.delaybeforesend = gap_seconds
    terminal.expect(r"clients of round (\d\d)")
    for _ in range(3):
        terminal.sendintr()
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert terminal.exitstatus in {1, 130}  # 1: the last one came while the table was printed
    assert "Traceback" not in (terminal.before or "")
    kept = len((tmp_path / "run" / "history.jsonl").read_text().splitlines())
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert (result["status"], len(result["rounds"])) == ("interrupted", kept)
    assert load_parameters(tmp_path / "run" / "model.safetensors").sha256() == result["model_sha256"]
    assert (tmp_path / "run" / "curves.png").stat().st_size > 0
    assert not orphaned_blocks()


def test_a_closed_terminal_ends_a_run_as_ctrl_c_does(tmp_path: Path) -> None:
    process = run_script(SCRIPT, tmp_path)
    assert process.stdout is not None
    process.stdout.readline()
    process.send_signal(signal.SIGHUP)
    output, errors = process.communicate(timeout=30)
    assert output.splitlines()[-1] == "caught"
    assert errors == ""
    assert not orphaned_blocks()


def test_a_closed_terminal_and_a_kill_leave_nothing_either(tmp_path: Path) -> None:
    """The hang-up reaches every process of the terminal; what the coordinator can no longer do, its tracker does."""
    terminal = pexpect.spawn(
        PROGRAM, [*LONG, "--out", "run"], cwd=str(tmp_path), env=environment_with(None), encoding="utf-8", timeout=60
    )
    terminal.expect(r"clients of round (\d\d)")
    family = psutil.Process(terminal.pid).children(recursive=True)
    for process in family:
        process.send_signal(signal.SIGHUP)
    terminal.kill(signal.SIGKILL)
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert not psutil.wait_procs(family, timeout=5)[1]
    assert not orphaned_blocks()
