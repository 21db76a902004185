"""Fitted loop sizes: known distributions come back, and files say what is wrong with them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from defectscope import Dataset, FormatError, InputError, Instances, LabelledImage
from defectscope.core.geometry.ellipses import ellipse_boxes
from defectscope.generators.loop_shipped_sizes import SHIPPED_SIZES
from defectscope.generators.loop_sizes import LoopSizes, fit_loop_sizes

DOT = "black dot"


def labelled(n: int, ellipses: bool, inset: float = 0.0, seed: int = 0) -> LabelledImage:
    """Return one image of 2000 × 1000 px with dots of 20 to 40 px, aspect 0.5 to 0.9."""
    rng = np.random.default_rng(seed)
    major, aspect = rng.uniform(20, 40, n), rng.uniform(0.5, 0.9, n)
    x, y, angle = rng.uniform(50, 1950, n), rng.uniform(50, 950, n), rng.uniform(0, 180, n)
    boxes = ellipse_boxes(x, y, major, major * aspect, angle) + np.array([1, 1, -1, -1]) * inset
    columns = {"major_px": major, "minor_px": major * aspect} if ellipses else {}
    truth = Instances((1000, 2000), boxes, defect_types=DOT, measurements=columns)
    return LabelledImage(f"{seed}.png", truth)


def test_known_ellipses_come_back() -> None:
    fitted = fit_loop_sizes(Dataset([labelled(4000, True)]))
    assert set(fitted.types) == {DOT}
    found = fitted.types[DOT]
    assert found.major_px == pytest.approx(np.linspace(20, 40, 11), abs=0.6)
    assert found.aspect == pytest.approx(np.linspace(0.5, 0.9, 11), abs=0.015)
    assert found.per_megapixel == pytest.approx([2000.0] * 11)


@pytest.mark.parametrize("shape", [(256, 256), (180, 400)])
def test_large_loops_are_not_missed_for_reaching_the_rim(shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(5)
    height, width = shape
    images = []
    for _ in range(400):
        major, aspect = rng.uniform(15, 90, 15), rng.uniform(0.5, 1, 15)
        x, y, angle = rng.uniform(0, width, 15), rng.uniform(0, height, 15), rng.uniform(0, 180, 15)
        boxes = ellipse_boxes(x, y, major, major * aspect, angle)
        columns = {"major_px": major, "minor_px": major * aspect}
        truth = Instances(
            shape, np.clip(boxes, 0, [width, height] * 2), defect_types=DOT, measurements=columns
        )
        images.append(LabelledImage("a.png", truth))
    found = fit_loop_sizes(Dataset(images)).types[DOT]
    assert found.major_px == pytest.approx(np.linspace(15, 90, 11), abs=1.5)
    assert found.aspect == pytest.approx(np.linspace(0.5, 1, 11), abs=0.015)


def test_one_loop_that_fills_an_image_does_not_outweigh_all_others() -> None:
    boxes = [[1, 1, 99, 99], *([10, 10, 20 + k % 5, 20] for k in range(200))]
    image = LabelledImage("a.png", Instances((100, 100), boxes, defect_types=DOT))
    assert fit_loop_sizes(Dataset([image])).types[DOT].major_px[5] < 20


def test_boxes_alone_give_sizes_close_to_the_truth() -> None:
    image = labelled(4000, ellipses=False, inset=1.0)
    found = fit_loop_sizes(Dataset([image]), label_inset_px=1.0).types[DOT]
    assert found.major_px[5] == pytest.approx(30, rel=0.04)
    assert found.aspect[5] == pytest.approx(0.7, abs=0.06)
    without = fit_loop_sizes(Dataset([image])).types[DOT]
    assert without.major_px[5] < found.major_px[5] - 1.5


def test_densities_are_those_of_the_images() -> None:
    images = [labelled(n, True, seed=n) for n in (20, 60, 100)]
    found = fit_loop_sizes(Dataset(images)).types[DOT]
    assert [found.per_megapixel[k] for k in (0, 5, 10)] == pytest.approx([10, 30, 50])


def test_what_is_cut_ignored_or_no_loop_does_not_count() -> None:
    boxes = [[0, 50, 90, 140], [100, 100, 120, 110], [200, 200, 300, 300], [10, 10, 90, 90]]
    truth = Instances(
        (400, 400), boxes, ignore=[False, False, True, False],
        defect_types=[DOT, DOT, DOT, "something else"],
    )  # fmt: skip
    found = fit_loop_sizes(Dataset([LabelledImage("a.png", truth)]))
    assert set(found.types) == {DOT}
    assert max(found.types[DOT].major_px) < 25
    assert found.types[DOT].per_megapixel[0] == pytest.approx(2 / 0.16)


def test_nothing_to_fit_is_said() -> None:
    empty = Dataset([LabelledImage("a.png", Instances.empty((10, 10)))])
    with pytest.raises(InputError, match="no loop sizes to fit: expected labels of the types"):
        fit_loop_sizes(empty)


@pytest.mark.parametrize("name", ["sizes.json", "sizes.toml"])
@pytest.mark.parametrize("sizes", SHIPPED_SIZES.values(), ids=SHIPPED_SIZES)
def test_files_come_back(tmp_path: Path, name: str, sizes: LoopSizes) -> None:
    sizes.save(tmp_path / name)
    assert LoopSizes.load(tmp_path / name) == sizes


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.json", "{", "must be JSON or TOML"),
        ("a.toml", "types = [", "must be JSON or TOML"),
        ("a.json", "[]", "valid dictionary"),
        ("a.json", "{}", "types: Field required"),
        ("a.toml", "[types.x]\nmajor_px = [3]\naspect = [0.5]", "per_megapixel: Field required"),
        (
            "a.toml",
            "[types.x]\nmajor_px = [9, 3]\naspect = [0.5]\nper_megapixel = [1]",
            r"types.x.major_px.*must ascend, found \[9.0, 3.0\]",
        ),
        (
            "a.toml",
            "[types.x]\nmajor_px = [3]\naspect = [0.5]\nper_megapixel = [inf]",
            "finite number",
        ),
        (
            "a.toml",
            "[types.x]\nmajor_px = [3]\naspect = [1.5]\nper_megapixel = [1]",
            "less than or equal to 1",
        ),
    ],
)
def test_a_malformed_file_is_refused_in_one_sentence(
    tmp_path: Path, name: str, text: str, message: str
) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    with pytest.raises(FormatError, match=message) as caught:
        LoopSizes.load(tmp_path / name)
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_absent_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cannot read loop sizes from .*none\.toml: No such file"):
        LoopSizes.load(tmp_path / "none.toml")
    with pytest.raises(ValidationError):
        LoopSizes(types={})


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("folder", "name", "median"),
    [("insitu-loops", "dislocation-loop", 21.4), ("stem-multitype", "a/2<111> loop", 44)],
)
def test_real_labels_give_sizes(real_data: Any, folder: str, name: str, median: float) -> None:
    from defectscope.readers.formats.coco import Coco

    file = real_data(folder) / "annotations.json"
    found = fit_loop_sizes(Coco().load(file), label_inset_px=1.0)
    assert found.types[name].major_px[5] == pytest.approx(median, rel=0.1)
    assert found.types[name].aspect[5] == pytest.approx(0.65, abs=0.1)
