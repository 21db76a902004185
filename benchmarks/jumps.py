"""What a jump of the stage by 100 px does to the density, from image files to the analysed table.

    python benchmarks/jumps.py [--data FRAMES] [--detector heatmap] [--sequences 4]

Sequences of image files are put through ``defectscope run``, with and without ``--register``, and
``defectscope analyze``: some of the generator ``in-situ-loops`` whose stage jumps, and, where
FRAMES is given, a window cut from the frames of a real video, which is moved by 100 px half-way.
Prints the mean density of the frames after the jump against that of the frames before it; of the
real video also what it is in the same part of the specimen where the window does not move.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import tempfile
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

# Of generated sequences, frames and px.
LENGTH, SIDE_PX = 40, 640
# Frames on either side of a jump over which densities are averaged.
FRAMES_BESIDE = 10
JUMP_PX = 100
# x, y of the window in the real frames before the jump, and its width and height, px.
WINDOW = (200, 100), (760, 500)
# The window moves by 100 px.
MOVED = (80, 60)


def command(*words: object) -> None:
    """Run ``defectscope`` as a user would."""
    done = subprocess.run(
        [sys.executable, "-m", "defectscope", *map(str, words)], capture_output=True, text=True
    )
    if done.returncode:
        sys.exit(f"defectscope {' '.join(map(str, words))}\n{done.stderr}")


def densities(
    images: Path, out: Path, detector: str, register: bool, roi: str | None = None
) -> pd.DataFrame:
    """Return density and area (px²) by frame, as ``analyze`` writes them, and what was registered.

    Parameters
    ----------
    roi
        Only what lies in this part of the frames is analysed.
    """
    words = ["--register"] if register else []
    command("run", images, "--detector", detector, "--out", out, "--no-overlay", "--no-figures",
            *words)  # fmt: skip
    part = [] if roi is None else ["--roi", roi]
    command("analyze", out, "--analysis", "number-density", "--no-report", *part)
    table = pd.read_csv(out / "figures" / "number-density.csv")
    frames = pd.read_csv(out / "frames.csv")
    count = table.groupby("frame")["true_count"].sum()
    area = table.groupby("frame")["area_px"].first()
    found = pd.DataFrame({"density": count / area, "area_px": area})
    return found.join(frames.set_index("frame").filter(["drift_x_px", "drift_y_px", "jump"]))


def change_at(found: pd.DataFrame, frame: int) -> float:
    """Return the change of the mean density from the frames before `frame` to those from it on."""
    index = found.index.to_numpy()
    before = found["density"][index < frame].tail(FRAMES_BESIDE).mean()
    after = found["density"][index >= frame].head(FRAMES_BESIDE).mean()
    return float(after / before - 1)


def report(title: str, found: pd.DataFrame, jumps: list[int]) -> None:
    """Print the change at each jump, the field, and where jumps were found."""
    changes = ", ".join(f"{100 * change_at(found, frame):+.1f} %" for frame in jumps)
    text = f"  {title:32s} {changes}; field {found['area_px'].iloc[0]:.0f} px²"
    if "jump" in found:
        text += f"; jumps found in {found.index[found['jump'] == 1].tolist()}"
    print(text)


def generated(folder: Path, detector: str, seed: int) -> None:
    """A sequence whose stage jumps, with loops that neither come nor meet."""
    options = {"count": 90, "nucleated": 1, "shrinking": 0, "coalescence": 0,
               "jump_probability": 0.04, "jump_low_px": JUMP_PX,
               "jump_high_px": JUMP_PX}  # fmt: skip
    chosen = [w for k, v in options.items() for w in ("--set", f"in-situ-loops.{k}={v}")]
    command("generate", "in-situ-loops", "--length", LENGTH, "--size", SIDE_PX, "--seed", seed,
            "--out", folder / "sequence", *chosen)  # fmt: skip
    document = json.loads((folder / "sequence" / "parameters" / "000000.json").read_text())
    drawn = document["generators"][0]["parameters"]
    jumps = [event["frame"] for event in drawn["events"] if event["kind"] == "jump"]
    truth = np.array(drawn["frames"]["offset_px"])
    print(f"in-situ-loops, seed {seed}, jumps of {JUMP_PX} px in frames {jumps}:")
    for title, register in (("registered", True), ("not registered", False)):
        found = densities(folder / "sequence" / "images", folder / title, detector, register)
        report(title, found, jumps)
        if register:
            away = found[["drift_x_px", "drift_y_px"]].to_numpy() - (truth - truth[0])
            print(f"    shifts are {np.hypot(*away.T).max():.2f} px off the truth at most")


def windows(frames: Path, folder: Path, moved: bool) -> int:
    """Cut windows from real frames, and return the frame in which they move."""
    paths = sorted(frames.glob("*.jpg"), key=lambda path: int(path.stem.lstrip("Frame")))
    paths = [path for path in paths if 461 <= int(path.stem.lstrip("Frame")) < 501]
    folder.mkdir(parents=True)
    (x, y), (width, height) = WINDOW
    half = len(paths) // 2
    for number, path in enumerate(paths):
        dx, dy = MOVED if moved and number >= half else (0, 0)
        pixels = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
        part = pixels[y + dy : y + dy + height, x + dx : x + dx + width]
        cv2.imwrite(str(folder / f"{path.stem}.png"), part)
    return int(paths[half].stem.lstrip("Frame"))


def real(frames: Path, folder: Path, detector: str) -> None:
    """A window of a real video that jumps."""
    width, height = WINDOW[1]
    print(f"window of {width} x {height} px of a real video, which moves by "
          f"{math.hypot(*MOVED):.0f} px:")  # fmt: skip
    # What both windows show, as the first one has it.
    shared = f"{MOVED[0]},{MOVED[1]},{width},{height}"
    for title, moved, register, roi in (
        ("jumps, registered", True, True, None),
        ("jumps, not registered", True, False, None),
        ("does not jump, the same part", False, True, shared),
    ):
        images = folder / f"images of {title}"
        frame = windows(frames, images, moved)
        report(title, densities(images, folder / title, detector, register, roi), [frame])


def main() -> None:
    """Measure both."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="folder of frames of a real video")
    parser.add_argument("--detector", default="heatmap")
    parser.add_argument("--sequences", type=int, default=4)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as holder:
        for seed in range(1, given.sequences + 1):
            generated(Path(holder) / str(seed), given.detector, seed)
        if given.data is not None:
            real(given.data, Path(holder), given.detector)


if __name__ == "__main__":
    main()
