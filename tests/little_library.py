"""A little library of sources for the corpus, in a cache folder of the test's own."""

from __future__ import annotations

from pathlib import Path

import pytest

from traincost_suites.data.shards import Shards


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TRAINCOST_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    """A little library: two modules, a package, and what is no part of the corpus."""
    root = tmp_path / "lib"
    for name, text in {
        "b.py": "b = 2\n" * 300,
        "a/__init__.py": "a = 1\n" * 300,
        "z.py": "z = 3\n" * 300,
        "site-packages/other.py": "not = ours\n",
        "config-3.11-x86_64/python-config.py": "written = here\n",
        "_sysconfigdata_linux.py": "written = here\n",
        "a/data.txt": "no source\n",
    }.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def content(prepared: Shards) -> bytes:
    return b"".join(path.read_bytes() for path in prepared.paths)
