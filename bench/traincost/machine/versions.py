"""Versions of what a measurement runs on: packages, and the commit of the measured checkout."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import traincost

GIT_TIMEOUT_S = 10.0
# Distribution to module: what can move a number, or what writes it down.
_MODULES = {
    "numpy": "numpy",
    "nvidia-ml-py": "pynvml",
    "pandas": "pandas",
    "pytest": "pytest",
    "pytest-benchmark": "pytest_benchmark",
    "rich": "rich",
}


def torch_version() -> str:
    """Version of torch with its build, as in 2.11.0+cu130.

    Asked of the module: the metadata of a wheel from PyPI leaves the build out.
    """
    import torch

    return str(torch.__version__)


def torch_cuda() -> str | None:
    """The CUDA version that torch is built for; None for a build without CUDA."""
    import torch

    return torch.version.cuda


def triton_version() -> str | None:
    """Version of triton; None where there is none. A copy that was never installed is asked."""
    version = package_version("triton")
    if version is None and importlib.util.find_spec("triton"):
        version = str(importlib.import_module("triton").__version__)
    return version


def package_version(distribution: str) -> str | None:
    """Version of a package by its metadata, else by its module if that is loaded; else None."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        module = sys.modules.get(_MODULES.get(distribution, distribution))
        version = getattr(module, "__version__", None)
        return None if version is None else str(version)


def package_versions() -> dict[str, str]:
    """Every package of interest that is there."""
    found = {name: package_version(name) for name in _MODULES}
    found["traincost"] = traincost.__version__
    return {name: version for name, version in sorted(found.items()) if version is not None}


def commit(root: Path, timeout_s: float = GIT_TIMEOUT_S) -> str | None:
    """Commit of the checkout at `root`, 12 digits, `-dirty` if tracked files differ from it.

    None outside a repository, in one without a commit, without git, or if git does not answer.
    """
    head = _git(root, "rev-parse", "--short=12", "HEAD", timeout_s=timeout_s)
    if not head:
        return None
    changes = _git(root, "status", "--porcelain", "--untracked-files=no", timeout_s=timeout_s)
    return head if changes == "" else f"{head}-dirty"


def _git(root: Path, *arguments: str, timeout_s: float) -> str | None:
    # No optional locks: a measurement must not hold up somebody's commit.
    command = ["git", "--no-optional-locks", "-C", str(root), *arguments]
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout_s,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
