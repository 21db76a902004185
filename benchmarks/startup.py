"""Wall time of the commands that must answer at once.

Usage: python benchmarks/startup.py [--repeats 15]
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time

BASELINE = [sys.executable, "-c", "import click, rich, pluggy"]
COMMANDS = {
    "defectscope --help": [sys.executable, "-m", "defectscope", "--help"],
    "defectscope plugins list": [sys.executable, "-m", "defectscope", "plugins", "list"],
}
HEAVY = ("numpy", "pandas", "pydantic", "scipy", "skimage", "matplotlib", "torch", "cv2")


def seconds(command: list[str]) -> float:
    """Return the wall time of one process."""
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def heavy_imports(command: list[str]) -> list[str]:
    """Return which heavy packages a command imports."""
    traced = subprocess.run(
        [command[0], "-X", "importtime", *command[1:]], capture_output=True, text=True, check=True
    )
    names = {line.rsplit("|", 1)[-1].strip() for line in traced.stderr.splitlines()}
    return [name for name in HEAVY if name in names]


def main() -> None:
    """Print medians, and the ratio to the baseline pair by pair."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=15)
    repeats = parser.parse_args().repeats
    for name, command in COMMANDS.items():
        seconds(command), seconds(BASELINE)
        pairs = [(seconds(command), seconds(BASELINE)) for _ in range(repeats)]
        ratio = statistics.median(ours / base for ours, base in pairs)
        median = statistics.median(ours for ours, _ in pairs)
        base = statistics.median(base for _, base in pairs)
        loaded = ", ".join(heavy_imports(command)) or "none"
        print(
            f"{name}: {1000 * median:.0f} ms; importing click, rich, pluggy {1000 * base:.0f} ms; "
            f"median ratio {ratio:.2f}; heavy packages imported: {loaded}"
        )


if __name__ == "__main__":
    main()
