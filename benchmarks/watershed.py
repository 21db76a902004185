"""Ellipses in boxes: ``watershed-ellipse`` against P2's recipe, time and accuracy, side by side.

    python benchmarks/watershed.py [--frames 3] [--repeats 15]

Draws frames of 1120 x 710 px with 150 shapes whose axes are known (6 to 60 px, rings from 14 px,
every orientation, sub-pixel positions, soft edges), clean or on a texture like that of in-situ
bright-field frames, with boxes that are off by a tenth of their size. Prints, for each kind of
shape and each method, how many were segmented, the error of the axes (median and half the distance
between the 16th and 84th percentile), of the angle, and the overlap of the masks; then the time a
frame, measured in turns.

P2's recipe is the watershed tutorial of OpenCV, applied to each enlarged box, and
``cv2.fitEllipse``. A ring counts as measured at its outer edge, its inside included.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import cv2
import numpy as np
from scipy.ndimage import gaussian_filter

from defectscope.core.base import Runtime
from defectscope.core.defect_types import DefectType
from defectscope.core.frames import Frame
from defectscope.core.geometry.ellipses import ellipse_boxes
from defectscope.core.instances import Instances
from defectscope.core.masks import Mask, mask_iou
from defectscope.postproc.watershed_ellipse import WatershedEllipse, WatershedEllipseOptions

WIDTH, HEIGHT, COLUMNS, ROWS = 1120, 710, 15, 10
CONTRAST, TEXTURE, NOISE, BOX_ERROR = 80.0, 18.0, 3.0, 0.1
OVERSAMPLING = 5
TYPES = {
    "filled": DefectType("filled", "Filled ellipse", "ellipse"),
    "ring": DefectType("ring", "Ring", "ellipse", contrast="ring"),
    "open ring": DefectType("open ring", "Ring with a gap of 60°", "ellipse", contrast="ring"),
}


class Scene(NamedTuple):
    """A frame, its instances, and what is true: ellipses (n, 5) and masks."""

    frame: Frame
    instances: Instances
    ellipses: np.ndarray
    masks: list[Mask]


Method = Callable[[Scene], tuple[np.ndarray, list[Mask], np.ndarray]]


def texture(shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Return a texture with the autocorrelation measured in frames 126, 480 and 888."""
    field = np.zeros(shape)
    for sigma_px, weight in ((1.3, 0.2), (3.0, 0.35), (6.0, 0.45)):
        layer = gaussian_filter(rng.standard_normal(shape), sigma_px)
        field += np.sqrt(weight) * layer / layer.std()
    return np.asarray(field / field.std())


def cover(ellipse: np.ndarray, kind: str, gap_deg: float, size: int) -> tuple[Any, Any]:
    """Return how much of each pixel of a size x size cell the shape and its filled twin cover."""
    x, y, major, minor, angle_deg = ellipse
    grid = (np.arange(size * OVERSAMPLING) + 0.5) / OVERSAMPLING
    dx, dy = grid - x, (grid - y)[:, None]
    cos, sin = np.cos(np.deg2rad(angle_deg)), np.sin(np.deg2rad(angle_deg))
    along, across = cos * dx - sin * dy, sin * dx + cos * dy
    filled = np.hypot(along / major, across / minor) <= 0.5
    shape = filled
    if kind != "filled":
        width = np.clip(0.1 * major, 2, 6)
        inner = [max(axis - 2 * width, 0.1) for axis in (major, minor)]
        shape = filled & (np.hypot(along / inner[0], across / inner[1]) > 0.5)
    if kind == "open ring":
        direction = np.rad2deg(np.arctan2(across, along))
        shape = shape & (np.abs((direction - gap_deg + 180) % 360 - 180) > 30)
    blocks = (size, OVERSAMPLING, size, OVERSAMPLING)
    return tuple(part.reshape(blocks).mean(axis=(1, 3)) for part in (shape, filled))


def draw(kind: str, textured: bool, seed: int) -> Scene:
    """Return a frame of 150 shapes, one a cell of a grid."""
    rng = np.random.default_rng(seed)
    pixels = 150 + TEXTURE * texture((HEIGHT, WIDTH), rng) * textured
    cell, (left, top) = 70, (2, 2)
    ellipses, masks = [], []
    for k in range(COLUMNS * ROWS):
        major = np.exp(rng.uniform(np.log(6 if kind == "filled" else 14), np.log(60)))
        minor = max(major * rng.uniform(0.5, 1), 3.0)
        centre = cell / 2 + rng.uniform(-0.5, 0.5, 2)
        local = np.array([*centre, major, minor, rng.uniform(0, 180)])
        shape, filled = cover(local, kind, rng.uniform(-180, 180), cell)
        x0, y0 = left + k % COLUMNS * 74, top + k // COLUMNS * 70
        blurred = gaussian_filter(shape, rng.uniform(0.8, 1.6))
        pixels[y0 : y0 + cell, x0 : x0 + cell] -= CONTRAST * blurred
        masks.append(Mask(x0, y0, filled >= 0.5))
        ellipses.append([x0 + local[0], y0 + local[1], *local[2:]])
    pixels = np.clip(np.round(pixels + rng.normal(0, NOISE, pixels.shape)), 0, 255)
    truth = np.array(ellipses)
    boxes = ellipse_boxes(*truth.T)
    sides = np.tile(boxes[:, 2:] - boxes[:, :2], 2)
    boxes += np.maximum(BOX_ERROR * sides, 0.7) * np.clip(rng.standard_normal(boxes.shape), -2, 2)
    boxes[:, 2:] = np.maximum(boxes[:, 2:], boxes[:, :2] + 3)
    frame = Frame(pixels.astype(np.uint8))
    return Scene(
        frame, Instances(frame.shape, boxes, defect_types=[kind] * len(boxes)), truth, masks
    )


def ours(**options: Any) -> Method:
    """Return the post-processor with some options as a method."""
    component = WatershedEllipse(WatershedEllipseOptions(**options), Runtime(defect_types=TYPES))

    def measure(scene: Scene) -> tuple[np.ndarray, list[Mask], np.ndarray]:
        found = component.process(scene.frame, scene.instances)
        columns = ("x", "y", "major_px", "minor_px", "angle_deg")
        table = np.stack([found.measurements[name] for name in columns], axis=1)
        return table, list(found.masks or ()), found.measurements["fit"] == 1

    return measure


def p2_recipe(scene: Scene) -> tuple[np.ndarray, list[Mask], np.ndarray]:
    """Follow OpenCV's watershed tutorial in every box enlarged by a quarter on each side."""
    image, kernel = scene.frame.pixels, np.ones((3, 3), np.uint8)
    table, masks = np.full((len(scene.instances), 5), np.nan), []
    for k, (x_min, y_min, x_max, y_max) in enumerate(scene.instances.boxes):
        grow_x, grow_y = (x_max - x_min) / 4, (y_max - y_min) / 4
        x0, y0 = max(int(x_min - grow_x), 0), max(int(y_min - grow_y), 0)
        crop = image[y0 : int(y_max + grow_y) + 1, x0 : int(x_max + grow_x) + 1]
        _, above = cv2.threshold(crop, 0, 255, cv2.THRESH_BINARY_INV + cv2.THRESH_OTSU)
        opened = cv2.morphologyEx(above, cv2.MORPH_OPEN, kernel)
        sure_background = cv2.dilate(opened, kernel, iterations=3)
        distance = cv2.distanceTransform(opened, cv2.DIST_L2, 5)
        _, sure = cv2.threshold(distance, 0.7 * distance.max(), 255, cv2.THRESH_BINARY)
        sure_object = sure.astype(np.uint8)
        _, markers = cv2.connectedComponents(sure_object)
        markers += 1
        markers[cv2.subtract(sure_background, sure_object) == 255] = 0
        markers = cv2.watershed(cv2.cvtColor(crop, cv2.COLOR_GRAY2BGR), markers)
        found = (markers > 1).astype(np.uint8)
        contours, _ = cv2.findContours(found, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        largest = max(contours, key=cv2.contourArea, default=None)
        if largest is not None and len(largest) >= 5:
            (x, y), (minor, major), turn = cv2.fitEllipse(largest)
            table[k] = x + x0 + 0.5, y + y0 + 0.5, major, minor, (90 - turn) % 180
        masks.append(Mask(x0, y0, found.astype(bool)))
    return table, masks, np.isfinite(table[:, 0])


METHODS: dict[str, Method] = {
    "watershed-ellipse (skimage, edge)": ours(),
    "  engine opencv": ours(engine="opencv"),
    "  fit moments": ours(fit="moments"),
    "P2's recipe": p2_recipe,
}


def accuracy(method: Method, scenes: list[Scene]) -> str:
    """Return one row of the table: errors of a method over all scenes."""
    parts = [(*method(scene), scene) for scene in scenes]
    found = np.concatenate([table for table, *_ in parts])
    true = np.concatenate([scene.ellipses for *_, scene in parts])
    segmented = np.concatenate([fitted for _, _, fitted, _ in parts])
    overlaps = [
        mask_iou(a, b) for _, masks, _, s in parts for a, b in zip(masks, s.masks, strict=True)
    ]
    cells = [f"{100 * segmented.mean():5.1f}"]
    for column in (2, 3):
        relative = 100 * (found[:, column] / true[:, column] - 1)
        low, middle, high = np.nanpercentile(relative, [16, 50, 84])
        cells.append(f"{middle:+6.1f} ±{(high - low) / 2:5.1f}")
    far = np.abs(found[:, 2] / true[:, 2] - 1) > 0.25
    cells.append(f"{100 * (far | ~np.isfinite(found[:, 2])).mean():5.1f}")
    long = true[:, 3] < 0.8 * true[:, 2]
    turn = np.abs((found[long, 4] - true[long, 4] + 90) % 180 - 90)
    return "  ".join([*cells, f"{np.nanmedian(turn):5.1f}", f"{np.median(overlaps):6.2f}"])


def timings(scene: Scene, repeats: int) -> dict[str, list[float]]:
    """Return milliseconds of every method, measured in turns."""
    taken: dict[str, list[float]] = {name: [] for name in METHODS}
    for _ in range(repeats + 1):
        for name, method in METHODS.items():
            start = time.perf_counter()
            method(scene)
            taken[name].append(1000 * (time.perf_counter() - start))
    # The first turn warms up.
    return {name: values[1:] for name, values in taken.items()}


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=3, help="frames of 150 shapes of each kind")
    parser.add_argument("--repeats", type=int, default=15, help="turns of the time measurement")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    columns = "segmented %  major %         minor %         off by > 25 %  angle °  mask IoU"
    for kind in TYPES:
        for textured in (False, True):
            scenes = [draw(kind, textured, seed) for seed in range(arguments.frames)]
            print(f"\n{kind}, {'textured' if textured else 'clean'} background\n{'':36}{columns}")
            for name, method in METHODS.items():
                print(f"{name:36}{accuracy(method, scenes)}")
    for kind in ("filled", "ring"):
        taken = timings(draw(kind, True, 0), arguments.repeats)
        print(f"\n150 boxes in 1120 x 710 px, {kind}, one thread: ms a frame, ratio to P2's recipe")
        for name, values in taken.items():
            pairs = zip(values, taken["P2's recipe"], strict=True)
            ratio = statistics.median(a / b for a, b in pairs)
            print(f"{name:36}{statistics.median(values):7.1f}  {ratio:5.2f}")


if __name__ == "__main__":
    main()
