"""A dataset is gone on with from the same files only."""

from __future__ import annotations

import json
import re

import cv2
import numpy as np
import pytest

import defectscope as ds
from defectscope.core.errors import UsageError
from defectscope.generators.loop_sizes import LoopSizes, TypeSizes
from defectscope.generators.microstructure import M1


def image(path, seed):
    pixels = np.random.default_rng(seed).integers(140, 160, (64, 64), np.uint8)
    for x in (10, 22, 34):
        cv2.line(pixels, (x, 10), (x + 3, 50), 40, 3)
    cv2.imwrite(str(path), pixels)


def labels(path, x):
    lines = [[[x + 12 * k, 10], [x + 12 * k + 3, 50]] for k in range(3)]
    shapes = [{"label": "d", "shape_type": "line", "points": line} for line in lines]
    document = {"shapes": shapes, "imagePath": "a.png", "imageData": None, "imageHeight": 64,
                "imageWidth": 64}  # fmt: skip
    path.write_text(json.dumps(document))


def sizes(path, major_px):
    one = TypeSizes(major_px=(major_px,), aspect=(0.8,), per_megapixel=(500,))
    LoopSizes(types={"black dot": one}).save(path)


def microstructure(path, points):
    shape = tuple((0.01 * k, k / points) for k in range(points + 1))
    M1.model_copy(update={"line_shapes": (shape,)}).save(path)


# Generator, background, option, what it names below the folder, what is changed there, and how.
FILES = {
    "images": ("dislocations", "images", "images.folder", "frames", "frames/a.png", image),
    "sizes": ("loops", "texture", "loops.sizes", "sizes.json", "sizes.json", sizes),
    "microstructure": (
        "dislocations", "texture", "dislocations.microstructure", "m.json", "m.json",
        microstructure,
    ),
    "shapes": (
        "dislocations", "texture", "dislocations.shapes_from", "frames", "frames/a.json", labels,
    ),
    "labels": ("twin", "texture", "twin.labels", "frames/a.json", "frames/a.json", labels),
    "labelled image": ("twin", "texture", "twin.labels", "frames", "frames/a.png", image),
}  # fmt: skip


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "frames").mkdir()
    image(tmp_path / "frames/a.png", 0)
    labels(tmp_path / "frames/a.json", 10)
    sizes(tmp_path / "sizes.json", 9)
    microstructure(tmp_path / "m.json", 3)
    return tmp_path


@pytest.mark.parametrize("case", FILES)
def test_other_files_are_not_gone_on_with(case, folder):
    generator, background, option, named, changed, write = FILES[case]
    component, _, name = option.partition(".")

    def go_on():
        ds.generate(
            generator, folder / "data", background=background, size=64, resume=True,
            options={component: {name: str(folder / named)}},
        )  # fmt: skip

    go_on()
    go_on()
    former = (folder / "data/dataset.json").read_text()
    write(folder / changed, 12)
    file = re.escape(changed.rpartition("/")[2])
    message = rf"the files that {component} draws from are others .* begun with \({file}\)"
    with pytest.raises(UsageError, match=message):
        go_on()
    # Plans of earlier versions say nothing of them.
    record = json.loads(former)
    del record["depends_on"]
    (folder / "data/dataset.json").write_text(json.dumps(record))
    go_on()
