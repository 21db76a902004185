"""Images of lines as Govind et al. draw them: a test set by another painter than ours.

The background is their Perlin noise (eqs. 1 to 6, Table 1); the lines are Matplotlib's, of one flat
grey each, by the recipe that ``benchmarks/generation.py`` times. Used by ``benchmarks/lines.py``.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from generation import SIZE_PX, recipe_canvas, recipe_lines

from defectscope import Instances
from defectscope.core.datasets import Dataset, LabelledImage
from defectscope.core.geometry.polylines import polyline_box, polyline_length, polyline_resample
from defectscope.generators.line_paths import pieces_inside
from defectscope.pipeline.labels import save_dataset
from defectscope.plugins.host import default_host

__all__ = ["draw_paper_set"]

FEWEST, MOST = 4, 20
# As in ours: shorter parts inside the frame are not labelled.
SHORTEST_PX = 8.0


def draw_paper_set(folder: Path, count: int, seed: int) -> None:
    """Write a dataset of `count` images."""
    host = default_host()
    perlin = host.build("backgrounds", "perlin")
    (folder / "images").mkdir(parents=True, exist_ok=True)
    images = []
    for number in range(count):
        rng = np.random.default_rng([seed, number])
        background, _ = perlin.render((SIZE_PX, SIZE_PX), rng)
        drawn = recipe_lines(int(rng.integers(FEWEST, MOST + 1)), rng)
        name = f"images/{number:06d}.png"
        recipe_canvas(folder / name, drawn, background)
        images.append(LabelledImage(name, _truth(drawn), number))
    save_dataset(Dataset(images, folder), folder, "coco", host)


def _truth(drawn: list[dict[str, object]]) -> Instances:
    shape, lines = (SIZE_PX, SIZE_PX), []
    for line in drawn:
        points = np.array(line["points"], float)
        path = polyline_resample(points, int(polyline_length(points)) + 2)
        lines += [inside for _, _, inside in pieces_inside(path, shape)
                  if polyline_length(inside) >= SHORTEST_PX]  # fmt: skip
    return Instances(
        shape, [polyline_box(line) for line in lines], defect_types="dislocation", lines=lines
    )
