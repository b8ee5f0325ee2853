"""What the loaders of whole data sets share: the source or its counterpart, and the cache."""

from pathlib import Path

import numpy as np
import pytest
from digit_files import paths_of, write_digits

from fedgdl.data.cache import Contents
from fedgdl.data.corpus import find_corpus, open_corpus
from fedgdl.data.registry import find_source
from fedgdl.errors import ConfigError, DataMissing


@pytest.fixture(autouse=True)
def own_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FEDGDL_DATA", raising=False)
    monkeypatch.setenv("FEDGDL_CACHE", str(tmp_path / "cache"))


@pytest.mark.parametrize("allow_synthetic", [True, False])
def test_the_source_itself_is_preferred(tmp_path: Path, *, allow_synthetic: bool) -> None:
    root = write_digits(tmp_path / "data")
    source, files = find_corpus("mnist", str(root), allow_synthetic=allow_synthetic)
    assert (source.name, files) == ("mnist", paths_of(root))


def test_the_counterpart_takes_its_place_only_where_allowed() -> None:
    with pytest.raises(DataMissing, match="'mnist'"):
        find_corpus("mnist", None, allow_synthetic=False)
    source, files = find_corpus("mnist", None, allow_synthetic=True)
    assert (source.name, files) == ("synthetic-digits", ())
    with pytest.raises(ConfigError, match=r"did you mean mnist\?"):
        find_corpus("mnits", None, allow_synthetic=True)


def test_a_corpus_is_built_once_for_each_setting_and_file(tmp_path: Path) -> None:
    source, path, built = find_source("mnist"), tmp_path / "file", []

    def build() -> Contents:
        built.append(1)
        return Contents({"numbers": np.arange(len(built))})

    path.write_bytes(b"one")
    for settings, count in (({"seed": 1}, 1), ({"seed": 1}, 1), ({"seed": 2}, 2)):
        entry = open_corpus(source, (path,), settings, build)
        assert len(built) == count
    assert entry.arrays["numbers"].tolist() == [0, 1]
    path.write_bytes(b"three")
    open_corpus(source, (path,), {"seed": 2}, build)
    assert len(built) == 3
