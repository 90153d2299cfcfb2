"""Prepared data: made once and whole, verified, and what the corpus is made of."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from little_library import cache, content, sources

from traincost_suites.data import corpus as corpora
from traincost_suites.data import shards
from traincost_suites.data.corpus import corpus
from traincost_suites.data.shards import DataUnavailableError, prepare

__all__ = ["cache", "sources"]  # fixtures

pytestmark = pytest.mark.usefixtures("cache")


def count_calls(parts: list[bytes], calls: list[int]) -> Iterator[bytes]:
    calls.append(1)
    yield from parts


def test_the_corpus_is_the_sources_in_path_order_and_nothing_else(sources: Path) -> None:
    assert content(corpus(sources)) == b"a = 1\n" * 300 + b"b = 2\n" * 300 + b"z = 3\n" * 300


def test_the_corpus_records_the_hash_of_its_bytes(sources: Path) -> None:
    made = corpus(sources)
    assert made.sha256 == hashlib.sha256(content(made)).hexdigest()


def test_a_corpus_prepared_twice_is_the_same(
    sources: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = corpus(sources)
    monkeypatch.setenv("TRAINCOST_CACHE", str(tmp_path / "elsewhere"))
    again = corpus(sources)
    assert again.folder != first.folder
    assert again.shards == first.shards


def test_a_changed_library_is_another_corpus(sources: Path) -> None:
    first = corpus(sources)
    (sources / "c.py").write_text("c = 4\n")
    corpora._corpus.cache_clear()
    assert corpus(sources).folder != first.folder


def test_shards_cut_the_corpus_without_losing_a_byte(
    sources: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(corpora, "SHARD_BYTES", 1000)
    made = corpus(sources)
    assert len(made.shards) == 6
    assert content(made) == b"a = 1\n" * 300 + b"b = 2\n" * 300 + b"z = 3\n" * 300


def test_a_library_without_sources_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataUnavailableError, match="found none"):
        corpus(tmp_path / "empty")


def test_prepared_data_is_made_once() -> None:
    calls: list[int] = []
    for _ in range(2):
        prepare("once", lambda: count_calls([b"abc", b"de"], calls))
    assert len(calls) == 1


@pytest.mark.parametrize("damage", ["truncated", "overwritten", "missing", "no manifest"])
def test_damaged_data_is_made_anew(damage: str) -> None:
    calls: list[int] = []
    made = prepare("data", lambda: count_calls([b"abc", b"de"], calls))
    victim = made.paths[1]
    if damage == "truncated":
        victim.write_bytes(b"d")
    elif damage == "overwritten":
        victim.write_bytes(b"dx")
    elif damage == "missing":
        victim.unlink()
    else:
        (made.folder / "manifest.json").write_text('{"format": 1, "na')
    again = prepare("data", lambda: count_calls([b"abc", b"de"], calls))
    assert content(again) == b"abcde"
    assert len(calls) == 2


def test_an_interrupted_preparation_leaves_nothing_that_counts(cache: Path) -> None:
    def interrupted() -> Iterator[bytes]:
        yield b"abc"
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare("data", interrupted)
    assert list(cache.iterdir()) == []
    assert content(prepare("data", lambda: [b"abc", b"de"])) == b"abcde"


def test_what_a_killed_preparation_left_is_swept_when_it_is_old(cache: Path) -> None:
    old, new = cache / ".data.old.tmp", cache / ".data.new.tmp"
    for folder in (old, new):
        (folder / "data").mkdir(parents=True)
    os.utime(old, (0, 0))
    prepare("data", lambda: [b"abc"])
    assert not old.exists()
    assert new.exists()  # perhaps another process at work


def test_the_faster_of_two_preparations_wins(cache: Path) -> None:
    theirs: list[int] = []

    def overtaken() -> Iterator[bytes]:
        yield b"abc"
        theirs.append(prepare("data", lambda: [b"abc"]).folder.stat().st_ino)

    made = prepare("data", overtaken)
    assert content(made) == b"abc"
    assert [made.folder.stat().st_ino] == theirs
    assert [path.name for path in cache.iterdir()] == ["data"]


def test_a_preparation_overtaken_at_the_last_moment_takes_the_others_folder(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rename = Path.rename

    def overtaken(self: Path, target: Path) -> Path:
        shutil.copytree(self, target)
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", overtaken)
    assert content(prepare("data", lambda: [b"abc"])) == b"abc"
    assert [path.name for path in cache.iterdir()] == ["data"]


def test_the_cache_follows_the_xdg_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TRAINCOST_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/xdg")
    assert shards.cache_folder() == Path("/xdg/traincost")


def test_a_cache_that_cannot_be_written_says_which_variable_to_set(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DataUnavailableError, match="set TRAINCOST_CACHE"):
        prepare("digits", list, tmp_path / "file" / "cache")
