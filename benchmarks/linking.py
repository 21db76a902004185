"""Linking: the tracker ``trackpy`` against bare ``trackpy.link``, side by side.

    python benchmarks/linking.py [--rows 115000] [--repeats 11]

Prints the time of each and the ratio of pairs, the memory that each needs beyond its input, and
how many different results the repeats of each gave. Both link the same simulated table: about 100
particles a frame with geometric lifetimes, 1 px jitter, one in ten missed, positions on a grid of
half pixels as centres of boxes are.
"""

from __future__ import annotations

import argparse
import gc
import statistics
import time
import tracemalloc
import warnings
from collections.abc import Callable

import numpy as np
import pandas as pd
import trackpy

from defectscope.trackers.trackpy_linker import Trackpy

SEARCH_RANGE_PX, MEMORY = 5.0, 3
FRAMES, WIDTH_PX, HEIGHT_PX = 1176, 1120, 710


def simulate(
    rows: int, seed: int = 0, lifetime: int = 80, missed: float = 0.1, frames: int = FRAMES
) -> pd.DataFrame:
    """Return about `rows` detections in frame order, with the columns of a run's table."""
    rng = np.random.default_rng(seed)
    particles = round(rows * (frames + lifetime) / frames / (1 - missed) / lifetime)
    length = rng.geometric(1 / lifetime, particles)
    particle = np.repeat(np.arange(particles), length)
    since = np.arange(len(particle)) - np.repeat(np.cumsum(length) - length, length)
    frame = rng.integers(-lifetime, frames, particles)[particle] + since
    home = rng.uniform(0, (WIDTH_PX, HEIGHT_PX), (particles, 2))
    position = np.round(2 * (home[particle] + rng.normal(0, 1, (len(particle), 2)))) / 2
    size = rng.uniform(6, 30, len(particle))
    table = pd.DataFrame(
        {
            "frame": frame, "time_s": 1.75 * frame, "dose_dpa": 0.8534 + 0.0014 * frame,
            "detection": 0, "score": rng.uniform(0.3, 1, len(particle)),
            "x": position[:, 0], "y": position[:, 1],
            "x_min": position[:, 0] - size / 2, "y_min": position[:, 1] - size / 2,
            "x_max": position[:, 0] + size / 2, "y_max": position[:, 1] + size / 2,
            "major_px": size, "minor_px": 0.8 * size, "angle_deg": 0.0,
        }
    )  # fmt: skip
    seen = (frame >= 0) & (frame < frames) & (rng.random(len(particle)) > missed)
    return table[seen].sort_values("frame", kind="stable").reset_index(drop=True)


def link_bare(table: pd.DataFrame) -> pd.DataFrame:
    """Link with trackpy alone."""
    linked: pd.DataFrame = trackpy.link(table, SEARCH_RANGE_PX, memory=MEMORY)
    return linked


def link_ours(table: pd.DataFrame) -> pd.DataFrame:
    """Link with the tracker of defectscope."""
    options = Trackpy.Options(search_range_px=SEARCH_RANGE_PX, memory=MEMORY)
    return Trackpy(options).link(table)


def timed(link: Callable[[pd.DataFrame], pd.DataFrame], table: pd.DataFrame) -> tuple[float, bytes]:
    """Return the seconds that linking takes, and the links themselves."""
    gc.collect()
    start = time.perf_counter()
    linked = link(table)
    seconds = time.perf_counter() - start
    return seconds, pd.factorize(linked["particle"])[0].tobytes()


def peak_bytes(link: Callable[[pd.DataFrame], pd.DataFrame], table: pd.DataFrame) -> int:
    """Return the most memory that linking held at once beyond its input, its result included."""
    gc.collect()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    tracemalloc.reset_peak()
    linked = link(table)
    peak = tracemalloc.get_traced_memory()[1] - before
    tracemalloc.stop()
    del linked
    return peak


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=115_000)
    parser.add_argument("--repeats", type=int, default=11)
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore", message="The inplace keyword")  # trackpy 0.7 with pandas 3.1
    trackpy.quiet()

    table = simulate(arguments.rows)
    frames, columns = table["frame"].nunique(), len(table.columns)
    print(f"{len(table)} detections in {frames} frames, {columns} columns")
    for link in (link_bare, link_ours):
        link(table[:2000])  # imports and caches
    bare: list[tuple[float, bytes]] = []
    ours: list[tuple[float, bytes]] = []
    junk = []
    for repeat in range(arguments.repeats):
        junk.append([object() for _ in range(1000 * (repeat % 7))])  # memory moves on
        pair = [(bare, link_bare), (ours, link_ours)]
        for results, link in pair if repeat % 2 else reversed(pair):  # neither is always first
            results.append(timed(link, table))
    ratios = [b[0] / a[0] for a, b in zip(bare, ours, strict=True)]
    for name, results in (("trackpy.link", bare), ("defectscope trackpy", ours)):
        seconds = [result[0] for result in results]
        print(
            f"{name:20s} median {statistics.median(seconds):.3f} s, fastest {min(seconds):.3f} s, "
            f"different results in {len(results)} repeats: {len({r[1] for r in results})}"
        )
    print(
        f"{'ratio by pairs':20s} median {statistics.median(ratios):.3f} "
        f"({min(ratios):.3f} to {max(ratios):.3f})"
    )
    for name, link in (("trackpy.link", link_bare), ("defectscope trackpy", link_ours)):
        print(f"{name:20s} {peak_bytes(link, table) / len(table):.0f} bytes a detection at most")


if __name__ == "__main__":
    main()
