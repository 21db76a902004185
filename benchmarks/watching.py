"""``run --watch`` on a folder that gets frames at a steady rate.

    python benchmarks/watching.py --data FOLDER [--rate 10] [--seconds 20] [--post NAME]

Another process copies the frames of FOLDER, over and over. Prints the lag of the tables behind the
folder, and how many frames a second came out.
"""

from __future__ import annotations

import argparse
import itertools
import multiprocessing
import os
import tempfile
import time
from pathlib import Path

import defectscope as ds


def write_frames(source: Path, target: Path, rate: float, seconds: float) -> None:
    """Copy frames at a steady rate, each under a temporary name first."""
    files = sorted(source.glob("*.jpg"))
    start = time.monotonic()
    for number, file in enumerate(itertools.cycle(files)):
        due = start + number / rate
        if due - start > seconds:
            return
        time.sleep(max(0.0, due - time.monotonic()))
        temporary = target / f".{number}.part"
        temporary.write_bytes(file.read_bytes())
        temporary.rename(target / f"frame_{number:06d}.jpg")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of .jpg frames")
    parser.add_argument("--rate", type=float, default=10.0)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--detector", default="heatmap")
    parser.add_argument("--post", action="append", default=[])
    parser.add_argument("--tracker", default="loops")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder, out = Path(name) / "frames", Path(name) / "run"
        folder.mkdir()
        writer = multiprocessing.get_context("spawn").Process(
            target=write_frames, args=(given.data, folder, given.rate, given.seconds)
        )
        pipeline = ds.Pipeline(given.detector, given.post, given.tracker)
        writer.start()
        start = os.times()
        result = pipeline.watch(folder, out, idle_s=3.0, said=print, overlay=False)
        end = os.times()
        writer.join()
        lag = result.info["lag_s"]
        spent = (end.user + end.system - start.user - start.system) / len(result.frames)
        print(
            f"{len(result.frames)} frames at {given.rate:g} a second: lag {lag['median']:.2f} s in "
            f"the median, {lag['p95']:.2f} s for 95 %, {lag['largest']:.2f} s at most; "
            f"{1000 * spent:.0f} ms of processor time a frame"
        )


if __name__ == "__main__":
    main()
