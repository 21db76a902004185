"""An environment with plugins that are no part of the package: installed by pip, found by name."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from defectscope.plugins.host import PluginHost
from defectscope.plugins.scaffold import new_project
from defectscope.plugins.scaffold.kinds import KINDS

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "examples").glob("defectscope-*"))
WAIT_S = 300


@dataclass(frozen=True)
class Site:
    """Where plugins are installed, beside the environment of the tests."""

    folder: Path
    before: tuple[Path, ...] = ()

    @property
    def packages(self) -> Path:
        return self.folder / "site"

    def project(self, family):
        return self.folder / f"defectscope-new-{family}"

    def python(self, *arguments, cwd=None, check=True):
        """Run Python in the environment."""
        paths = os.pathsep.join(map(str, (*self.before, self.packages, ROOT)))
        environment = {**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}
        environment.pop("DEFECTSCOPE_PLUGINS", None)
        done = subprocess.run(
            [sys.executable, *map(str, arguments)], cwd=cwd or self.folder, env=environment,
            capture_output=True, text=True, check=False, timeout=300,
        )  # fmt: skip
        assert done.returncode == 0 or not check, done.stdout[-3000:] + done.stderr[-3000:]
        return done

    def defectscope(self, *arguments, cwd=None, check=True):
        """Run a command of defectscope in the environment."""
        return self.python("-m", "defectscope", *arguments, cwd=cwd, check=check)

    def install(self, *projects):
        """Install projects by pip, which asks no index for anything."""
        self.python(
            "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--no-deps",
            "--no-build-isolation", "--no-index", "--no-compile", "--upgrade",
            "--target", self.packages, *projects,
        )  # fmt: skip


def _build(site):
    host = PluginHost(allowed=())
    for family in KINDS:
        new_project(family, f"new-{family}", host, site.project(family))
    site.install(*(site.project(family) for family in KINDS), *EXAMPLES)


@pytest.fixture
def site_type():
    """What a test makes an environment of its own with."""
    return Site


@pytest.fixture(scope="session")
def site(tmp_path_factory):
    """Every template and every example, installed once for all test processes."""
    if importlib.util.find_spec("hatchling") is None:
        pytest.skip("hatchling is not installed; it comes with the extra 'dev'")
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    made = Site(shared / "ecosystem")
    try:
        made.folder.mkdir()
    except FileExistsError:
        end = time.monotonic() + WAIT_S
        while not (made.folder / "ready").exists():
            assert not (made.folder / "failed").exists(), "another test process could not build it"
            assert time.monotonic() < end, "another test process builds it, and does not finish"
            time.sleep(0.2)
        return made
    try:
        _build(made)
    except BaseException:
        (made.folder / "failed").touch()
        raise
    (made.folder / "ready").touch()
    return made
