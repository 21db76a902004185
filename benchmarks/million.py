"""A million detections: linked and analysed against bare ``trackpy.link``, each in its own process.

    python benchmarks/million.py [--rows 1000000] [--tracker loops]

Prints the seconds of each and their ratio, the share of the parts, and the peak memory of each.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
import warnings

from linking import simulate

SEARCH_RANGE_PX, MEMORY = 5.0, 3


def bare(rows: int) -> dict[str, float]:
    """Link with trackpy alone."""
    import trackpy

    trackpy.quiet()
    warnings.filterwarnings("ignore", message="The inplace keyword")
    table = simulate(rows, frames=rows // 100)
    start = time.process_time()
    trackpy.link(table, SEARCH_RANGE_PX, memory=MEMORY)
    return {"link": time.process_time() - start, "rows": len(table)}


def ours(rows: int, tracker: str) -> dict[str, float]:
    """Link, summarise and run every analysis, without writing files."""
    import numpy as np
    import pandas as pd

    from defectscope import Calibration, Runtime, Tables
    from defectscope.core.particles import particle_table
    from defectscope.plugins.host import default_host

    table = simulate(rows, frames=rows // 100)
    table = table.assign(
        detection=table.groupby("frame").cumcount(), origin="detector",
        defect_type="dislocation-loop", diameter_px=table["major_px"],
        diameter_nm=0.372 * table["major_px"],
    )  # fmt: skip
    table["origin"] = table["origin"].astype("category").astype("str")
    host, runtime = default_host(), Runtime()
    calibration = Calibration(pixel_size_nm=0.372, frame_interval_s=1.75, thickness_nm=75)
    index = np.arange(rows // 100)
    frames = pd.DataFrame({"frame": index, "time_s": 1.75 * index, "dose_dpa": np.nan,
                           "width_px": 1120, "height_px": 710, "status": "ok"})  # fmt: skip
    spent: dict[str, float] = {"rows": len(table)}
    start = time.process_time()
    tracks = host.build("trackers", tracker, {}, runtime).link(table)
    spent["link"] = time.process_time() - start
    start = time.process_time()
    particle_table(tracks, calibration)
    spent["particles"] = time.process_time() - start
    tables = Tables(frames, table, None, tracks, calibration)
    for entry in host.registered("analyses"):
        start = time.process_time()
        host.build("analyses", entry.name, {}, runtime).analyse(tables)
        spent[entry.name] = time.process_time() - start
    return spent


def measured(*arguments: str) -> dict[str, float]:
    """Run this file again, and return what it says."""
    done = subprocess.run(
        [sys.executable, __file__, *arguments], stdout=subprocess.PIPE, text=True, check=True
    )
    found: dict[str, float] = json.loads(done.stdout)
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--tracker", default="loops")
    parser.add_argument("--part", choices=["bare", "ours"], help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.part:
        spent = bare(given.rows) if given.part == "bare" else ours(given.rows, given.tracker)
        spent["peak_gb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
        print(json.dumps(spent))
        return
    common = ["--rows", str(given.rows), "--tracker", given.tracker]
    first, second = (measured(*common, "--part", part) for part in ("bare", "ours"))
    parts = {k: v for k, v in second.items() if k not in {"rows", "peak_gb"}}
    total = sum(parts.values())
    print(f"{second['rows']:.0f} detections, processor time")
    print(f"bare trackpy.link {first['link']:.1f} s, peak {first['peak_gb']:.2f} GB")
    print(f"{given.tracker} and all analyses {total:.1f} s, ratio {total / first['link']:.2f}, "
          f"peak {second['peak_gb']:.2f} GB")  # fmt: skip
    print(", ".join(f"{name} {seconds:.1f} s" for name, seconds in parts.items()))


if __name__ == "__main__":
    main()
