"""Small archives of generated stories, under the official names of the bAbI tasks."""

from pathlib import Path

from mail_archives import write_tar

from fedgdl.data.sources.babi import NAMES
from fedgdl.data.sources.synthetic_stories import tell_tasks

PATH = "babi/tasks_1-20_v1-1.tar.gz"


def story_members(num_lines: int = 20, seed: int = 1) -> dict[str, bytes]:
    """Returns the archive's members: the forty files, and what lies beside them."""
    tasks = tell_tasks(num_lines, seed)
    files = {
        f"tasksv11/en/qa{number}_{NAMES[number]}_{part}.txt": ("\n".join(lines) + "\n").encode()
        for number, task in tasks.items()
        for part, lines in task.items()
    }
    return {"tasksv11/README": b"read me", "tasksv11/LICENSE": b"licence", **files}


def write_stories(root: Path, num_lines: int = 20, seed: int = 1) -> Path:
    """Writes the archive below a data root."""
    (root / "babi").mkdir(parents=True, exist_ok=True)
    write_tar(root / PATH, story_members(num_lines, seed))
    return root
