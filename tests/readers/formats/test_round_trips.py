"""What goes into each format and comes back, for arbitrary datasets."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy.ndimage import binary_fill_holes

from defectscope.core.base import AnnotationFormat
from defectscope.core.datasets import Dataset, LabelledImage
from defectscope.core.geometry.ellipses import ellipse_boxes
from defectscope.core.instances import Instances
from defectscope.core.masks import Mask
from defectscope.readers.formats.coco import Coco
from defectscope.readers.formats.holdings import ELLIPSE_UNITS, known_ellipses
from defectscope.readers.formats.imagej_csv import ImageJCsv
from defectscope.readers.formats.imagej_roi import ImageJRoi
from defectscope.readers.formats.labelme import LabelMe
from defectscope.readers.formats.pascal_voc import PascalVoc
from defectscope.readers.formats.yolo import Yolo

TYPES = ("a/2<111> loop", "black dot", "dislocation", "Versetzung äöü", "q\"u'o,te")
examples = settings(max_examples=40)


@dataclass(frozen=True)
class Kinds:
    """What the instances of a drawn dataset may have."""

    masks: bool = False
    lines: bool = False
    ellipses: bool = False
    whole_boxes: bool = False


@st.composite
def boxes_in(draw: st.DrawFn, shape: tuple[int, int], whole: bool) -> list[float]:
    height, width = shape
    sides = []
    for size in (width, height):
        low = draw(st.integers(0, size - 1))
        high = draw(st.integers(low + 1, size))
        if not whole:
            # Any float32 fractions, as detectors report them.
            low += draw(st.floats(0, 0.4375, width=32))
            high -= draw(st.floats(0, 0.4375, width=32))
        sides.append((low, high))
    (x0, x1), (y0, y1) = sides
    return [x0, y0, x1, y1]


@st.composite
def masks_in(draw: st.DrawFn, shape: tuple[int, int]) -> Mask:
    height, width = (draw(st.integers(1, min(7, side))) for side in shape)
    bits = draw(st.lists(st.booleans(), min_size=height * width, max_size=height * width))
    y, x = draw(st.integers(0, shape[0] - height)), draw(st.integers(0, shape[1] - width))
    return Mask(x, y, np.array(bits, bool).reshape(height, width))


@st.composite
def instances_in(draw: st.DrawFn, shape: tuple[int, int], kinds: Kinds) -> Instances:
    n = draw(st.integers(0, 4))
    if n == 0:
        return Instances.empty(shape)
    number = st.floats(0.5, 90, width=32)
    boxes = [draw(boxes_in(shape, kinds.whole_boxes)) for _ in range(n)]
    masks = [draw(masks_in(shape)) for _ in range(n)] if kinds.masks else None
    lines = None
    if kinds.lines:
        vertices = st.lists(st.tuples(number, number), min_size=2, max_size=5)
        nothing = st.just([])
        lines = [np.array(draw(vertices | nothing), float).reshape(-1, 2) for _ in range(n)]
    columns: dict[str, list[float]] = {}
    if kinds.ellipses:
        rows = [draw(st.tuples(*[number] * 5) | st.just((np.nan,) * 5)) for _ in range(n)]
        columns = dict(zip(ELLIPSE_UNITS, map(list, zip(*rows, strict=True)), strict=True))
    if draw(st.booleans()):
        ids = st.integers(0, 2**40) | st.just(np.nan)
        columns["track_id"] = [draw(ids) for _ in range(n)]
    return Instances(
        shape,
        boxes,
        [draw(st.sampled_from((1.0, 0.25)) | st.floats(0, 1, width=32)) for _ in range(n)],
        [draw(st.sampled_from(TYPES)) for _ in range(n)],
        [draw(st.booleans()) for _ in range(n)],
        masks,
        lines,
        {name: np.array(values) for name, values in columns.items()},
        ELLIPSE_UNITS,
    )


@st.composite
def datasets(draw: st.DrawFn, kinds: Kinds = Kinds()) -> Dataset:
    images = []
    for number in range(draw(st.integers(1, 3))):
        shape = draw(st.tuples(st.integers(8, 40), st.integers(8, 40)))
        frame = draw(st.none() | st.integers(0, 2000))
        pixel_size_nm = draw(st.none() | st.floats(0.01, 10))
        dose_dpa = draw(st.none() | st.floats(0, 100))
        found = draw(instances_in(shape, kinds))
        image = LabelledImage(f"Frame{number}.png", found, frame, pixel_size_nm, dose_dpa)
        images.append(image)
    return Dataset(images, None, draw(st.sampled_from(((), TYPES))))


def write_images(dataset: Dataset, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for image in dataset.images:
        height, width = image.instances.image_shape
        Image.new("L", (width, height)).save(folder / image.file_name)


def returned(
    component: AnnotationFormat, dataset: Dataset, name: str, images: str | None = None
) -> Dataset:
    """Write and read again; the images lie in `images` of the folder, if named."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, name)
        component.save(dataset, path)
        if images is not None:
            write_images(dataset, (path if path.is_dir() else path.parent) / images)
        assert component.accepts(path)
        return component.load(path)


def track_ids(instances: Instances) -> list[float]:
    column = instances.measurements.get("track_id", np.full(len(instances), np.nan))
    return np.asarray(column, float).tolist()


def ellipses(instances: Instances) -> np.ndarray:
    nothing = np.full(len(instances), np.nan)
    known = known_ellipses(instances)
    columns = [instances.measurements.get(name, nothing) for name in ELLIPSE_UNITS]
    return np.where(known, np.array(columns, float), np.nan)


def masks_of(instances: Instances) -> list[np.ndarray]:
    masks = instances.masks or (Mask(0, 0, np.zeros((0, 0), bool)),) * len(instances)
    return [mask.to_dense(instances.image_shape) for mask in masks]


def assert_same_labels(found: Instances, given: Instances) -> None:
    assert found.image_shape == given.image_shape
    assert found.defect_types.tolist() == given.defect_types.tolist()
    assert found.ignore.tolist() == given.ignore.tolist()


@examples
@given(datasets(Kinds(masks=True, lines=True, ellipses=True)))
def test_coco_keeps_everything(dataset: Dataset) -> None:
    back = returned(Coco(), dataset, "labels.json")
    used = {str(t) for image in dataset.images for t in image.instances.defect_types}
    assert set(back.defect_types) == used | set(dataset.defect_types)
    assert [(i.file_name, i.frame, i.pixel_size_nm, i.dose_dpa) for i in back.images] == [
        (i.file_name, i.frame, i.pixel_size_nm, i.dose_dpa) for i in dataset.images
    ]
    for image, original in zip(back.images, dataset.images, strict=True):
        found, given = image.instances, original.instances
        assert_same_labels(found, given)
        np.testing.assert_array_equal(found.boxes, given.boxes)
        np.testing.assert_array_equal(found.scores, given.scores)
        np.testing.assert_array_equal(masks_of(found), masks_of(given))
        np.testing.assert_array_equal(ellipses(found), ellipses(given))
        np.testing.assert_array_equal(track_ids(found), track_ids(given))
        nothing = (np.zeros((0, 2)),) * len(given)
        for line, known in zip(found.lines or nothing, given.lines or nothing, strict=True):
            np.testing.assert_array_equal(line, known)


@examples
@given(datasets(Kinds(whole_boxes=True)))
def test_voc_keeps_whole_boxes_types_and_ignore(dataset: Dataset) -> None:
    back = returned(PascalVoc(), dataset, "voc")
    assert [i.file_name for i in back.images] == [i.file_name for i in dataset.images]
    for image, original in zip(back.images, dataset.images, strict=True):
        assert_same_labels(image.instances, original.instances)
        np.testing.assert_array_equal(image.instances.boxes, original.instances.boxes)


@examples
@given(datasets())
def test_voc_moves_sides_by_half_a_pixel_at_most(dataset: Dataset) -> None:
    back = returned(PascalVoc(), dataset, "voc")
    for image, original in zip(back.images, dataset.images, strict=True):
        given = original.instances.boxes.astype(float)
        moved = np.abs(image.instances.boxes - given)
        tiny = (np.rint(given[:, 2:]) <= np.rint(given[:, :2])).any(axis=1)
        assert (moved[~tiny] <= 0.5).all()
        assert (moved < 1).all()


@examples
@given(datasets())
def test_yolo_keeps_boxes_within_a_thousandth(dataset: Dataset) -> None:
    if not dataset.defect_types and not any(len(i.instances) for i in dataset.images):
        return  # a YOLO dataset without classes does not exist
    back = returned(Yolo(), dataset, "yolo", "images")
    assert back.folder is not None
    assert back.folder.name == "images"
    for image, original in zip(back.images, dataset.images, strict=True):
        kept = original.instances[~original.instances.ignore]
        assert image.instances.defect_types.tolist() == kept.defect_types.tolist()
        np.testing.assert_allclose(image.instances.boxes, kept.boxes, atol=1e-3)


@examples
@given(datasets())
def test_labelme_keeps_boxes_exactly(dataset: Dataset) -> None:
    back = returned(LabelMe(), dataset, "labelme")
    assert [(i.file_name, i.frame, i.pixel_size_nm, i.dose_dpa) for i in back.images] == [
        (i.file_name, i.frame, i.pixel_size_nm, i.dose_dpa) for i in dataset.images
    ]
    for image, original in zip(back.images, dataset.images, strict=True):
        found, given = image.instances, original.instances
        assert_same_labels(found, given)
        np.testing.assert_array_equal(found.boxes, given.boxes)
        np.testing.assert_array_equal(found.scores, given.scores)
        np.testing.assert_array_equal(track_ids(found), track_ids(given))


@examples
@given(datasets(Kinds(masks=True)))
def test_labelme_keeps_masks_but_their_holes(dataset: Dataset) -> None:
    back = returned(LabelMe(), dataset, "labelme")
    for image, original in zip(back.images, dataset.images, strict=True):
        pairs = zip(masks_of(image.instances), masks_of(original.instances), strict=True)
        for found, mask in pairs:
            # Background pixels that touch at a corner are one background.
            filled = binary_fill_holes(mask, structure=np.ones((3, 3)))
            np.testing.assert_array_equal(found, filled)


@examples
@given(datasets(Kinds(masks=True)))
def test_regions_keep_masks_with_holes_and_parts(dataset: Dataset) -> None:
    back = returned(ImageJRoi(), dataset, "set.zip").by_stem()
    for original in dataset.images:
        if len(original.instances) == 0:
            assert original.stem not in back
            continue
        image = back[original.stem]
        assert_same_labels(image.instances, original.instances)
        assert image.frame == original.frame
        np.testing.assert_array_equal(masks_of(image.instances), masks_of(original.instances))
        np.testing.assert_array_equal(image.instances.scores, original.instances.scores)
        np.testing.assert_array_equal(track_ids(image.instances), track_ids(original.instances))


@examples
@given(datasets())
def test_regions_keep_boxes_as_float32(dataset: Dataset) -> None:
    back = returned(ImageJRoi(), dataset, "set.zip").by_stem()
    for original in dataset.images:
        if len(original.instances):
            found = back[original.stem].instances
            assert_same_labels(found, original.instances)
            np.testing.assert_allclose(found.boxes, original.instances.boxes, atol=1e-5)


@examples
@given(
    st.lists(
        st.tuples(
            st.floats(60, 140), st.floats(60, 140), st.floats(1, 90), st.floats(0.1, 1),
            st.floats(0, 179.9),
        ),
        min_size=1, max_size=4,
    ),
    st.sampled_from(("set.zip", "Results.csv")),
)  # fmt: skip
def test_imagej_keeps_ellipses(
    drawn: list[tuple[float, float, float, float, float]], name: str
) -> None:
    rows = np.array([(x, y, major, major * ratio, angle) for x, y, major, ratio, angle in drawn])
    given = Instances(
        (200, 200), ellipse_boxes(*rows.T), None, ["black dot"] * len(rows), None, None, None,
        dict(zip(ELLIPSE_UNITS, rows.T, strict=True)), ELLIPSE_UNITS,
    )  # fmt: skip
    dataset = Dataset([LabelledImage("Frame1.png", given)])
    component = ImageJRoi() if name.endswith("zip") else ImageJCsv()
    (image,) = returned(component, dataset, name, "").images
    found = ellipses(image.instances)
    np.testing.assert_allclose(found[:4], rows.T[:4], atol=1e-4)
    turned = (found[4] - rows[:, 4] + 90) % 180 - 90
    # A nearly round ellipse has no direction to speak of.
    np.testing.assert_allclose(turned, 0, atol=1e-2)
    np.testing.assert_allclose(image.instances.boxes, given.boxes, atol=1e-3)


@examples
@given(st.lists(st.lists(st.tuples(*[st.floats(1, 199, width=32)] * 2), min_size=2, max_size=6)))
def test_labelme_and_regions_keep_lines(lines: list[list[tuple[float, float]]]) -> None:
    points = [np.array(line) for line in lines]
    boxes = [(*p.min(axis=0) - 0.5, *p.max(axis=0) + 0.5) for p in points]
    given = Instances((200, 200), boxes, None, ["dislocation"] * len(points), lines=points)
    dataset = Dataset([LabelledImage("Frame1.png", given)])
    for component, name in ((LabelMe(), "labels"), (ImageJRoi(), "set.zip")):
        images = returned(component, dataset, name).images
        found = images[0].instances.lines or () if images else ()
        for line, known in zip(found, points, strict=True):
            np.testing.assert_allclose(line, known, atol=1e-4)


@examples
@given(datasets())
def test_imagej_results_keep_boxes_within_a_thousandth(dataset: Dataset) -> None:
    back = returned(ImageJCsv(), dataset, "Results.csv", "").by_stem()
    for original in dataset.images:
        if len(original.instances) == 0:
            assert original.stem not in back
            continue
        found, given = back[original.stem].instances, original.instances
        assert_same_labels(found, given)
        np.testing.assert_allclose(found.boxes, given.boxes, atol=1e-3)
        np.testing.assert_array_equal(found.scores, given.scores)
        np.testing.assert_array_equal(track_ids(found), track_ids(given))


def test_polygons_of_one_part_are_written_for_yolo(tmp_path: Path) -> None:
    mask = Mask(3, 4, np.array([[1, 1, 0], [1, 1, 1]], bool))
    found = Instances((20, 30), [mask.box], None, ["black dot"], masks=[mask])
    dataset = Dataset([LabelledImage("a.png", found)])
    path = tmp_path / "yolo"
    assert Yolo().save(dataset, path) == [
        f"reading it needs the images: put them into {path / 'images'}, or convert again with "
        "--copy-images"
    ]
    write_images(dataset, path / "images")
    (image,) = Yolo().load(path).images
    np.testing.assert_array_equal(masks_of(image.instances), masks_of(found))
    np.testing.assert_allclose(image.instances.boxes, found.boxes, atol=1e-3)


NO_MASK = Mask(0, 0, np.zeros((0, 0), bool))
KINDS: dict[str, Callable[[LabelledImage], list[np.ndarray]]] = {
    "boxes changed": lambda i: [i.instances.boxes],
    "scores": lambda i: [i.instances.scores],
    "ignored": lambda i: [i.instances.ignore],
    "ellipses": lambda i: [np.sort(ellipses(i.instances)[:4], axis=0)],
    "lines": lambda i: list(i.instances.lines or (np.zeros((0, 2)),) * len(i.instances)),
    "masks": lambda i: masks_of(i.instances),
    "tracks": lambda i: [np.array(track_ids(i.instances))],
    "frame indices": lambda i: [np.array(i.frame, float)],
    "pixel sizes": lambda i: [np.array(i.pixel_size_nm, float)],
    "doses": lambda i: [np.array(i.dose_dpa, float)],
}


@examples
@given(
    datasets(Kinds(masks=True, lines=True, ellipses=True)),
    st.sampled_from(
        ((Coco, "c.json", ""), (LabelMe, "labels", None), (ImageJRoi, "set.zip", None),
         (ImageJCsv, "r.csv", ""), (PascalVoc, "voc", None), (Yolo, "yolo", "images"))
    ),
)  # fmt: skip
def test_whatever_does_not_come_back_was_announced(
    dataset: Dataset, case: tuple[type[AnnotationFormat], str, str | None]
) -> None:
    kind, name, images = case
    dataset = replace(dataset, defect_types=TYPES)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, name)
        told = " ".join(kind().save(dataset, path))
        if images is not None:
            write_images(dataset, (path if path.is_dir() else path.parent) / images)
        back = kind().load(path).by_stem()
    for original in dataset.images:
        if not len(original.instances):
            continue
        if kind is Yolo:
            original = replace(original, instances=original.instances[~original.instances.ignore])
        found = back[original.stem]
        if len(found.instances) != len(original.instances):
            assert "outside of their image" in told
            continue
        # A mask more, of an ellipse that became a polygon, is no loss.
        had = [mask.any() for mask in masks_of(original.instances)]
        if found.instances.masks is not None:
            kept = [m if h else NO_MASK for m, h in zip(found.instances.masks, had, strict=True)]
            found = replace(found, instances=replace(found.instances, masks=tuple(kept)))
        for word, values in KINDS.items():
            if not same(values(found), values(original)):
                assert word in told or (word == "boxes changed" and "boxes moved" in told), word


def same(found: Sequence[np.ndarray], given: Sequence[np.ndarray]) -> bool:
    return all(
        f.shape == g.shape and np.allclose(f, g, rtol=0, atol=0.01, equal_nan=True)
        for f, g in zip(found, given, strict=True)
    )
