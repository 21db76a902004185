"""Frames a second, and the share of each stage, of ``defectscope run`` on a folder of frames.

Usage: python benchmarks/clip.py --data FOLDER [--frames 461:661] [--threads 2]

FOLDER holds ``frames/`` and, where some are labelled, ``annotations.json``.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import defectscope as ds


def main() -> None:
    """Run once, and print where the time went and what was found."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--frames", default="461:661")
    parser.add_argument("--threads", type=int, default=0)
    given = parser.parse_args()
    if not (given.data / "frames").is_dir():
        print(f"skipped: there is no folder {given.data / 'frames'}")
        return
    frames = ds.open(given.data / "frames", frames=given.frames, pixel_size_nm=0.37197)
    pipeline = ds.Pipeline("dark-blobs", ["watershed-ellipse"], "trackpy", threads=given.threads)
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        result = pipeline.run(frames, folder)
        total = time.perf_counter() - start
        timings = result.info["timings_s"]
        count = len(result.frames)
        print(f"{count} frames, {len(result.detections)} detections, {total:.1f} s in all")
        detection = timings.pop("detection stage")
        print(f"reading to tables: {detection:.1f} s, {count / detection:.1f} frames/s")
        for name, spent in sorted(timings.items(), key=lambda item: -item[1]):
            print(f"  {name:20s} {spent:7.2f} s  {100 * spent / total:5.1f} % of all")
        if (given.data / "annotations.json").is_file():
            scores = ds.evaluate(result, given.data)
            for row in scores.per_frame.to_dict("records"):
                print(f"  F1 at IoU 0.15, {row['name']}: {row['f1']:.3f}")


if __name__ == "__main__":
    main()
