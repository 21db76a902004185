"""ImageJ's results tables."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
import tifffile
from PIL import Image

from defectscope.core.base import Runtime
from defectscope.core.datasets import Dataset, LabelledImage
from defectscope.core.defect_types import DefectType
from defectscope.core.errors import FormatError, OutputError
from defectscope.core.instances import Instances
from defectscope.readers.formats.imagej_csv import ImageJCsv

HEADER = " ,Label,Area,X,Y,BX,BY,Width,Height,Major,Minor,Angle"
ROWS = (
    "1,foil.png,3216,88.091,33.660,84,29,62,75,82.620,49.561,123.194",
    "2,foil.png,994,32.912,60.336,10,58,45,30,46.135,27.432,163.322",
)


def write(path: Path, *rows: str, header: str = HEADER) -> Path:
    path.write_text("\n".join([header, *rows, ""]))
    return path


def load(path: Path, **options: object) -> Dataset:
    types = {"black dot": DefectType("black dot", "Black dot", "ellipse")}
    component = ImageJCsv(ImageJCsv.Options(**options), Runtime(defect_types=types))
    loaded = component.load(path)
    assert isinstance(loaded, Dataset)
    return loaded


def test_boxes_and_ellipses(tmp_path: Path) -> None:
    Image.new("L", (200, 150)).save(tmp_path / "foil.png")
    path = write(tmp_path / "Results.csv", *ROWS)
    assert ImageJCsv().accepts(path)
    dataset = load(path)
    (image,) = dataset.images
    assert (image.file_name, image.frame, dataset.folder) == ("foil.png", None, tmp_path)
    assert dataset.warnings == ()
    assert image.instances.image_shape == (150, 200)
    assert image.instances.boxes.tolist() == [[84, 29, 146, 104], [10, 58, 55, 88]]
    assert image.instances.measurements["major_px"].tolist() == [82.62, 46.135]
    assert image.instances.measurements["angle_deg"].tolist() == [123.194, 163.322]
    assert image.instances.defect_types.tolist() == ["dislocation-loop"] * 2


def test_ellipse_alone_gives_the_box(tmp_path: Path) -> None:
    path = write(tmp_path / "foil.csv", "1,50,40,20,10,90", header=" ,X,Y,Major,Minor,Angle")
    dataset = load(path)
    np.testing.assert_allclose(dataset.images[0].instances.boxes, [[45, 30, 55, 50]])
    assert dataset.images[0].file_name == "foil"
    assert dataset.warnings == (
        f"there is no image foil in {tmp_path} to take the size from; "
        "55 x 50 px hold all of its boxes",
    )
    assert dataset.images[0].size_is_guessed
    Image.new("L", (99, 88)).save(tmp_path / "foil.png")
    (image,) = load(path).images
    assert (image.file_name, image.instances.image_shape) == ("foil.png", (88, 99))
    assert not image.size_is_guessed


def test_calibrated_lengths_become_pixels(tmp_path: Path) -> None:
    path = write(tmp_path / "foil.csv", "1,5,4,2,1,90", header=" ,X,Y,Major,Minor,Angle")
    found = load(path, pixel_size=0.1).images[0].instances
    np.testing.assert_allclose(found.boxes, [[45, 30, 55, 50]])
    assert found.measurements["angle_deg"].tolist() == [90]


def test_tabs_crlf_and_old_encodings_are_read(tmp_path: Path) -> None:
    path = tmp_path / "Results.txt"
    text = " \tLabel\tArea (µm²)\tBX\tBY\tWidth\tHeight\r\n1\tf.png\t3\t1\t2\t3\t4\r\n"
    path.write_bytes(text.encode("latin-1"))
    assert ImageJCsv().accepts(path)
    assert load(path).images[0].instances.boxes.tolist() == [[1, 2, 4, 6]]


def test_defect_types_come_from_columns_regions_and_the_option(tmp_path: Path) -> None:
    header = "Label,BX,BY,Width,Height,Class"
    rows = ("f.png,1,1,2,2,loop", "f.png:black dot,1,1,2,2,", "f.png:0001-0002,1,1,2,2,")
    path = write(tmp_path / "r.csv", *rows, header=header)
    found = load(path, defect_type="cavity").images[0].instances
    assert found.defect_types.tolist() == ["loop", "black dot", "cavity"]


@pytest.mark.parametrize(
    ("label", "cell"),
    [("s.tif:0001-0002:3", ""), ("s.tif:3", ""), ("s.tif:black dot", "3"), ("s.tif:7", "3")],
)
def test_slices_become_frames_of_the_stack(tmp_path: Path, label: str, cell: str) -> None:
    tifffile.imwrite(tmp_path / "s.tif", np.zeros((4, 20, 30), np.uint8), photometric="minisblack")
    header = "Label,BX,BY,Width,Height,Slice"
    rows = (f"{label},1,1,2,2,{cell}", "s.tif:1,1,1,2,2,1")
    images = load(write(tmp_path / "r.csv", *rows, header=header)).images
    assert [(i.file_name, i.frame) for i in images] == [("s.tif#0", 0), ("s.tif#2", 2)]
    assert images[0].instances.image_shape == (20, 30)


def test_slice_beyond_the_stack(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "s.tif", np.zeros((4, 20, 30), np.uint8), photometric="minisblack")
    path = write(tmp_path / "r.csv", "s.tif:5,1,1,2,2", header="Label,BX,BY,Width,Height")
    with pytest.raises(FormatError, match=r"line 2: slice 5 of s\.tif, which has 4"):
        load(path)


def test_slices_of_microscope_files_are_not_counted(tmp_path: Path) -> None:
    for name in ("temp.mrc", "foil.dm3"):
        (tmp_path / name).write_bytes(b"for the reader of such files")
    header = "Label,BX,BY,Width,Height"
    path = write(tmp_path / "r.csv", "temp.mrc:1,1,1,2,2", "temp.mrc:3,1,1,2,2", header=header)
    loaded = load(path)
    found = [(image.file_name, image.frame) for image in loaded.images]
    assert found == [("temp.mrc#0", 0), ("temp.mrc#2", 2)]
    assert loaded.warnings[0] == (
        f"the size of the image temp.mrc#0 in {tmp_path} cannot be told; 3 x 3 px hold all of its "
        "boxes"
    )
    rows = ("foil.dm3:a,1,1,2,2", "foil.dm3:b,1,1,2,2")
    loaded = load(write(tmp_path / "r.csv", *rows, header=header))
    assert [(i.file_name, len(i.instances)) for i in loaded.images] == [("foil.dm3", 2)]
    assert any("taken for regions of one image" in text for text in loaded.warnings)


def test_frames_of_a_video_have_its_size(tmp_path: Path) -> None:
    with av.open(tmp_path / "v.mp4", "w") as container:
        stream = container.add_stream("mpeg4", rate=5)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        container.mux(stream.encode(av.VideoFrame(64, 48, "yuv420p")))
        container.mux(stream.encode())
    header = "Label,BX,BY,Width,Height"
    loaded = load(write(tmp_path / "r.csv", "v.mp4:1,1,1,2,2", "v.mp4:3,1,1,2,2", header=header))
    assert [(i.file_name, i.instances.image_shape) for i in loaded.images] == [
        ("v.mp4#0", (48, 64)), ("v.mp4#2", (48, 64)),
    ]  # fmt: skip
    assert loaded.warnings == ()
    (tmp_path / "v.mp4").write_bytes(b"no video")
    assert load(tmp_path / "r.csv").images[0].size_is_guessed


def test_slice_labels_name_the_files_of_a_sequence(tmp_path: Path) -> None:
    header = "Label,BX,BY,Width,Height,Slice"
    rows = ("Frames:Frame461.jpg,1,1,2,2,1", "Frames:0001-0001:Frame462.jpg,1,1,2,2,2")
    images = load(write(tmp_path / "r.csv", *rows, header=header)).images
    assert [i.file_name for i in images] == ["Frame461.jpg", "Frame462.jpg"]


@pytest.mark.parametrize("below", ["", "images", "frames"])
@pytest.mark.parametrize("between", ["", "0001-0023:", "loop:"])
def test_labels_of_slices_go_without_the_suffix_of_their_file(
    tmp_path: Path, below: str, between: str
) -> None:
    (tmp_path / below).mkdir(exist_ok=True)
    for number in (461, 462):
        Image.new("L", (40, 30)).save(tmp_path / below / f"Frame{number}.jpg")
    rows = [f"Frames:{between}Frame{number},1,1,2,2" for number in (461, 462, 461)]
    dataset = load(write(tmp_path / "r.csv", *rows, header="Label,BX,BY,Width,Height"))
    found = [(i.file_name, len(i.instances)) for i in dataset.images]
    assert found == [("Frame461.jpg", 2), ("Frame462.jpg", 1)]
    assert dataset.folder == tmp_path / below
    assert dataset.images[0].instances.image_shape == (30, 40)


def test_slices_whose_files_are_not_there_stay_apart(tmp_path: Path) -> None:
    rows = [f"Frames:0001-0023:Frame{number},1,1,2,2" for number in (461, 462)]
    images = load(write(tmp_path / "r.csv", *rows, header="Label,BX,BY,Width,Height")).images
    assert [image.stem for image in images] == ["Frame461", "Frame462"]


def test_names_that_may_be_slices_are_never_merged_in_silence(tmp_path: Path) -> None:
    header = "Label,BX,BY,Width,Height"
    sequence = write(tmp_path / "r.csv", "Frames:a,1,1,2,2", "Frames:b,1,1,2,2", header=header)
    with pytest.raises(FormatError, match=r"line 2: 2 names stand behind Frames, such as 'a';.*"):
        load(sequence)
    rows = ("foil.png:a,1,1,2,2", "foil.png:b,1,1,2,2")
    path = write(tmp_path / "r.csv", *rows, header=header)
    assert len(load(path).images) == 1
    assert any("taken for regions of one image" in text for text in load(path).warnings)
    # Behind the name of a single image stand regions, also where another image is called so.
    for name in ("foil.png", "a.png"):
        Image.new("L", (40, 30)).save(tmp_path / name)
    assert [i.file_name for i in load(path).images] == ["foil.png"]
    assert load(path).warnings == ()


def test_a_label_does_not_tell_a_page_of_a_stack(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "s.tif", np.zeros((4, 20, 30), np.uint8), photometric="minisblack")
    path = write(tmp_path / "r.csv", "s.tif:heated,1,1,2,2", header="Label,BX,BY,Width,Height")
    with pytest.raises(
        FormatError, match=r"'heated' does not tell which of the 4 slices of s\.tif"
    ):
        load(path)


def test_slices_of_hyperstacks_have_their_place_in_the_label(tmp_path: Path) -> None:
    header = "Label,BX,BY,Width,Height"
    label = "h.tif:0001-0002:c:1/1 z:1/1 t:3/10 - h"
    (image,) = load(write(tmp_path / "r.csv", f"{label},1,1,2,2", header=header)).images
    assert (image.file_name, image.frame) == ("h.tif#2", 2)
    several = write(tmp_path / "r.csv", "h.tif:c:2/2 t:3/10 - h,1,1,2,2", header=header)
    with pytest.raises(FormatError, match="hyperstack of several axes"):
        load(several)
    both = write(tmp_path / "r.csv", "h.tif,1,1,2,2,3,2", header=f"{header},Slice,Frame")
    with pytest.raises(FormatError, match="slice 3 of time 2 is no frame"):
        load(both)


def test_summary_rows_are_left_out(tmp_path: Path) -> None:
    tail = [
        f"{i},{name},1,1,1,1,1,1,1,1,1,1" for i, name in enumerate(("Mean", "SD", "Min", "Max"))
    ]
    dataset = load(write(tmp_path / "Results.csv", *ROWS, *tail))
    assert [image.file_name for image in dataset.images] == ["foil.png"]
    assert "summary rows, left out: 4" in dataset.warnings


def test_folder_with_a_table_an_image(tmp_path: Path) -> None:
    for name in ("f10", "f9"):
        write(tmp_path / f"{name}.csv", "1,1,2,3", header="BX,BY,Width,Height")
    (tmp_path / "notes.csv").write_text("a,b\n1,2\n")
    assert ImageJCsv().accepts(tmp_path)
    assert [image.file_name for image in load(tmp_path).images] == ["f9", "f10"]


@pytest.mark.parametrize(
    ("header", "row", "message"),
    [
        ("Label,Area", "f.png,3", "expected the columns BX, BY, Width, Height or X, Y, Major"),
        ("Label,X,Y,Width,Height", "f.png,1,2,3,4", "tick Bounding rectangle, or Centroid and Fit"),
        ("Label,BX,BY,Width,Height", "f.png,1,2,3", "line 2: expected 5 cells, found 4"),
        ("Label,BX,BY,Width,Height", "f.png,1,2,3,x", "line 2: 'Height': expected a finite number"),
        ("Label,BX,BY,Width,Height", "f.png,1,2,3,inf", "'Height': expected a finite number"),
        ("Label,BX,BY,Width,Height", "f.png,1,2,3,0", "line 2: .* found 3 x 0 px"),
        ("Label,BX,BY,Width,Height", "f.png,1,2,3,NaN", "neither the box .* is complete"),
        ("Label,Major,Minor,Angle", "f.png,5,4,0", "neither the box .* nor the ellipse"),
        ("Label,BX,BY,Width,Height", "../f.png,1,2,3,4", "line 2: the file name .* leads out of"),
    ],
)
def test_mistakes_name_file_and_line(tmp_path: Path, header: str, row: str, message: str) -> None:
    with pytest.raises(FormatError, match=message) as caught:
        load(write(tmp_path / "r.csv", row, header=header))
    assert "r.csv" in str(caught.value)


def test_other_tables_are_not_accepted(tmp_path: Path) -> None:
    detections = write(tmp_path / "d.csv", "1,2,3", header="frame,x,y,x_min,y_min,x_max,y_max")
    assert not ImageJCsv().accepts(detections)
    (tmp_path / "b.csv").write_bytes(b"\0\1\2")
    assert not ImageJCsv().accepts(tmp_path)
    with pytest.raises(FormatError, match="holds no results table"):
        load(tmp_path)


def test_written_table_and_warnings(tmp_path: Path) -> None:
    found = Instances((20, 30), [[1, 2, 5, 6]], [0.5], ["a, b"], [True])
    empty = LabelledImage("e.png", Instances.empty((20, 30)))
    dataset = Dataset([LabelledImage("s.tif#2", found, 2), empty])
    assert ImageJCsv().save(dataset, tmp_path / "out.csv") == [
        "images without instances, which a results table cannot name: 1",
        "image sizes are not part of the format: keep the images beside it",
    ]
    lines = (tmp_path / "out.csv").read_text().splitlines()
    assert lines[0].startswith(" ,Label,Area,X,Y,BX,BY,Width,Height,Major,Minor,Angle,defect_type")
    assert lines[1].startswith("1,s.tif:3,16.000000,3.000000,4.000000,1.000000,2.000000,4.000000")
    (image,) = load(tmp_path / "out.csv").images
    assert (image.file_name, image.frame) == ("s.tif#2", 2)
    assert image.instances.defect_types.tolist() == ["a, b"]


def test_calibration_without_a_place_is_told(tmp_path: Path) -> None:
    found = Instances((20, 30), [[1, 2, 5, 6]], None, ["x"])
    images = [LabelledImage("s.tif#2", found, 2, 0.5, 1.5), LabelledImage("a.png", found, 9)]
    told = ImageJCsv().save(Dataset(images), tmp_path / "out.csv")
    assert told[:3] == [
        "frame indices that the format has no place for, left out: 1",
        "pixel sizes that the format has no place for, left out: 1",
        "doses in dpa that the format has no place for, left out: 1",
    ]


def test_colons_in_names_are_refused(tmp_path: Path) -> None:
    found = Instances((20, 30), [[1, 2, 5, 6]], None, ["x"])
    with pytest.raises(OutputError, match="has a colon"):
        ImageJCsv().save(Dataset([LabelledImage("ab:c.png", found)]), tmp_path / "out.csv")
    assert list(tmp_path.iterdir()) == []


def test_a_table_that_would_not_be_known_again_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"is a \.csv file.* such as .*out\.csv, not .*out$"):
        ImageJCsv().save(Dataset([]), tmp_path / "out")
    assert not list(tmp_path.iterdir())
