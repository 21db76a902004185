"""Peak memory of ``defectscope run`` for a short and a long series of the same frames.

Usage: python benchmarks/memory.py [--short 200] [--long 2000] (on Linux)
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import tifffile

import defectscope as ds
from defectscope.plugins.host import default_host

SIDE_PX, DIFFERENT = 384, 20
# A process of its own for each series: peak memory never goes down again.
CHILD = """
import re, sys
from pathlib import Path
import defectscope as ds
frames = ds.open(sys.argv[1])
ds.Pipeline("dark-blobs", ["watershed-ellipse"], analyses=[]).run(
    frames, sys.argv[2], overlay=False, figures=False)
# ru_maxrss would begin with what the parent had when it started this process.
print(int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) / 1024)
"""


def write_stack(path: Path, count: int) -> None:
    """Write a TIFF stack that repeats a few synthetic frames."""
    host = default_host()
    rng = np.random.default_rng(0)
    canvas, _ = host.build("backgrounds", "texture").render((SIDE_PX, SIDE_PX), rng)
    loops = host.build("generators", "in-situ-loops")
    pages = [
        np.round(p * 65535).astype(np.uint16) for p, _ in loops.sequence(canvas, rng, DIFFERENT)
    ]
    with tifffile.TiffWriter(path, bigtiff=True) as writer:
        for position in range(count):
            writer.write(pages[position % DIFFERENT], contiguous=True)


def main() -> None:
    """Print the peak of both, and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--short", type=int, default=200)
    parser.add_argument("--long", type=int, default=2000)
    given = parser.parse_args()
    peaks = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for count in (given.short, given.long):
            write_stack(folder / f"{count}.tif", count)
            arguments = [str(folder / f"{count}.tif"), str(folder / f"run-{count}")]
            child = subprocess.run(
                [sys.executable, "-c", CHILD, *arguments],
                capture_output=True,
                text=True,
                check=True,
            )
            peaks[count] = float(child.stdout.split()[-1])
            print(f"{count} frames of {SIDE_PX} x {SIDE_PX} px: peak {peaks[count]:.0f} MiB")
            (folder / f"{count}.tif").unlink()
    print(f"ratio {peaks[given.long] / peaks[given.short]:.3f} (defectscope {ds.__version__})")


if __name__ == "__main__":
    main()
