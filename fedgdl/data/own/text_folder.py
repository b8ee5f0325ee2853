"""A federation from a folder of text files: the folders in it are the labels, or the clients with their labels in them.

Example:
    >>> import tempfile
    >>> from fedgdl.config import DataConfig
    >>> root = Path(tempfile.mkdtemp())
    >>> for name, words in {"ann/good/1": "tasty", "ann/bad/1": "awful", "ben/good/1": "tasty pizza"}.items():
    ...     (root / name).parent.mkdir(parents=True, exist_ok=True)
    ...     _ = (root / f"{name}.txt").write_text(words)
    >>> data = from_text_folder(root, DataConfig("own"), seed=1, folders="client/label", test=root)
    >>> data.client_ids, data.classes, data.vocabulary.words
    (('ann', 'ben'), ('bad', 'good'), ('awful', 'pizza', 'tasty'))
"""

from pathlib import Path
from typing import Literal

from fedgdl.config import DataConfig
from fedgdl.data.dataset import BagExamples
from fedgdl.data.own.collection import Collection, make_split
from fedgdl.data.own.columns import text_column
from fedgdl.data.own.dataset import OwnDataset
from fedgdl.data.own.files import read_text
from fedgdl.errors import DataError, DataMissing

__all__ = ["from_text_folder"]

Folders = Literal["label", "client/label"]


def from_text_folder(
    path: Path | str,
    config: DataConfig,
    seed: int,
    *,
    folders: Folders = "label",
    test: Path | str | None = None,
) -> OwnDataset[BagExamples]:
    """Returns the text files of a folder as a federation; each is an example, a bag of its words.

    Args:
        path: the folder; its files are `LABEL/NAME.txt` or, as `folders` says, `CLIENT/LABEL/NAME.txt`, UTF-8.
            What begins with a dot is not looked at.
        config: `partition`, `test_fraction`, `min_count`, `max_tokens`, `train_examples` and `test_examples` are used.
        seed: the experiment's seed: decides random test sets and partitions.
        folders: what the names of the folders are.
        test: a folder of the same kind to test on; none: a random `config.test_fraction` of the files.

    Raises:
        DataMissing: there is no such folder, or it has no text.
        DataCorrupt: a file is no UTF-8.
        DataError: a file is empty, or not where one belongs, or the partition does not suit.
    """
    train = _collect(Path(path), folders)
    tested = None if test is None else _collect(Path(test), folders)
    return OwnDataset(Path(path).name, make_split(train, tested, config, seed), config, seed)


def _other_layout(folders: Folders, depth: int) -> str:
    """Returns that the files of so many names from the root on may be meant otherwise; nothing where not."""
    other: Folders = "client/label" if folders == "label" else "label"
    return f'; or is it folders="{other}" that you mean?' if depth == len(other.split("/")) + 1 else ""


def _collect(root: Path, folders: Folders) -> Collection:
    """Returns the texts below a folder, in the order of their paths."""
    if not root.is_dir():
        message = f"there is no folder {root}"
        raise DataMissing(message)
    parts = sorted(path.relative_to(root).parts for path in root.rglob("*") if not path.is_dir())
    parts = [names for names in parts if not any(name.startswith(".") for name in names)]
    depth = len(folders.split("/")) + 1
    for names in parts:
        if len(names) != depth or not names[-1].endswith(".txt"):
            message = (
                f"{root.joinpath(*names)} is not {folders.upper()}/NAME.txt below {root}; "
                f"rename or move it, or take it away{_other_layout(folders, len(names))}"
            )
            raise DataError(message)
    if not parts:
        message = f"{root} has no text: files are {folders.upper()}/NAME.txt below it"
        raise DataMissing(message)

    def place(row: int) -> str:
        return str(root.joinpath(*parts[row]))

    return Collection(
        labels=[names[-2] for names in parts],
        place=place,
        texts=text_column((read_text(root.joinpath(*names)) for names in parts), place),
        clients=[names[0] for names in parts] if folders == "client/label" else None,
    )
