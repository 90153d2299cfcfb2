"""Both sides of an A/B: laid out apart, with the same suites, and nothing left behind."""

import sys
from pathlib import Path

import pytest
from ab_project import git

from traincost.ab.trees import Trees, import_roots, trees_of
from traincost.data.errors import BadInputError
from traincost.show.ab import sides_lines


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A repository of two commits, `slow` and the one after it."""
    folder = tmp_path / "project"
    (folder / "src" / "pkg").mkdir(parents=True)
    (folder / "suites").mkdir()
    (folder / "src/pkg/__init__.py").write_text("SPEED = 1\n")
    (folder / "suites/test_one.py").write_text("# first\n")
    git(folder, "init", "-q")
    git(folder, "add", ".")
    git(folder, "commit", "-qm", "first")
    git(folder, "tag", "slow")
    (folder / "src/pkg/__init__.py").write_text("SPEED = 2\n")
    (folder / "suites/test_one.py").write_text("# second\n")
    git(folder, "commit", "-qam", "second")
    return folder


def laid_out(
    checkout: Path, base: str = "slow", head: str | None = None, suites_from: str = "head"
) -> tuple[Trees, dict[str, str]]:
    """Both sides, and what their files hold, read while they are there."""
    with trees_of(base, head, suites_from, ["suites"], checkout) as trees:
        texts = {
            f"{tree.name} {file}": (tree.workdir / file).read_text()
            for tree in (trees.base, trees.head)
            for file in ("src/pkg/__init__.py", "suites/test_one.py")
        }
    return trees, texts


def test_each_side_has_its_own_code_and_both_have_the_suites_of_head(checkout: Path) -> None:
    trees, texts = laid_out(checkout)
    assert texts["base src/pkg/__init__.py"] == "SPEED = 1\n"
    assert texts["head src/pkg/__init__.py"] == "SPEED = 2\n"
    assert {texts["base suites/test_one.py"], texts["head suites/test_one.py"]} == {"# second\n"}
    assert trees.shared == ("suites/test_one.py",)
    assert trees.replaced == ("suites/test_one.py",)


def test_the_suites_can_be_those_of_base_or_of_a_file(checkout: Path) -> None:
    _, texts = laid_out(checkout, suites_from="base")
    assert {texts["base suites/test_one.py"], texts["head suites/test_one.py"]} == {"# first\n"}
    (checkout / "suites/test_one.py").write_text("# not committed\n")
    _, texts = laid_out(checkout, head="HEAD", suites_from="suites/test_one.py")
    both = {texts["base suites/test_one.py"], texts["head suites/test_one.py"]}
    assert both == {"# not committed\n"}


def test_a_folder_is_a_side_as_it_is(checkout: Path) -> None:
    (checkout / "src/pkg/__init__.py").write_text("SPEED = 3\n")
    trees, texts = laid_out(checkout, head=".")
    assert texts["head src/pkg/__init__.py"] == "SPEED = 3\n"
    assert (trees.head.commit, trees.base.commit) == (None, git(checkout, "rev-parse", "slow"))


def test_nothing_is_left_behind_even_by_an_interruption(checkout: Path) -> None:
    with (
        pytest.raises(KeyboardInterrupt),
        trees_of("slow", None, "head", ["suites"], checkout) as trees,
    ):
        assert len(git(checkout, "worktree", "list").splitlines()) == 3
        raise KeyboardInterrupt
    assert not trees.base.folder.exists()
    assert not trees.head.folder.exists()
    assert len(git(checkout, "worktree", "list").splitlines()) == 1
    assert git(checkout, "status", "--porcelain") == ""


@pytest.mark.parametrize(
    ("base", "head", "suites_from", "said"),
    [
        ("gone", None, "head", "BASE 'gone': no such revision"),
        ("slow", "gone", "head", "HEAD 'gone': no such revision"),
        ("--upload-pack=x", None, "head", "BASE '--upload-pack=x': no such revision"),
        ("slow", None, "nowhere", "--suites-from 'nowhere': no such file or folder"),
        ("slow", None, "../project2", "--suites-from '../project2': no such file or folder"),
    ],
)
def test_a_side_that_cannot_be_had_is_named(
    base: str, head: str | None, suites_from: str, said: str, checkout: Path
) -> None:
    with pytest.raises(BadInputError, match=said.replace("'", ".")):
        laid_out(checkout, base, head, suites_from)
    assert len(git(checkout, "worktree", "list").splitlines()) == 1


def test_changes_that_are_not_committed_are_never_left_out_silently(checkout: Path) -> None:
    (checkout / "src/pkg/__init__.py").write_text("SPEED = 3\n")
    with pytest.raises(BadInputError, match=r"not committed \(src/pkg/__init__.py\)"):
        laid_out(checkout)


def test_outside_of_a_repository_a_revision_is_refused_and_folders_are_compared(
    tmp_path: Path,
) -> None:
    for name in ("a", "b"):
        (tmp_path / name / "suites").mkdir(parents=True)
        (tmp_path / name / "suites/test_one.py").write_text(f"# {name}\n")
    with pytest.raises(BadInputError, match="this is no git repository"):
        laid_out(tmp_path, "main", "b")
    with trees_of("a", "b", "head", ["suites"], tmp_path) as trees:
        assert (trees.base.workdir / "suites/test_one.py").read_text() == "# b\n"
    assert (tmp_path / "a/suites/test_one.py").read_text() == "# a\n"


def test_what_the_checkout_has_on_the_path_each_side_has_of_its_own(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (checkout / "python").mkdir()
    (checkout / "python/more.py").write_text("")
    git(checkout, "add", ".")
    git(checkout, "commit", "-qm", "third")
    monkeypatch.setattr(sys, "path", [str(checkout / "python"), "/elsewhere", *sys.path])
    with trees_of("HEAD", None, "head", ["suites"], checkout) as trees:
        for tree in (trees.base, trees.head):
            roots = import_roots(tree, trees)
            assert roots[0] == str(tree.folder / "python")
            assert str(tree.folder / "src") in roots
            assert not any(root.startswith((str(checkout), "/elsewhere")) for root in roots)


def test_submodules_are_there_at_the_commit_of_each_side_and_nothing_is_left(
    checkout: Path, tmp_path: Path
) -> None:
    inner, outer = tmp_path / "inner", tmp_path / "outer"
    for folder, text in ((inner, "one"), (outer, "one")):
        folder.mkdir()
        git(folder, "init", "-q")
        (folder / "text").write_text(text)
        git(folder, "add", ".")
        git(folder, "commit", "-qm", text)
    local = ("-c", "protocol.file.allow=always", "submodule", "--quiet", "add")
    git(outer, *local, str(inner), "inner")
    git(outer, "commit", "-qm", "inner")
    git(checkout, *local, str(outer), "outer")
    git(
        checkout,
        "-c",
        "protocol.file.allow=always",
        "submodule",
        "update",
        "-q",
        "--init",
        "--recursive",
    )
    git(checkout, "commit", "-qm", "outer")
    git(checkout, "tag", "-f", "slow")
    (checkout / "outer/text").write_text("two")
    git(checkout / "outer", "commit", "-qam", "two")
    git(checkout, "commit", "-qam", "two")
    with trees_of("slow", None, "head", ["suites"], checkout) as trees:
        texts = [(t.workdir / "outer/text").read_text() for t in (trees.base, trees.head)]
        assert (trees.base.workdir / "outer/inner/text").read_text() == "one"
    assert texts == ["one", "two"]
    assert not trees.base.folder.exists()
    assert len(git(checkout, "worktree", "list").splitlines()) == 1
    assert git(checkout, "status", "--porcelain") == ""


@pytest.fixture
def with_submodule(checkout: Path, tmp_path: Path) -> Path:
    """The checkout, whose `slow` has a submodule `inner`."""
    inner = tmp_path / "inner"
    inner.mkdir()
    git(inner, "init", "-q")
    (inner / "text").write_text("one")
    git(inner, "add", ".")
    git(inner, "commit", "-qm", "one")
    local = ("-c", "protocol.file.allow=always", "submodule", "--quiet", "add")
    git(checkout, *local, str(inner), "inner")
    git(checkout, "commit", "-qm", "inner")
    git(checkout, "tag", "-f", "slow")
    return checkout


def test_a_submodule_that_the_checkout_has_not_got_is_named(with_submodule: Path) -> None:
    git(with_submodule, "rm", "-q", "inner")
    git(with_submodule, "commit", "-qm", "without it")
    with trees_of("slow", None, "head", ["suites"], with_submodule) as trees:
        assert (trees.base.empty, trees.head.empty) == (("inner",), ())
        said = sides_lines(trees)
    assert "BASE: submodule inner is empty: this checkout has none to fill it from" in said


def test_an_untracked_file_in_a_submodule_is_allowed_and_a_changed_one_is_not(
    with_submodule: Path,
) -> None:
    (with_submodule / "inner/untracked").write_text("")
    laid_out(with_submodule)
    (with_submodule / "inner/text").write_text("two")
    with pytest.raises(BadInputError, match=r"not committed \(inner\)"):
        laid_out(with_submodule)


def test_suites_that_only_head_has_are_told_apart(checkout: Path) -> None:
    (checkout / "suites/test_two.py").write_text("# of HEAD\n")
    git(checkout, "add", ".")
    git(checkout, "commit", "-qm", "two")
    trees, _ = laid_out(checkout)
    assert trees.shared == ("suites/test_one.py", "suites/test_two.py")
    assert trees.new == ("suites/test_two.py",)


def test_a_bare_repository_is_said(checkout: Path, tmp_path: Path) -> None:
    git(tmp_path, "clone", "-q", "--bare", str(checkout), "bare")
    with (
        pytest.raises(BadInputError, match="bare repository"),
        trees_of("HEAD", "HEAD", "head", ["suites"], tmp_path / "bare"),
    ):
        pass
