"""ImageJ's regions of interest."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image
from roifile import ROI_OPTIONS, ROI_SUBTYPE, ROI_TYPE, ImagejRoi, roiread

from defectscope.core.base import Runtime
from defectscope.core.datasets import Dataset, LabelledImage
from defectscope.core.defect_types import DefectType
from defectscope.core.errors import FormatError, InputError, OutputError
from defectscope.core.instances import Instances
from defectscope.core.masks import Mask
from defectscope.readers.formats import imagej_files
from defectscope.readers.formats.holdings import ELLIPSE_UNITS
from defectscope.readers.formats.imagej_roi import ImageJRoi

TYPES = {"black dot": DefectType("black dot", "Black dot", "ellipse", colour="#cc79a7")}


def load(path: Path, **options: object) -> Dataset:
    loaded = ImageJRoi(ImageJRoi.Options(**options), Runtime(defect_types=TYPES)).load(path)
    assert isinstance(loaded, Dataset)
    return loaded


def write(path: Path, *rois: ImagejRoi) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for number, roi in enumerate(rois):
            archive.writestr(f"{number}.roi", roi.tobytes())
    return path


def rectangle(**values: Any) -> ImagejRoi:
    return ImagejRoi(roitype=ROI_TYPE.RECT, left=2, top=3, right=12, bottom=8, **values)


def points(kind: ROI_TYPE, coordinates: Any, **values: Any) -> ImagejRoi:
    roi = ImagejRoi.frompoints(coordinates, name="x")
    roi.roitype = kind
    for name, value in values.items():
        setattr(roi, name, value)
    return roi


SQUARE = [[2, 3], [12, 3], [12, 8], [2, 8]]


def test_every_shape(tmp_path: Path) -> None:
    path = write(
        tmp_path / "RoiSet.zip",
        rectangle(),
        rectangle(options=ROI_OPTIONS.SUB_PIXEL_RESOLUTION, xd=2.5, yd=3.5, widthd=4, heightd=5),
        ImagejRoi(roitype=ROI_TYPE.OVAL, left=2, top=3, right=6, bottom=11),
        points(ROI_TYPE.POLYGON, SQUARE),
        points(ROI_TYPE.FREEHAND, np.array(SQUARE, float)),
        points(ROI_TYPE.TRACED, SQUARE),
        points(ROI_TYPE.POLYLINE, [[2, 3], [12, 3], [12, 8]]),
        points(ROI_TYPE.FREELINE, np.array([[2.25, 3], [12, 3]])),
        ImagejRoi(roitype=ROI_TYPE.LINE, x1=1, y1=2, x2=3, y2=4),
        points(ROI_TYPE.POINT, [[2, 3]]),
        points(ROI_TYPE.ANGLE, [[2, 3], [4, 5], [6, 7]]),
        rectangle(subtype=ROI_SUBTYPE.TEXT),
    )
    dataset = load(path)
    found = dataset.images[0].instances
    assert found.boxes.tolist() == [
        [2, 3, 12, 8], [2.5, 3.5, 6.5, 8.5], [2, 3, 6, 11], *[[2, 3, 12, 8]] * 3,
        # ImageJ's lines count pixel centres, ours corners: they lie half a pixel further.
        [2, 3, 13, 9], [2.25, 3, 13, 4], [1, 2, 4, 5],
    ]  # fmt: skip
    assert found.lines is not None
    assert found.lines[6].tolist() == [[2.5, 3.5], [12.5, 3.5], [12.5, 8.5]]
    assert found.lines[7].tolist() == [[2.75, 3.5], [12.5, 3.5]]
    assert found.lines[8].tolist() == [[1.5, 2.5], [3.5, 4.5]]
    assert found.masks is not None
    assert [mask.area_px for mask in found.masks] == [0, 0, 0, 50, 50, 50, 0, 0, 0]
    oval = [found.measurements[name][2] for name in ELLIPSE_UNITS]
    assert oval == [4, 7, 8, 4, 90]
    assert dataset.warnings[:3] == (
        "regions of the kind 'point', left out: 1",
        "regions of the kind 'angle', left out: 1",
        "regions of the kind 'rect text', left out: 1",
    )


def test_ellipse_of_imagej_itself(tmp_path: Path) -> None:
    # makeEllipse(10, 40, 40, 10, 0.5): the major axis rises to the right at 45 degrees.
    roi = points(ROI_TYPE.FREEHAND, np.array(SQUARE, float), subtype=ROI_SUBTYPE.ELLIPSE)
    roi.x1, roi.y1, roi.x2, roi.y2 = 10, 40, 40, 10
    # The bytes of the float 0.5 where other shapes keep arrows.
    roi.arrow_style_or_aspect_ratio, roi.arrow_head_size, roi.rounded_rect_arc_size = 0x3F, 0, 0
    found = load(write(tmp_path / "a.zip", roi)).images[0].instances
    values = [float(found.measurements[name][0]) for name in ELLIPSE_UNITS]
    np.testing.assert_allclose(values, [25, 25, 30 * 2**0.5, 15 * 2**0.5, 45], rtol=1e-6)


def test_hole_of_a_composite(tmp_path: Path) -> None:
    # Move, line, close: a square with a smaller one in it.
    path = [0, 0, 0, 1, 6, 0, 1, 6, 6, 1, 0, 6, 4, 0, 2, 2, 1, 4, 2, 1, 4, 4, 1, 2, 4, 4]
    roi = ImagejRoi(
        roitype=ROI_TYPE.RECT, right=6, bottom=6, shape_roi_size=len(path),
        multi_coordinates=np.array(path, np.float32),
    )  # fmt: skip
    found = load(write(tmp_path / "a.zip", roi)).images[0].instances
    assert found.masks is not None
    assert found.masks[0].area_px == 36 - 4
    roi.multi_coordinates = np.array([0, 0, 0, 3, *[1] * 6], np.float32)
    roi.shape_roi_size = 10
    with pytest.raises(FormatError, match="the region has curves, which cannot be read; in ImageJ"):
        load(write(tmp_path / "b.zip", roi))


def test_types_come_from_properties_names_and_the_option(tmp_path: Path) -> None:
    path = write(
        tmp_path / "a.zip",
        rectangle(name="black dot", props="defect_type: loop\nscore: 0.5\nignore: 1\n"),
        rectangle(name="black dot"),
        rectangle(name="black dot-12", props="track_id: 7\nnonsense\n"),
        rectangle(name="0001-0002"),
    )
    found = load(path, defect_type="cavity").images[0].instances
    assert found.defect_types.tolist() == ["loop", "black dot", "black dot", "cavity"]
    assert found.scores.tolist() == [0.5, 1, 1, 1]
    assert found.ignore.tolist() == [True, False, False, False]
    np.testing.assert_array_equal(found.measurements["track_id"], [np.nan, np.nan, 7, np.nan])


def test_image_of_the_same_name(tmp_path: Path) -> None:
    Image.new("L", (30, 20)).save(tmp_path / "foil.png")
    dataset = load(write(tmp_path / "foil_RoiSet.zip", rectangle()))
    assert dataset.images[0].file_name == "foil.png"
    assert dataset.images[0].instances.image_shape == (20, 30)
    assert dataset.warnings == ()


def test_positions_count_the_pages_of_a_stack(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "s.tif", np.zeros((4, 20, 30), np.uint8), imagej=True)
    hyper = rectangle(t_position=4)
    path = write(tmp_path / "s.zip", rectangle(position=3), rectangle(position=1), hyper)
    images = load(path).images
    assert [(i.file_name, i.frame) for i in images] == [
        ("s.tif#0", 0),
        ("s.tif#2", 2),
        ("s.tif#3", 3),
    ]
    with pytest.raises(FormatError, match=r"a position from 1 to 4, .* found 5"):
        load(write(tmp_path / "s.zip", rectangle(position=5)))
    with pytest.raises(FormatError, match="found none"):
        load(write(tmp_path / "s.zip", rectangle()))


def test_the_first_page_of_a_stack_that_is_not_there_is_a_page(tmp_path: Path) -> None:
    path = write(tmp_path / "s_RoiSet.zip", rectangle(position=1), rectangle(position=2))
    assert [(i.file_name, i.frame) for i in load(path).images] == [("s#0", 0), ("s#1", 1)]
    path = write(tmp_path / "s_RoiSet.zip", rectangle(position=1), rectangle())
    assert [(i.file_name, i.frame) for i in load(path).images] == [("s", None)]


@pytest.mark.parametrize(
    ("positions", "expected"), [((1, 3), ["temp.mrc#0", "temp.mrc#2"]), ((1, 0), ["temp.mrc"])]
)
def test_pages_of_microscope_files_are_not_counted(
    tmp_path: Path, positions: tuple[int, ...], expected: list[str]
) -> None:
    (tmp_path / "temp.mrc").write_bytes(b"for the reader of such files")
    path = write(tmp_path / "set.zip", *(rectangle(position=p) for p in positions))
    loaded = load(path, images=str(tmp_path / "temp.mrc"))
    assert [image.file_name for image in loaded.images] == expected
    assert f"the size of the image {expected[0]} in {tmp_path} cannot be told" in loaded.warnings[0]
    assert all(image.size_is_guessed for image in loaded.images)


@pytest.mark.parametrize("axis", ["c_position", "z_position", "t_position"])
def test_positions_in_hyperstacks_are_those_on_their_one_axis(tmp_path: Path, axis: str) -> None:
    places = dict.fromkeys(("c_position", "z_position", "t_position"), 1)
    regions = [rectangle(**places | {axis: place}) for place in (1, 3, 4)]
    tifffile.imwrite(tmp_path / "s.tif", np.zeros((4, 20, 30), np.uint8), imagej=True)
    images = load(write(tmp_path / "s.zip", *regions)).images
    assert [image.frame for image in images] == [0, 2, 3]


@pytest.mark.parametrize(
    "places", [[{"c_position": 2, "z_position": 3}], [{"c_position": 2}, {"t_position": 2}]]
)
def test_positions_on_several_axes_are_refused(tmp_path: Path, places: list[Any]) -> None:
    path = write(tmp_path / "s.zip", *(rectangle(**place) for place in places))
    with pytest.raises(FormatError, match=r"the positions in channel and .* of several axes"):
        load(path)


def test_positions_count_the_images_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "frames").mkdir()
    for number in (10, 9):
        Image.new("L", (30, 20)).save(tmp_path / f"frames/Frame{number}.png")
    path = write(tmp_path / "set.zip", rectangle(position=2), rectangle(position=1))
    dataset = load(path, images=str(tmp_path / "frames"))
    assert [i.file_name for i in dataset.images] == ["Frame9.png", "Frame10.png"]
    assert dataset.folder == tmp_path / "frames"
    with pytest.raises(InputError, match=r"there is no file or folder .*none \(option images\)"):
        load(path, images=str(tmp_path / "none"))


def test_single_regions_and_folders_of_them(tmp_path: Path) -> None:
    (tmp_path / "rois").mkdir()
    for number in (1, 2):
        (tmp_path / f"rois/{number}.roi").write_bytes(rectangle().tobytes())
    assert ImageJRoi().accepts(tmp_path / "rois")
    assert len(load(tmp_path / "rois").images[0].instances) == 2
    assert load(tmp_path / "rois/1.roi").images[0].file_name == "1"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "this is no region of ImageJ"),
        (points(ROI_TYPE.POLYGON, np.array(SQUARE) * 1e4).tobytes(), "the box reaches to 120000"),
        (b"x" * 100, "this is no region of ImageJ"),
        (points(ROI_TYPE.POLYGON, SQUARE).tobytes()[:70], "this is no region of ImageJ"),
        (rectangle(props="score: high\n").tobytes(), "expected numbers as score and track_id"),
        (rectangle(props="image: ../x.png\n").tobytes(), "leads out of"),
        (points(ROI_TYPE.POLYGON, SQUARE[:2]).tobytes(), "fewer than 3 points"),
        (points(ROI_TYPE.POLYLINE, SQUARE[:1]).tobytes(), "fewer than 2 points"),
        (ImagejRoi(roitype=ROI_TYPE.LINE, x1=np.nan).tobytes(), "expected finite coordinates"),
        (ImagejRoi(roitype=ROI_TYPE.RECT, left=2, right=2, top=1, bottom=5).tobytes(),
         "positive width and height"),
        (points(ROI_TYPE.FREEHAND, SQUARE, subtype=ROI_SUBTYPE.ELLIPSE).tobytes(),
         "expected an ellipse with a major axis above 0"),
    ],
)  # fmt: skip
def test_mistakes_name_file_and_entry(tmp_path: Path, data: bytes, message: str) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("first.roi", data)
    with pytest.raises(FormatError, match=message) as caught:
        load(path)
    assert "a.zip: first.roi" in str(caught.value)


def test_cut_archive(tmp_path: Path) -> None:
    path = write(tmp_path / "a.zip", rectangle())
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(FormatError, match="the archive cannot be read"):
        load(path)


def test_entry_names_are_never_paths(tmp_path: Path) -> None:
    path = tmp_path / "in/a.zip"
    path.parent.mkdir()
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("../../evil.roi", rectangle().tobytes())
        archive.writestr("readme.txt", "not a region")
    assert len(load(path).images[0].instances) == 1
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["a.zip", "in"]


def test_large_entries_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imagej_files, "LARGEST_REGION_BYTES", 100)
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.roi", b"\0" * 10**6)
    with pytest.raises(FormatError, match=r"a\.roi: the region is too large"):
        load(path)


def dataset() -> Dataset:
    columns = dict(zip(ELLIPSE_UNITS, np.array([[20.0, np.nan, np.nan]] * 5), strict=True))
    found = Instances(
        (60, 60), [[10, 10, 30, 30], [1, 1, 5, 5], [2, 2, 9, 3]], [0.5, 1, 1],
        ["black dot", "äö/x", "black dot"], [False, True, False],
        [Mask(2, 2, np.ones((2, 2), bool))] * 3,
        [np.zeros((0, 2)), np.zeros((0, 2)), [[2, 2.5], [9, 2.5]]], columns, ELLIPSE_UNITS,
    )  # fmt: skip
    empty = LabelledImage("b.png", Instances.empty((60, 60)))
    return Dataset([empty, LabelledImage("s/a.png", found, 461)])


def test_written_set_opens_in_other_readers(tmp_path: Path) -> None:
    writer = ImageJRoi(runtime=Runtime(defect_types=TYPES))
    assert writer.save(dataset(), tmp_path / "set.zip") == [
        "images without instances, which a set of regions cannot name: 1",
        "masks of instances that have an ellipse, left out: 1",
        "boxes changed, because the format takes them from the shapes, by up to 1.00 px: 2",
        "masks of instances that have a line, left out: 1",
    ]
    rois = roiread(tmp_path / "set.zip")
    assert isinstance(rois, list)
    assert [roi.roitype for roi in rois] == [ROI_TYPE.FREEHAND, ROI_TYPE.POLYGON, ROI_TYPE.POLYLINE]
    assert [roi.name for roi in rois] == ["black dot", "äö/x", "black dot"]
    assert {roi.position for roi in rois} == {2}
    assert rois[0].hexcolor(rois[0].stroke_color) == "#cc79a7"
    assert rois[1].props.splitlines()[0] == r"defect_type: \u00e4\u00f6/x"
    # The outline is stored too, for readers that do not know ellipses.
    assert len(rois[0].coordinates()) == 72
    with zipfile.ZipFile(tmp_path / "set.zip") as archive:
        assert archive.namelist() == ["0002-0001.roi", "0002-0002.roi", "0002-0003.roi"]
    dataset_again = load(tmp_path / "set.zip")
    (image,) = dataset_again.images
    assert (image.file_name, image.frame) == ("s/a.png", 461)
    assert image.instances.defect_types.tolist() == ["black dot", "äö/x", "black dot"]
    assert dataset_again.warnings == ()


def test_what_a_region_changes_is_told(tmp_path: Path) -> None:
    columns = dict(zip(ELLIPSE_UNITS, np.array([[4.0], [20], [12], [12], [0]]), strict=True))
    lines = [[[2, 20], [6, 20]]]
    found = Instances(
        (60, 60), [[0, 14.25, 10, 26]], None, ["x"], None, None, lines, columns, ELLIPSE_UNITS
    )
    given = Dataset([LabelledImage("a.png", found, 7, 0.371968)])
    assert ImageJRoi().save(given, tmp_path / "set.zip") == [
        "lines of instances that have an ellipse, left out: 1",
        "boxes changed, because the format takes them from the shapes, by up to 0.25 px: 1",
        "shapes that reach over the rim of their image, whose boxes are cut there on reading: 1",
    ]
    (image,) = load(tmp_path / "set.zip").images
    assert (image.frame, image.pixel_size_nm) == (7, 0.371968)
    assert image.instances.boxes.tolist() == [[0, 14, 10, 26]]


def test_writing_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a.zip", "b.zip"):
        ImageJRoi().save(dataset(), tmp_path / name)
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()


def test_other_suffixes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"is a \.zip file"):
        ImageJRoi().save(dataset(), tmp_path / "out")


def test_sizes_that_contradict(tmp_path: Path) -> None:
    ImageJRoi().save(dataset(), tmp_path / "set.zip")
    (tmp_path / "s").mkdir()
    Image.new("L", (61, 60)).save(tmp_path / "s/a.png")
    with pytest.raises(FormatError, match="differ in size: 60 x 60 and 61 x 60 px"):
        load(tmp_path / "set.zip")


def named(*names: str, frames: tuple[int, ...] = ()) -> Dataset:
    """Return a dataset with one box an image."""
    found = Instances((20, 30), [[2, 3, 12, 8]], None, ["black dot"])
    indices = frames or (None,) * len(names)
    return Dataset([LabelledImage(n, found, k) for n, k in zip(names, indices, strict=True)])


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("s.tif#0", "s.tif#2", "s.tif#5"), [1, 3, 6]),
        (("s/a.avi#7",), [8]),
        (("a.png", "b.png", "c.png"), [1, 2, 3]),
        (("s.tif#4", "t.tif#5"), [1, 2]),
        (("s.tif#4", "a.png"), [1, 2]),
        (("s.tif#99999999999",), [1]),
    ],
)
def test_positions_are_pages_of_one_stack_or_count_the_images(
    tmp_path: Path, names: tuple[str, ...], expected: list[int]
) -> None:
    assert ImageJRoi().save(named(*names), tmp_path / "set.zip") == []
    rois = roiread(tmp_path / "set.zip")
    found = [roi.position for roi in rois] if isinstance(rois, list) else [rois.position]
    assert found == expected
    assert {image.file_name for image in load(tmp_path / "set.zip").images} == set(names)


def test_positions_that_are_not_those_in_the_folder_are_told(tmp_path: Path) -> None:
    names = ("f10.png", "f12.png", "f13.png")
    (warning,) = ImageJRoi().save(named(*names, frames=(10, 12, 13)), tmp_path / "set.zip")
    assert "positions count the labelled images, whose frame indices have gaps" in warning
    assert ImageJRoi().save(named(*names, frames=(10, 11, 12)), tmp_path / "set.zip") == []
    pages = [f"s.tif#{k}" for k in (10, 12, 13)]
    assert ImageJRoi().save(named(*pages, frames=(10, 12, 13)), tmp_path / "set.zip") == []


def drawn_beside(path: Path, dataset: Dataset, *rois: ImagejRoi) -> Path:
    """Write a set of ours, and add what a person drew in ImageJ."""
    ImageJRoi().save(dataset, path)
    with zipfile.ZipFile(path, "a") as archive:
        for number, roi in enumerate(rois):
            archive.writestr(f"drawn-{number}.roi", roi.tobytes())
    return path


def test_regions_drawn_beside_ours_lie_on_the_image_at_their_position(tmp_path: Path) -> None:
    given = named("a.png", "b.png", frames=(461, 462))
    path = drawn_beside(tmp_path / "set.zip", given, rectangle(position=2))
    loaded = load(path)
    found = [(image.file_name, image.frame, len(image.instances)) for image in loaded.images]
    assert found == [("a.png", 461, 1), ("b.png", 462, 2)]
    assert loaded.warnings == ()
    # The window of a single image has no positions.
    path = drawn_beside(tmp_path / "one.zip", named("a.png"), rectangle())
    assert [len(image.instances) for image in load(path).images] == [2]


def test_regions_drawn_on_other_pages_of_the_stack_of_ours(tmp_path: Path) -> None:
    given = named("s.tif#1", "s.tif#4", frames=(1, 4))
    path = drawn_beside(tmp_path / "set.zip", given, rectangle(position=3), rectangle(position=5))
    loaded = load(path)
    found = [(image.file_name, image.frame, len(image.instances)) for image in loaded.images]
    assert found == [("s.tif#1", 1, 1), ("s.tif#2", 2, 1), ("s.tif#4", 4, 2)]
    # It is as large as the other pages.
    assert {image.instances.image_shape for image in loaded.images} == {(20, 30)}
    assert loaded.warnings == ()


@pytest.mark.parametrize("position", [0, 3])
def test_positions_at_which_no_image_is_named_need_the_images(
    tmp_path: Path, position: int
) -> None:
    path = drawn_beside(
        tmp_path / "set.zip", named("f1.png", "f2.png"), rectangle(position=position)
    )
    with pytest.raises(FormatError, match=r"drawn-0\.roi: .* the option imagej-roi\.images"):
        load(path)


def test_images_tell_what_a_set_of_ours_leaves_open(tmp_path: Path) -> None:
    for number in (1, 2, 3):
        Image.new("L", (30, 20)).save(tmp_path / f"f{number}.png")
    path = drawn_beside(tmp_path / "set.zip", named("f1.png", "f2.png"), rectangle(position=3))
    loaded = load(path, images=str(tmp_path))
    assert [image.file_name for image in loaded.images] == ["f1.png", "f2.png", "f3.png"]
    # With gaps, the positions of the set are not those in the folder.
    path = drawn_beside(tmp_path / "set.zip", named("f1.png", "f3.png"), rectangle(position=3))
    with pytest.raises(FormatError, match=r"f3\.png, which has the position 2 .* is number 3"):
        load(path, images=str(tmp_path))
