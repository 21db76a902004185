"""Pascal VOC files."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from PIL import Image

from defectscope.core.datasets import Dataset, LabelledImage
from defectscope.core.errors import FormatError, OutputError
from defectscope.core.instances import Instances
from defectscope.readers.formats.pascal_voc import PascalVoc

BOX = "<bndbox><xmin>1</xmin><ymin>2</ymin><xmax>30</xmax><ymax>9</ymax></bndbox>"
OBJECT = f"<object><name>black dot</name><difficult>0</difficult>{BOX}</object>"
SIZE = "<size><width>30</width><height>20</height><depth>1</depth></size>"


def write(path: Path, *parts: str, name: str = "a.png", before: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    head = f"{before}<annotation><folder>x</folder><filename>{name}</filename>"
    path.write_text(head + "".join(parts) + "</annotation>")
    return path


def test_pixels_count_from_one_and_the_last_is_inside(tmp_path: Path) -> None:
    difficult = OBJECT.replace("<difficult>0", "<difficult>1")
    path = write(tmp_path / "a.xml", SIZE, OBJECT, difficult)
    assert PascalVoc().accepts(path)
    found = PascalVoc().load(path).images[0].instances
    assert found.image_shape == (20, 30)
    assert found.boxes.tolist() == [[0, 1, 30, 9]] * 2
    assert found.ignore.tolist() == [False, True]


def test_standard_layout(tmp_path: Path) -> None:
    for number in (10, 9):
        write(tmp_path / f"Annotations/f{number}.xml", SIZE, name=f"f{number}.png")
    (tmp_path / "JPEGImages").mkdir()
    Image.new("L", (30, 20)).save(tmp_path / "JPEGImages/f9.png")
    (tmp_path / "unrelated.xml").write_text("<project/>")
    dataset = PascalVoc().load(tmp_path)
    assert [image.file_name for image in dataset.images] == ["f9.png", "f10.png"]
    assert dataset.folder == tmp_path / "JPEGImages"
    single = PascalVoc().load(tmp_path / "Annotations/f9.xml")
    assert single.folder == tmp_path / "JPEGImages"


def test_size_that_contradicts_the_image(tmp_path: Path) -> None:
    Image.new("L", (31, 20)).save(tmp_path / "a.png")
    with pytest.raises(FormatError, match="30 x 20 px, but the image has 31 x 20 px"):
        PascalVoc().load(write(tmp_path / "a.xml", SIZE))


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ((OBJECT,), "the element <size><width> is missing or empty"),
        ((SIZE.replace("30", "0"),), "an image size in whole pixels from 1 x 1, found 0 x 20"),
        ((SIZE.replace("30", "1e9"),), "an image size in whole pixels"),
        ((SIZE, "<object><name>x</name></object>"), "<bndbox><xmin> is missing"),
        ((SIZE, OBJECT, OBJECT.replace("black dot", " ")), "position 1: the element <name>"),
        ((SIZE, OBJECT.replace("<xmax>30", "<xmax>nan")), "finite number, found 'nan'"),
        ((SIZE, OBJECT.replace("<xmax>30", "<xmax>q")), "finite number, found 'q'"),
        ((SIZE, OBJECT.replace("<xmax>30", "<xmax>0")), "object at position 0: .* found 0 x 8 px"),
        ((SIZE, "<object>"), "malformed XML: mismatched tag: line 1, column"),
    ],
)
def test_mistakes(tmp_path: Path, parts: tuple[str, ...], message: str) -> None:
    with pytest.raises(FormatError, match=message) as caught:
        PascalVoc().load(write(tmp_path / "a.xml", *parts))
    assert "a.xml" in str(caught.value)


@pytest.mark.parametrize(
    "declaration",
    [
        '<!DOCTYPE annotation [<!ENTITY a "aaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]>',
        '<!DOCTYPE annotation [<!ENTITY x SYSTEM "file:///etc/passwd">]>',
        '<?xml version="1.0"?><!DOCTYPE annotation SYSTEM "http://localhost/x.dtd">',
    ],
)
def test_document_types_are_refused(tmp_path: Path, declaration: str) -> None:
    path = write(tmp_path / "a.xml", SIZE, OBJECT, before=declaration)
    with pytest.raises(FormatError, match="found a document type declaration; remove it"):
        PascalVoc().load(path)


def test_another_encoding_does_not_hide_a_document_type(tmp_path: Path) -> None:
    path = tmp_path / "a.xml"
    path.write_bytes("<!DOCTYPE annotation []><annotation/>".encode("utf-16"))
    with pytest.raises(FormatError, match="expected text in UTF-8"):
        PascalVoc().load(path)


def test_other_roots_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.xml"
    path.write_text("<project/>")
    assert not PascalVoc().accepts(path)
    with pytest.raises(FormatError, match="expected the element <annotation>, found <project>"):
        PascalVoc().load(path)
    with pytest.raises(FormatError, match=r"holds no Pascal VOC \.xml file"):
        PascalVoc().load(tmp_path)


def test_files_of_cvat_are_told_from_those_of_voc(tmp_path: Path) -> None:
    write(tmp_path / "a.xml", SIZE, OBJECT)
    path = tmp_path / "annotations.xml"
    path.write_text("<?xml version='1.0'?>\n<annotations>\n<version>1.1</version>\n</annotations>")
    assert [image.file_name for image in PascalVoc().load(tmp_path).images] == ["a.png"]
    assert PascalVoc().accepts(path)
    with pytest.raises(FormatError, match="export from CVAT as COCO or Pascal VOC, which can be"):
        PascalVoc().load(path)
    (tmp_path / "a.xml").unlink()
    assert not PascalVoc().accepts(tmp_path)


def test_names_that_lead_out_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=r"a\.xml: the file name '\.\./a\.png' leads out of"):
        PascalVoc().load(write(tmp_path / "a.xml", SIZE, name="../a.png"))


def saved(tmp_path: Path, *names: str, target: str = "out") -> list[str]:
    found = Instances((20, 30), [[1.2, 2, 5, 6.4]], [0.5], ["x & <y>"])
    dataset = Dataset([LabelledImage(name, found) for name in names])
    return PascalVoc().save(dataset, tmp_path / target)


def test_written_folder(tmp_path: Path) -> None:
    assert saved(tmp_path, "a.png", "s/b.png") == [
        "scores that the format has no place for, left out: 2",
        "boxes moved to whole pixels: 2",
    ]
    text = (tmp_path / "out/Annotations/a.xml").read_text()
    for part in ("<xmin>2</xmin>", "<ymin>3</ymin>", "<xmax>5</xmax>", "<ymax>6</ymax>"):
        assert part in text
    images = PascalVoc().load(tmp_path / "out").images
    assert [image.file_name for image in images] == ["a.png", "s/b.png"]
    assert images[0].instances.defect_types.tolist() == ["x & <y>"]
    assert images[0].instances.boxes.tolist() == [[1, 2, 5, 6]]


def test_single_file(tmp_path: Path) -> None:
    saved(tmp_path, "s/b.png", target="one.xml")
    assert PascalVoc().load(tmp_path / "one.xml").images[0].file_name == "s/b.png"
    with pytest.raises(OutputError, match="one file an image, but there are 2 images"):
        saved(tmp_path, "a.png", "b.png", target="two.xml")


def test_frame_and_pixel_size_stay(tmp_path: Path) -> None:
    found = Instances((20, 30), [[1, 2, 5, 6]], None, ["x"])
    given = Dataset([LabelledImage("a.png", found, 126, 0.371968), LabelledImage("b.png", found)])
    assert PascalVoc().save(given, tmp_path / "out") == []
    images = PascalVoc().load(tmp_path / "out").images
    assert [(i.frame, i.pixel_size_nm) for i in images] == [(126, 0.371968), (None, None)]


@pytest.mark.parametrize(
    ("element", "message"),
    [
        ("<frame>x</frame>", "<frame>: expected a finite number, found 'x'"),
        ("<frame>-1</frame>", "<frame>: expected a whole number from 0, found -1"),
        ("<frame>1.5</frame>", "<frame>: expected a whole number from 0, found 1.5"),
        ("<pixel_size_nm>0</pixel_size_nm>", "<pixel_size_nm>: expected more than 0, found 0"),
    ],
)
def test_frame_and_pixel_size_are_checked(tmp_path: Path, element: str, message: str) -> None:
    with pytest.raises(FormatError, match=re.escape(message)):
        PascalVoc().load(write(tmp_path / "a.xml", SIZE + element))


def test_boxes_below_a_pixel_grow_to_one(tmp_path: Path) -> None:
    found = Instances((20, 30), [[4.1, 5.6, 4.3, 5.9]], None, ["x"])
    PascalVoc().save(Dataset([LabelledImage("a.png", found)]), tmp_path / "out")
    (image,) = PascalVoc().load(tmp_path / "out").images
    assert image.instances.boxes.tolist() == [[4, 5, 5, 6]]


def test_names_that_xml_cannot_hold_are_refused(tmp_path: Path) -> None:
    found = Instances((20, 30), [[1, 2, 5, 6]], None, ["x\0y"])
    with pytest.raises(OutputError, match="XML cannot hold"):
        PascalVoc().save(Dataset([LabelledImage("a.png", found)]), tmp_path / "out")
