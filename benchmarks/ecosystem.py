"""What many installed plugins cost, and how long a new plugin takes to its first benchmark.

Usage: python benchmarks/ecosystem.py [--plugins 200] [--repeats 9]

Plugins are what ``plugins new`` writes, by its own templates: a package with a hook each. The time
of ``plugins list`` is compared with that of ten, and both with that of importing the same modules
in a bare interpreter.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from defectscope.plugins.host import PluginHost
from defectscope.plugins.scaffold import new_project

FEW = 10
LIST = ["-m", "defectscope", "plugins", "list"]
HELP = ["-m", "defectscope", "--help"]
ROOT = Path(__file__).parents[1]


def install(folder: Path, count: int) -> list[str]:
    """Write `count` plugin packages with their metadata, and return the names of their modules."""
    host, modules = PluginHost(allowed=()), []
    for k in range(count):
        project = new_project("detector", f"thing-{k:03d}", host, folder / "projects" / str(k))
        package = next(project.folder.glob("defectscope_*"))
        package.rename(folder / package.name)
        name = package.name.replace("_", "-")
        info = folder / f"{package.name}-0.1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 0.1.0\n")
        (info / "entry_points.txt").write_text(f"[defectscope]\nthing-{k:03d} = {package.name}\n")
        modules.append(package.name)
    return modules


def seconds(arguments: list[str], site: Path) -> float:
    """Return the wall time of one process with `site` on its path."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(site), str(ROOT)])}
    start = time.perf_counter()
    subprocess.run(
        [sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL, env=environment
    )
    return time.perf_counter() - start


def compare(folder: Path, many: int, repeats: int) -> None:
    """Print the times of few and many plugins, taken in turns."""
    sites = {count: folder / f"site{count}" for count in (FEW, many)}
    modules = {count: install(site, count) for count, site in sites.items()}
    times: dict[tuple[str, int], list[float]] = {}
    for repeat in range(repeats + 1):
        for count, site in sites.items():
            bare = ["-c", "import defectscope.plugins.markers, " + ", ".join(modules[count])]
            for name, arguments in (("list", LIST), ("help", HELP), ("import", bare)):
                spent = seconds(arguments, site)
                if repeat:  # the first round writes the byte code
                    times.setdefault((name, count), []).append(spent)
    median = {key: 1000 * statistics.median(values) for key, values in times.items()}
    for name in ("list", "import", "help"):
        few, much = median[name, FEW], median[name, many]
        print(f"{name}: {few:.0f} ms with {FEW} plugins, {much:.0f} ms with {many}")
    own = median["import", many] - median["import", FEW]
    print(
        f"plugins list: {median['list', many] / median['list', FEW]:.2f} times as long; the "
        f"imports of the others take {own:.0f} ms, without which it is "
        f"{(median['list', many] - own) / median['list', FEW]:.2f} times as long"
    )
    print(f"--help: {median['help', many] / median['help', FEW]:.2f} times as long")


def four_commands(folder: Path) -> None:
    """Print how long it takes from a name to a benchmark."""
    site = folder / "four"
    command = [sys.executable, "-m", "defectscope"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(site), str(ROOT)])}
    data = ["generate", "in-situ-loops", "--size", "512", "--count", "5", "--out", "data"]
    subprocess.run([*command, *data], check=True, cwd=folder, env=environment)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet",
           "--no-deps", "--no-build-isolation", "--target", str(site)]  # fmt: skip
    steps = {
        "plugins new": [*command, "plugins", "new", "detector", "from-scratch"],
        "pip install": [*pip, "./defectscope-from-scratch"],
        "run": [*command, "run", "data/images", "--detector", "from-scratch", "--out", "run"],
        "benchmark": [*command, "benchmark", "data", "--detector", "from-scratch", "--out", "b"],
    }
    total = 0.0
    for name, arguments in steps.items():
        start = time.perf_counter()
        subprocess.run(
            arguments, check=True, cwd=folder, env=environment, capture_output=True, text=True
        )
        total += time.perf_counter() - start
        print(f"{name}: {time.perf_counter() - start:.1f} s")
    print(f"{len(steps)} commands, {total:.1f} s")


def main() -> None:
    """Measure both."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--plugins", type=int, default=200)
    parser.add_argument("--repeats", type=int, default=9)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="defectscope-ecosystem-") as name:
        compare(Path(name), given.plugins, given.repeats)
        four_commands(Path(name))


if __name__ == "__main__":
    main()
