"""The revision that travels in every event: it must lead back to the query that was in force."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from collector.subscriptions.folder import load_folder
from collector.subscriptions.revision import revision_of_file, revision_of_folder
from tests.conftest import absent

FILE = 'name = "x"\n[[select]]\nchannel = "Security"\n'


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with a subscriptions folder that is committed."""
    if shutil.which("git") is None:
        absent("git is not installed; revisions come from the files then")
    folder = tmp_path / "subscriptions"
    folder.mkdir()
    (folder / "x.toml").write_text(FILE)
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", ".")
    git(tmp_path, "-c", "user.name=t", "-c", "user.email=t@example.org", "commit", "-q", "-m", "one")
    return folder


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", "-C", str(folder), *arguments], check=True, capture_output=True, text=True)
    return done.stdout.strip()


def test_the_commit_of_the_folder_is_its_revision(repository: Path) -> None:
    """contract.md 2."""
    commit = git(repository, "rev-parse", "HEAD")

    assert revision_of_folder(repository) == commit
    assert load_folder(repository).all[0].revision == commit


def test_a_folder_that_differs_from_its_commit_says_so(repository: Path) -> None:
    """Otherwise the revision would lead to a query that was never in force."""
    commit = git(repository, "rev-parse", "HEAD")
    (repository / "y.toml").write_text(FILE.replace('"x"', '"y"'))

    assert revision_of_folder(repository) == f"{commit}-dirty"


def test_changes_elsewhere_in_the_repository_do_not_matter(repository: Path) -> None:
    """The folder is what counts."""
    (repository.parent / "README").write_text("new")

    assert revision_of_folder(repository) == git(repository, "rev-parse", "HEAD")


def test_an_untracked_folder_in_somebody_elses_repository_has_no_commit(repository: Path) -> None:
    """A temporary folder below a clone is not described by the clone's commit."""
    other = repository.parent / "temporary"
    other.mkdir()
    (other / "x.toml").write_text(FILE)

    assert revision_of_folder(other) is None


def test_without_git_each_file_has_the_hash_of_its_content(tmp_path: Path) -> None:
    """It changes with the file, and only with it."""
    (tmp_path / "x.toml").write_text(FILE)

    assert revision_of_folder(tmp_path) is None
    assert load_folder(tmp_path).all[0].revision == revision_of_file(FILE.encode())
    assert revision_of_file(b"a") != revision_of_file(b"b")


def test_what_the_operator_says_goes_first(repository: Path) -> None:
    """Deployments without a repository know their revision from elsewhere."""
    assert load_folder(repository, "2026-11-24").all[0].revision == "2026-11-24"
