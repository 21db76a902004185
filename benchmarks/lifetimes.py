"""Lifetimes of tracks on a real video against bare ``trackpy.link``, and a montage to look at.

    python benchmarks/lifetimes.py RUN --images FOLDER [--montage OUT.png] [--seed 0]

RUN is a run on the frames (its detections are linked anew). The same filter of stubs is put on
both: particles seen in fewer than three frames are left out. The montage shows 20 tracks drawn by
a fixed seed, one a row: crops around the particle at twelve of its sightings, those on both sides
of the longest gap among them (its width stands between them).
"""

from __future__ import annotations

import argparse
import warnings
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import trackpy

import defectscope as ds
from defectscope import Runtime
from defectscope.plugins.host import default_host

SEARCH_RANGE_PX, MEMORY, STUB = 5.0, 3, 3
TRACKS, CROPS, SIDE_PX, ZOOM = 20, 12, 48, 2


def lifetimes(tracks: pd.DataFrame) -> pd.Series:
    """Return last - first + 1 of particles that are no stubs."""
    groups = tracks.groupby("particle")["frame"]
    return (groups.max() - groups.min() + 1)[groups.size() >= STUB]


def shown_rows(own: pd.DataFrame) -> tuple[pd.DataFrame, int, int]:
    """Return the sightings to show, the place of the longest gap among them, and its length."""
    gap = np.diff(own["frame"].to_numpy())
    at = int(np.argmax(gap)) if len(gap) else 0
    places = np.unique(np.r_[np.linspace(0, len(own) - 1, CROPS - 2).round(), at, at + 1])
    places = places[places < len(own)].astype(int)
    longest = int(gap.max()) - 1 if len(gap) else 0
    return own.iloc[places], int(np.flatnonzero(places == at)[0]), longest


def montage(tracks: pd.DataFrame, frames: ds.FrameSequence, seed: int) -> np.ndarray:
    """Return an RGB picture of 20 tracks."""
    seen = tracks[tracks["origin"] == "detector"].sort_values(["particle", "frame"])
    counts = seen["particle"].value_counts().sort_index()
    names = counts.index[counts >= STUB].to_numpy()
    chosen = np.sort(np.random.default_rng(seed).choice(names, TRACKS, replace=False))
    position = {index: k for k, index in enumerate(frames.indices)}
    lines = []
    for particle in chosen:
        rows, gap_at, longest = shown_rows(seen[seen["particle"] == particle])
        crops = [_crop(frames[position[row.frame]].pixels, row) for row in rows.itertuples()]
        crops += [np.zeros_like(crops[0])] * (CROPS - len(crops))
        line = np.hstack(crops)
        side = ZOOM * SIDE_PX
        if longest:
            cv2.putText(line, f"-{longest}-", ((gap_at + 1) * side - 18, side - 4),
                        cv2.FONT_HERSHEY_SIMPLEX, 0.4, (255, 80, 80), 1)  # fmt: skip
        cv2.putText(line, str(particle), (2, 24), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (0, 255, 0), 1)
        lines.append(line)
    return np.vstack(lines)


def _crop(pixels: np.ndarray, row: object) -> np.ndarray:
    wide = np.pad(pixels, SIDE_PX, mode="edge")
    x, y = int(row.x) + SIDE_PX // 2, int(row.y) + SIDE_PX // 2
    crop = wide[y : y + SIDE_PX, x : x + SIDE_PX]
    large = cv2.resize(crop, None, fx=ZOOM, fy=ZOOM, interpolation=cv2.INTER_LINEAR)
    picture = cv2.cvtColor(large, cv2.COLOR_GRAY2RGB)
    if np.isfinite(row.major_px):
        centre = (SIDE_PX * ZOOM // 2, SIDE_PX * ZOOM // 2)
        axes = (int(ZOOM * row.major_px / 2), int(ZOOM * row.minor_px / 2))
        cv2.ellipse(picture, centre, axes, -row.angle_deg, 0, 360, (255, 160, 0), 1)
    cv2.putText(picture, str(row.frame), (2, 11), cv2.FONT_HERSHEY_SIMPLEX, 0.35, (255, 255, 0), 1)
    picture[:, -1] = picture[-1] = 90
    return picture


def main() -> None:
    """Measure, print and draw."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--montage", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    warnings.filterwarnings("ignore", message="The inplace keyword")
    trackpy.quiet()
    detections = ds.load_run(given.run).detections
    bare = trackpy.link(detections, SEARCH_RANGE_PX, memory=MEMORY)
    ours = default_host().build("trackers", "loops", {}, Runtime()).link(detections)
    seen = ours[ours["origin"] == "detector"]
    first, second = lifetimes(bare), lifetimes(seen)
    print(f"bare trackpy.link: {len(first)} particles, mean lifetime {first.mean():.1f} frames")
    print(
        f"loops: {len(second)} particles, mean lifetime {second.mean():.1f} frames, "
        f"{second.mean() / first.mean():.2f} times"
    )
    if given.montage is not None:
        picture = montage(ours, ds.open(given.images), given.seed)
        cv2.imwrite(str(given.montage), cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))


if __name__ == "__main__":
    main()
