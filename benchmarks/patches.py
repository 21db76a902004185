"""Folders of patches without defects, for the background ``images``, out of frames of a video.

Usage: python benchmarks/patches.py FRAMES --out FOLDER [--test-frames 100:200]
           [--labels annotations.json] [--size 256]

FRAMES is what ``defectscope run`` takes: a folder of images, a stack, a video. Of each frame the
calmest windows are taken: few pixels that stand out dark of the local texture, as ``dark-blobs``
measures it, and none of burnt-in text. ``FOLDER/test`` comes from the frames of
``--test-frames``, ``FOLDER/training`` from others that lie apart in time; ``patches.json`` says
where each patch lay. Frames that ``--labels`` names are left out, so that detectors may be tested
on them. Look at the patches: faint defects pass. Nothing may be written into this repository:
patches belong to whoever took the frames.

    defectscope generate dislocations --background images --set images.folder=FOLDER/training \
      --set images.small_images=mirror --out DATA
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np

import defectscope as ds
from defectscope.core.files import write_bytes, write_json
from defectscope.detectors.dark_blobs import texture_contrast

ROOT = Path(__file__).resolve().parents[1]
# As dark-blobs finds blobs by default: smoothing, px, and contrast in sigmas of the texture.
BLUR_PX, BACKGROUND_PX, DARK_SIGMAS = 2.4, 25.0, 3.4
# Burnt-in text is black or white to this share of the range, and this near to it nothing is kept.
TEXT_SHARE, TEXT_MARGIN_PX = 0.02, 15
STRIDE_PX = 16
# Frames of the two sets lie at least this far apart.
GAP_FRAMES = 20
# The foil of a place looks different after this many frames, and may be taken again.
CHANGED_FRAMES = 100


def grain(pixels: Any) -> float:
    """Return the robust standard deviation of the texture, in grey."""
    smooth = cv2.GaussianBlur(pixels.astype(np.float32), (0, 0), BLUR_PX)
    beside = smooth - cv2.GaussianBlur(smooth, (0, 0), BACKGROUND_PX)
    return 1.4826 * float(np.median(np.abs(beside - np.median(beside))))


def busyness(pixels: Any, calmest: float) -> Any:
    """Return (H, W) how much each pixel speaks against a patch: dark excess, or text.

    Contrast is in units of the grain of the calmest frame: faint beside the loops of a late
    frame, a line stands out of an early one.
    """
    contrast = texture_contrast(pixels, BLUR_PX, BACKGROUND_PX)
    contrast *= max(1.0, grain(pixels) / calmest)
    dark = np.clip(contrast - DARK_SIGMAS, 0, None).astype(np.float64)
    levels = np.iinfo(pixels.dtype) if pixels.dtype.kind in "iu" else None
    low, high = (levels.min, levels.max) if levels else (pixels.min(), pixels.max())
    grey = (pixels.astype(np.float64) - low) / max(float(high - low), 1e-12)
    text = ((grey < TEXT_SHARE) | (grey > 1 - TEXT_SHARE)).astype(np.uint8)
    # A hot pixel is no text.
    text = cv2.morphologyEx(text, cv2.MORPH_OPEN, np.ones((2, 2), np.uint8))
    near = cv2.dilate(text, np.ones((2 * TEXT_MARGIN_PX + 1,) * 2, np.uint8))
    return dark + 100.0 * near


def calm_windows(
    busy: Any, size: int, most: int, limit: float, taken: list[tuple[int, int]]
) -> list[tuple[float, int, int]]:
    """Return (mean busyness, x, y) of windows, the calmest first.

    They overlap neither each other nor, by half or more, those `taken` (x, y) from near frames.
    """
    total = cv2.integral(busy)
    rows = np.arange(0, busy.shape[0] - size + 1, STRIDE_PX)
    columns = np.arange(0, busy.shape[1] - size + 1, STRIDE_PX)
    if not (rows.size and columns.size):
        return []
    corners = (total[np.ix_(rows + i, columns + j)] for i in (0, size) for j in (0, size))
    top_left, top_right, low_left, low_right = corners
    means = (low_right - low_left - top_right + top_left) / size**2
    chosen: list[tuple[float, int, int]] = []
    for place in np.argsort(means, axis=None, kind="stable"):
        row, column = np.unravel_index(place, means.shape)
        mean, x, y = float(means[row, column]), int(columns[column]), int(rows[row])
        if mean > limit or len(chosen) == most:
            break
        alone = all(max(abs(x - a), abs(y - b)) >= size for _, a, b in chosen)
        if alone and all(max(abs(x - a), abs(y - b)) >= size / 2 for a, b in taken):
            chosen.append((mean, x, y))
    return chosen


def labelled_names(path: Path | None) -> set[str]:
    """Return the file names of the images that have labels."""
    if path is None:
        return set()
    return {Path(image["file_name"]).name for image in json.loads(path.read_text())["images"]}


def kind_of(index: int, test: tuple[int, int]) -> str | None:
    """Return whether a frame is for training or for tests; those between are for neither."""
    if test[0] <= index < test[1]:
        return "test"
    return "training" if not test[0] - GAP_FRAMES < index < test[1] + GAP_FRAMES else None


def frame_range(text: str) -> tuple[int, int]:
    """Read A:B."""
    first, stop = text.split(":")
    return int(first), int(stop)


def main() -> None:
    """Write the patches, and say how many."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("frames")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--labels", type=Path)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--per-frame", type=int, default=4)
    parser.add_argument("--every", type=int, default=1, help="take every so manieth frame")
    parser.add_argument(
        "--limit", type=float, default=0.004, help="largest mean dark excess, sigmas"
    )
    parser.add_argument("--test-frames", type=frame_range, default=(100, 200), metavar="A:B")
    given = parser.parse_args()
    out = given.out.resolve()
    if out == ROOT or ROOT in out.parents:
        parser.error(f"{out} lies inside the repository; name a folder elsewhere")
    labelled = labelled_names(given.labels)
    frames = ds.open(given.frames)
    record: dict[str, list[dict[str, Any]]] = {"training": [], "test": []}
    calmest = min(grain(frame.pixels) for frame in frames[:: max(1, len(frames) // 40)])
    for frame in frames[:: given.every]:
        kind = kind_of(frame.index, given.test_frames)
        if kind is None or Path(frame.source).name in labelled:
            continue
        busy = busyness(frame.pixels, calmest)
        near = [
            (row["x"], row["y"])
            for row in record[kind]
            if abs(row["frame"] - frame.index) < CHANGED_FRAMES
        ]
        for mean, x, y in calm_windows(busy, given.size, given.per_frame, given.limit, near):
            name = f"{Path(frame.source).stem}-{x:04d}-{y:04d}.png"
            patch = frame.pixels[y : y + given.size, x : x + given.size]
            write_bytes(out / kind / name, cv2.imencode(".png", patch)[1].tobytes())
            record[kind].append({"file": name, "frame": frame.index, "x": x, "y": y, "busy": mean})
    write_json(out / "patches.json", record)
    for kind, rows in record.items():
        numbers = sorted({row["frame"] for row in rows})
        between = f", frames {numbers[0]} to {numbers[-1]}" if rows else ""
        print(f"{kind}: {len(rows)} patches of {given.size} px from {len(numbers)} frames{between}")


if __name__ == "__main__":
    main()
