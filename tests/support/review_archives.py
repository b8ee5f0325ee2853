"""Small made-up archives of film reviews under the official names."""

import io
import tarfile
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

PART_SENTIMENTS = [(part, sentiment) for part in ("train", "test") for sentiment in ("pos", "neg")]


def review_members(per_folder: int, *, with_urls: bool = True) -> dict[str, bytes]:
    """Returns the members of a made-up archive by name; each review is told apart by its text."""
    members = {"aclImdb/README": b"made up"}
    for part, sentiment in PART_SENTIMENTS:
        for review_id in range(per_folder):
            members[review_name(part, sentiment, review_id)] = review_text(part, sentiment, review_id).encode()
    return {**members, **urls_members(per_folder)} if with_urls else members


def review_name(part: str, sentiment: str, review_id: int) -> str:
    """Returns a member's name; its rating is one that the folder may have."""
    return f"aclImdb/{part}/{sentiment}/{review_id}_{(7 if sentiment == 'pos' else 1) + review_id % 4}.txt"


def review_text(part: str, sentiment: str, review_id: int) -> str:
    """Returns a review's text."""
    polar = "fine" if sentiment == "pos" else "dull"
    return f"A {polar} film.<br />{part} {chr(ord('a') + review_id % 26)}caf\u00e9 {polar}!"


def film_number(part: str, sentiment: str, review_id: int) -> int:
    """Returns the film that a made-up review is about: three reviews a film, other films in each part."""
    return (100 if part == "train" else 200) + (10 if sentiment == "neg" else 0) + review_id // 3


def urls_members(per_folder: int) -> dict[str, bytes]:
    """Returns the lists of the films' addresses by member name."""
    members = {}
    for part, sentiment in PART_SENTIMENTS:
        films = [film_number(part, sentiment, review_id) for review_id in range(per_folder)]
        lines = [f"http://www.imdb.com/title/tt{film:07}/usercomments\n" for film in films]
        members[f"aclImdb/{part}/urls_{sentiment}.txt"] = "".join(lines).encode()
    return members


def write_archive(path: Path, members: Mapping[str, bytes], further: Iterable[tarfile.TarInfo] = ()) -> Path:
    """Writes a compressed archive in a shuffled order, with the folders and further members without contents."""
    path.parent.mkdir(parents=True, exist_ok=True)
    names = sorted(members)
    np.random.default_rng(len(names)).shuffle(names)
    with tarfile.open(path, "w:gz", compresslevel=1) as archive:
        for folder in ("aclImdb", "aclImdb/train", "aclImdb/test/neg"):
            info = tarfile.TarInfo(folder)
            info.type = tarfile.DIRTYPE
            archive.addfile(info)
        for name in names:
            info = tarfile.TarInfo(name)
            info.size = len(members[name])
            archive.addfile(info, io.BytesIO(members[name]))
        for info in further:
            archive.addfile(info)
    return path
