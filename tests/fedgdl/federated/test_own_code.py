import sys
from pathlib import Path

import pytest

from fedgdl.errors import ConfigError, DataMissing, TaskError
from fedgdl.federated.own_code import call_own, import_own


def divide(text: str) -> float:
    return 1 / int(text)


def test_what_a_call_raises_is_one_line_and_the_users_frames() -> None:
    with pytest.raises(TaskError) as caught:
        call_own("Herbs.load_data", divide, "0")
    assert str(caught.value) == "Herbs.load_data raised ZeroDivisionError: division by zero"
    (note,) = caught.value.__notes__
    first, frame, *_, last = note.splitlines()
    assert (first, last) == ("Traceback (most recent call last):", "ZeroDivisionError: division by zero")
    assert frame.startswith(f'  File "{__file__}", line ')
    assert frame.endswith(", in divide")
    assert "call_own" not in note


def test_what_a_call_returns_or_raises_on_purpose_passes() -> None:
    assert call_own("", divide, "4") == 0.25
    missing = DataMissing("no herbs")

    def refuse() -> None:
        raise missing

    with pytest.raises(DataMissing) as caught:
        call_own("", refuse)
    assert caught.value is missing


@pytest.mark.parametrize(
    ("text", "told", "frames"),
    [
        ("x = 1\nx = = 2\n", "task: {file}, line 2: invalid syntax", None),
        ("\n1 / 0\n", "task: importing mended raised ZeroDivisionError: division by zero", '"{file}", line 2, in <mod'),
        ("import nosuch\n", "task: importing mended raised ModuleNotFoundError: No module named 'nosuch'", "line 1"),
        (
            "raise ValueError('first\\nsecond')\n",
            "task: importing mended raised ValueError: first",
            "ValueError: first\nsecond",
        ),
    ],
)
def test_a_module_that_cannot_be_imported_is_told_without_the_frames_of_importing(
    text: str, told: str, frames: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "mended.py"
    file.write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ConfigError) as caught:
        import_own("mended", "task")
    assert str(caught.value) == told.format(file=file)
    notes = getattr(caught.value, "__notes__", [])
    assert [frames.format(file=file) in note for note in notes] == [True] if frames else not notes
    assert not any("importlib" in note or "import_own" in note for note in notes)
    assert "mended" not in sys.modules
