"""The scripts that a new user meets first."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def run(script: Path, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    path = f"{Path(sys.executable).parent}:/usr/bin:/bin"
    return subprocess.run(
        [script, *arguments], env={"PATH": path, **environ}, capture_output=True, text=True, timeout=60
    )


def test_a_folder_that_is_no_environment_is_never_emptied(tmp_path: Path) -> None:
    """WEF_VENV=$HOME would cost somebody everything."""
    (tmp_path / "thesis.txt").write_text("years of work")

    ended = run(ROOT / "deploy" / "install", WEF_VENV=str(tmp_path))

    assert ended.returncode == 69
    assert "is no virtual environment" in ended.stderr
    assert (tmp_path / "thesis.txt").exists()


@pytest.mark.parametrize("script", ["deploy/demo", "deploy/install", "deploy/wheels", "tests/run"])
def test_a_script_finds_its_clone_through_a_link(tmp_path: Path, script: str) -> None:
    """People link what they use often; it must not look for the rest of the clone beside the link."""
    link = tmp_path / "link"
    link.symlink_to(ROOT / script)

    ended = run(link, WEF_PYTHON=str(tmp_path / "no-python"))

    assert ended.returncode == 69
    assert "no-python is older than Python 3.11 or does not run" in ended.stderr


def test_a_python_without_venv_is_named_with_what_is_missing(tmp_path: Path) -> None:
    """Debian and Ubuntu ship it as a package of its own, and most people meet that here."""
    python = tmp_path / "python3"
    python.write_text(f'#!/bin/sh\ncase "$*" in *ensurepip*) exit 1;; esac\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)

    ended = run(ROOT / "deploy" / "demo", WEF_PYTHON=str(python), WEF_VENV=str(tmp_path / "venv"))

    assert ended.returncode == 69
    assert "apt install python3-venv" in ended.stderr
    assert not (tmp_path / "venv").exists()


@pytest.mark.parametrize("words", [["everything"], ["run", "kerbros"]])
def test_a_word_that_install_does_not_know_installs_nothing(tmp_path: Path, words: list[str]) -> None:
    """A collector without Kerberos, because of a typing error, would be found out at the first start."""
    ended = run(ROOT / "deploy" / "install", *words, WEF_VENV=str(tmp_path / "venv"))

    assert ended.returncode == 64
    assert "[run|tests] [kerberos]" in ended.stderr
    assert not (tmp_path / "venv").exists()


@pytest.mark.slow
def test_a_machine_without_a_compiler_has_the_pure_kernel_and_is_told_so(tmp_path: Path) -> None:
    """An install that fails for want of speed is no install; one that is silent about it is a slow collector."""
    clone = tmp_path / "clone"
    shutil.copytree(ROOT / "collector", clone / "collector", ignore=shutil.ignore_patterns("*.so", "__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, clone)
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir"]
    without = {"PATH": "/usr/bin:/bin", "CC": "/nonexistent"}
    subprocess.run([*pip, str(tmp_path), str(clone)], env=without, check=True, timeout=120)
    (wheel,) = tmp_path.glob("*.whl")
    zipfile.ZipFile(wheel).extractall(tmp_path / "installed")

    said = subprocess.run(
        [sys.executable, "-m", "collector", "version"],
        cwd=tmp_path / "installed",
        env=without,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )

    assert "kernel pure (the compiled one was not built: " in said.stdout
