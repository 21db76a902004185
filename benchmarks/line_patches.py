"""Windows without dislocation lines, for the background ``images``, out of the in-situ video.

Usage: python benchmarks/line_patches.py DATA --out FOLDER

DATA is the folder of the public video of dislocation loops (doi:10.18126/n9dj-5mk0), with
``frames/FrameN.jpg`` of 1120 x 710 px. One dislocation line crosses the middle of every frame, and
captions are burnt in at the bottom: what lies left and right of the line and above the captions
is kept. Loops stay in: for a detector of lines they are background. ``FOLDER/training`` and
``FOLDER/test`` come from frames at least 200 frames apart. Nothing may be written into this
repository: patches belong to whoever took the frames.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2

ROOT = Path(__file__).resolve().parents[1]
# x_min, y_min, x_max, y_max of what is kept.
WINDOWS = {"left": (0, 0, 470, 590), "right": (660, 0, 1120, 590)}
TEST = (0, 50, 100, 122, 130, 150, 200)
TRAINING = (400, 450, 500, 550, 600, 650, 700, 750, 800, 850, 900, 950, 1000, 1050, 1100, 1150)


def main() -> None:
    """Write the windows, and say how many."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    out = given.out.resolve()
    if ROOT in out.parents and ROOT / "build" not in out.parents:
        parser.error(f"{out} lies inside the repository; name a folder elsewhere, or in build/")
    for kind, indices in (("training", TRAINING), ("test", TEST)):
        folder = out / kind
        folder.mkdir(parents=True, exist_ok=True)
        for index in indices:
            path = given.data / "frames" / f"Frame{index}.jpg"
            pixels = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
            if pixels is None:
                parser.error(f"cannot read {path}")
            for name, (x0, y0, x1, y1) in WINDOWS.items():
                cv2.imwrite(str(folder / f"{index:04d}-{name}.png"), pixels[y0:y1, x0:x1])
        print(f"{kind}: {2 * len(indices)} windows in {folder}")


if __name__ == "__main__":
    main()
