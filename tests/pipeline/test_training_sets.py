"""Labelled images to learn from: read at full depth, and refused where labels make no sense."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile

from defectscope import Instances
from defectscope.core.datasets import Dataset, LabelledImage
from defectscope.core.errors import FormatError, InputError, OptionError, UsageError
from defectscope.core.geometry.polylines import polyline_box
from defectscope.core.masks import Mask
from defectscope.pipeline.inputs import InputSeries
from defectscope.pipeline.renaming import parse_renames
from defectscope.pipeline.training import open_training_data, train
from defectscope.pipeline.training_sets import DatasetData
from defectscope.plugins.host import PluginHost, default_host

SHAPE = (60, 80)
LOOP = (10.0, 10.0, 12.0, 9.0)


def write(folder, *images, categories=((1, "dislocation-loop"),), shape=SHAPE):
    """Write a COCO dataset; an image is a list of (box, category) or (box, category, more)."""
    (folder / "images").mkdir(parents=True, exist_ok=True)
    document = {
        "images": [], "annotations": [],
        "categories": [{"id": number, "name": name} for number, name in categories],
    }  # fmt: skip
    rng = np.random.default_rng(0)
    for number, entries in enumerate(images):
        name = f"{number}.png"
        pixels = rng.integers(0, 60_000, shape, dtype=np.uint16)
        cv2.imwrite(str(folder / "images" / name), pixels)
        document["images"].append(
            {"id": number, "file_name": name, "height": SHAPE[0], "width": SHAPE[1]}
        )
        for box, category, *more in entries:
            entry = {"id": len(document["annotations"]), "image_id": number, "bbox": list(box),
                     "category_id": category, "area": 1, "iscrowd": 0}  # fmt: skip
            document["annotations"].append({**entry, **(more[0] if more else {})})
    (folder / "annotations.json").write_text(json.dumps(document))
    return folder


def read(folder):
    return DatasetData.read(folder, default_host())


def test_images_and_labels(tmp_path):
    data = read(write(tmp_path / "mine", [(LOOP, 1)], []))
    assert (data.length, data.title) == (2, "mine")
    assert data.defect_types == ("dislocation-loop",)
    with data:
        pixels, truth = data.load(0)
        assert pixels.dtype == np.uint16
        assert pixels.max() > 50_000
        assert truth.boxes.tolist() == [[10, 10, 22, 19]]
        # A pass through the data is followed by the next.
        np.testing.assert_array_equal(data.load(2)[0], pixels)
        assert len(data.load(1)[1]) == 0


def test_it_survives_being_sent_to_a_worker(tmp_path):
    data = pickle.loads(pickle.dumps(read(write(tmp_path, [(LOOP, 1)]))))
    with data:
        assert data.load(0)[1].boxes.tolist() == [[10, 10, 22, 19]]


def test_what_it_is_called_by_tells_a_recipe_from_a_dataset(tmp_path):
    write(tmp_path / "odd.toml", [(LOOP, 1)])
    assert open_training_data(tmp_path / "odd.toml", default_host()).length == 1
    with pytest.raises(InputError, match="cannot read the recipe"):
        open_training_data(tmp_path / "no.toml", default_host())


def test_what_readers_warn_of_is_passed_on_once(tmp_path):
    folder = write(tmp_path, *[[(LOOP, 1)]] * 20)
    assert read(folder).notes() == []
    for number in range(20):
        pixels = np.random.default_rng(number).integers(0, 255, (*SHAPE, 3), np.uint8)
        cv2.imwrite(str(folder / "images" / f"{number}.png"), pixels)
    (text,) = read(folder).notes()
    assert text.startswith("0.png: ")
    assert "colour" in text
    said = []
    with pytest.raises(UsageError, match="freeze"):
        train("heatmap", folder, tmp_path / "x.safetensors", say=said.append, workers=0,
              options={"freeze": "encoder"})  # fmt: skip
    assert any("0.png: " in line for line in said)


def test_it_says_which_files_it_is_made_of(tmp_path):
    folder = write(tmp_path / "mine", [(LOOP, 1)], [])
    images = (folder / "images").resolve()
    assert read(folder).sources() == [(images / "0.png", ""), (images / "1.png", "")]


class TestTypes:
    def test_numbers_that_skip_keep_the_order_of_the_categories(self, tmp_path):
        categories = ((99, "dot"), (7, "line"), (3, "nothing"), (40, "loop"))
        data = read(write(tmp_path, [(LOOP, 40), (LOOP, 7)], [(LOOP, 99)], categories=categories))
        # A type of which there is none is not learned.
        assert data.defect_types == ("dot", "line", "loop")
        assert data.load(0)[1].defect_types.tolist() == ["loop", "line"]

    def test_what_nobody_knows_is_ignored_and_no_type(self, tmp_path):
        folder = write(tmp_path, [(LOOP, 1), ((40, 30, 9, 9), 2)],
                       categories=((1, "loop"), (2, "uncertain")))  # fmt: skip
        data = read(folder)
        assert data.defect_types == ("loop",)
        assert data.load(0)[1].ignore.tolist() == [False, True]

    def test_a_type_called_unknown_is_one_as_in_evaluation_unless_it_is_renamed(self, tmp_path):
        folder = write(tmp_path, [(LOOP, 1), ((40, 30, 9, 9), 2)],
                       categories=((1, "loop"), (2, "unknown")))  # fmt: skip
        data = read(folder)
        assert data.defect_types == ("loop", "unknown")
        assert not data.load(0)[1].ignore.any()
        renamed = DatasetData.read(folder, default_host(), {"unknown": "uncertain"})
        assert renamed.defect_types == ("loop",)

    def test_so_is_what_the_labels_ignore(self, tmp_path):
        folder = write(tmp_path, [(LOOP, 1), ((40, 30, 9, 9), 2, {"ignore": 1})],
                       categories=((1, "loop"), (2, "dot")))  # fmt: skip
        assert read(folder).defect_types == ("loop",)


class TestRenaming:
    def test_types_of_one_name_are_one_and_the_recipe_says_so(self, tmp_path):
        categories = ((1, "frank"), (2, "perfect"), (3, "dot"))
        folder = write(tmp_path, [(LOOP, 1), (LOOP, 2), ((40, 30, 9, 9), 3)], categories=categories)
        names = {"frank": "dislocation-loop", "perfect": "dislocation-loop", "dot": "uncertain"}
        data = open_training_data(folder, default_host(), names)
        assert data.defect_types == ("dislocation-loop",)
        assert data.load(0)[1].ignore.tolist() == [False, False, True]
        assert data.recipe()["rename"] == names
        assert data.recipe()["labels_sha256"] != read(folder).recipe()["labels_sha256"]
        assert "rename" not in read(folder).recipe()

    @pytest.mark.parametrize(
        ("name", "error", "message"),
        [("labels", OptionError, "no defect type 'x'; there are: loop"),
         ("r.toml", UsageError, r"for datasets; a recipe has a table \[rename\]")],
    )  # fmt: skip
    def test_what_is_not_there_cannot_be_renamed(self, tmp_path, name, error, message):
        write(tmp_path / "labels", [(LOOP, 1)], categories=((1, "loop"),))
        (tmp_path / "r.toml").write_text(
            'title = "x"\ndefect_types = ["black dot"]\n[[source]]\ngenerators = ["loops"]\n'
        )
        with pytest.raises(error, match=message):
            train("heatmap", tmp_path / name, tmp_path / "o.safetensors", rename={"x": "y"})

    @pytest.mark.parametrize("text", ["a", "a=", "=b", ""])
    def test_forms_that_are_refused(self, text):
        with pytest.raises(OptionError, match="takes OLD=NEW"):
            parse_renames([text])
        with pytest.raises(OptionError, match="calls 'a' both 'b' and 'c'"):
            parse_renames(["a=b", "a=c"])


def labelled(*boxes, **more):
    """Return a dataset with one image, as any format may give it."""
    instances = Instances(SHAPE, boxes, defect_types="loop", **more)
    return Dataset([LabelledImage("0.png", instances)], Path("nowhere"), ("loop",))


class TestBoxes:
    @pytest.mark.parametrize("box", [(5, 5, 0, 9), (5, 5, 9, 0), (5, 5, -9, 9)])
    def test_without_an_extent_they_are_refused(self, tmp_path, box):
        with pytest.raises(FormatError, match="box of positive width and height"):
            read(write(tmp_path, [(LOOP, 1), (box, 1)]))

    @pytest.mark.parametrize("box", [(80, 5, 9, 9), (-19, 5, 9, 9), (500, 500, 9, 9)])
    def test_what_the_reader_leaves_out_is_said(self, tmp_path, box):
        data = read(write(tmp_path, [(LOOP, 1), (box, 1)]))
        assert len(data.load(0)[1]) == 1
        assert data.warnings == ("boxes outside of their image, left out: 1",)

    def test_slivers_are_refused(self):
        with pytest.raises(FormatError, match=r"box 2 of 0\.png is 0\.5 x 9 px.* least 1 px wide"):
            DatasetData(labelled((5, 5, 9, 9), (5, 5, 5.5, 14)), "x")

    @pytest.mark.parametrize("at", [3.8208758, 9.1, 16001.3])
    @pytest.mark.parametrize("upright", [True, False])
    def test_lines_along_an_axis_may_be_as_thin_as_they_are(self, at, upright):
        line = np.array([[at, 5.0], [at, 40.0]])[:, :: 1 if upright else -1]
        shape = (16384, 16384)
        truth = Instances(shape, [polyline_box(line)], defect_types="line", lines=[line])
        data = DatasetData(
            Dataset([LabelledImage("0.png", truth)], Path("nowhere"), ("line",)), "x"
        )
        assert len(data.truth(0)) == 1

    @pytest.mark.parametrize("box", [(75, 5, 95, 14), (5, 58, 14, 67), (-10, 5, 9, 14)])
    def test_a_centre_outside_of_the_image_is_refused(self, box):
        with pytest.raises(FormatError, match=r"box 1 of 0\.png has its centre at .*80 x 60 px"):
            DatasetData(labelled(box), "x")

    def test_beyond_the_rim_they_are_cut(self, tmp_path):
        data = read(write(tmp_path, [((-3, 50, 10, 20), 1), ((75, -5, 9, 20), 1)]))
        assert data.load(0)[1].boxes.tolist() == [[0, 50, 7, 60], [75, 0, 80, 15]]

    def test_thin_ones_may_be_ignored(self, tmp_path):
        data = read(write(tmp_path, [(LOOP, 1), ((5, 5, 0.5, 9), 1, {"ignore": 1})]))
        assert data.load(0)[1].ignore.tolist() == [False, True]


class TestRefused:
    @pytest.mark.parametrize("images", [(), ([],), ([], [])])
    def test_without_boxes(self, tmp_path, images):
        with pytest.raises(InputError, match=r"has no labelled defect in \d images"):
            read(write(tmp_path, *images))

    def test_with_boxes_outside_of_their_image(self, tmp_path):
        with pytest.raises(InputError, match=r"boxes outside of their image, left out: 1"):
            read(write(tmp_path, [((5000, 5, 9, 9), 1)]))

    def test_with_nothing_but_ignored_ones(self, tmp_path):
        with pytest.raises(InputError, match="has no labelled defect in 1 images"):
            read(write(tmp_path, [(LOOP, 1, {"ignore": 1})]))

    def test_an_image_that_is_missing(self, tmp_path):
        folder = write(tmp_path, [(LOOP, 1)], [])
        (folder / "images/1.png").unlink()
        with pytest.raises(InputError, match=r"labelled image 1\.png of .* is not there"):
            read(folder)

    def test_an_image_that_is_damaged(self, tmp_path):
        folder = write(tmp_path, [(LOOP, 1)])
        (folder / "images/0.png").write_bytes(b"\x89PNG half")
        with pytest.raises(InputError, match=r"0\.png"):
            read(folder).load(0)

    def test_the_folder_of_a_damaged_image_is_named(self, tmp_path):
        folder = write(tmp_path / "mine", [(LOOP, 1)])
        (folder / "images/0.png").write_bytes(b"\x89PNG half")
        with pytest.raises(InputError, match=r"0\.png.*; it lies in .*mine"):
            read(folder).load(0)

    def test_an_image_of_another_size_than_its_labels(self, tmp_path):
        folder = write(tmp_path, [(LOOP, 1)], shape=(60, 90))
        with pytest.raises(FormatError, match="given as 80 x 60 px, but the image has 90 x 60 px"):
            read(folder)
        # It may also change later.
        data = read(write(tmp_path, [(LOOP, 1)]))
        cv2.imwrite(str(folder / "images/0.png"), np.eye(60, 90))
        with pytest.raises(FormatError, match=r"0\.png is 90 x 60 px, but .* of 80 x 60 px"):
            data.load(0)

    def test_no_dataset_at_all(self, tmp_path):
        (tmp_path / "a.txt").write_text("x")
        for path in (tmp_path, tmp_path / "nowhere"):
            with pytest.raises(InputError):
                read(path)


def test_the_digest_tells_labels_apart(tmp_path):
    recipes = [
        read(write(tmp_path / str(k), entries)).recipe()
        for k, entries in enumerate(([(LOOP, 1)], [((10, 10, 12, 10), 1)], [(LOOP, 1), (LOOP, 1)]))
    ]
    assert len({recipe["labels_sha256"] for recipe in recipes}) == 3
    assert read(tmp_path / "0").recipe() == recipes[0]


class TestDigest:
    LINE = ((10.0, 10.0), (22.0, 19.0))

    def digest(self, **more):
        data = DatasetData(labelled((10, 10, 22, 19), (40, 30, 50, 45), **more), "x")
        return data.recipe()["labels_sha256"]

    def test_a_line_that_moved(self):
        other = ((10.0, 10.0), (22.0, 18.5))
        digests = [self.digest(lines=lines) for lines in (
            (self.LINE, self.LINE), (self.LINE, other), (other, self.LINE), (self.LINE, ()),
            ((), self.LINE), ((), (*self.LINE, *self.LINE)),
        )]  # fmt: skip
        assert len({self.digest(), *digests}) == 1 + len(digests)
        assert self.digest(lines=(self.LINE, self.LINE)) == digests[0]

    def test_what_is_ignored(self):
        ignored = [self.digest(ignore=[False, k]) for k in (False, True)]
        assert self.digest() == ignored[0] != ignored[1]

    def test_a_mask_that_moved_or_changed(self):
        whole, other = np.ones((6, 8), bool), np.eye(6, 8, dtype=bool)
        digests = [
            self.digest(masks=[Mask(12, 11, whole), mask])
            for mask in (Mask(40, 30, whole), Mask(41, 30, whole), Mask(40, 30, other),
                         Mask(40, 30, whole.T))
        ]  # fmt: skip
        assert len({self.digest(), *digests}) == 5


def test_an_image_is_closed_when_it_was_read(tmp_path, monkeypatch):
    closed = []
    close = InputSeries.close
    monkeypatch.setattr(InputSeries, "close", lambda self: closed.append(self) or close(self))
    data = read(write(tmp_path, [(LOOP, 1)]))
    before = len(closed)
    data.load(0)
    assert len(closed) == before + 1


def test_readers_that_are_kept_out_read_no_image(tmp_path):
    host = PluginHost(allowed=())
    data = DatasetData.read(write(tmp_path, [(LOOP, 1)]), host)
    for record in host.plugins:
        record.provides.pop("readers", None)
    with data, pytest.raises(InputError, match="no installed reader takes"):
        data.load(0)


def test_a_page_of_a_stack_is_an_image(tmp_path):
    rng = np.random.default_rng(1)
    pages = rng.integers(0, 60_000, (3, *SHAPE), dtype=np.uint16)
    folder = write(tmp_path / "mine", [(LOOP, 1)], [])
    tifffile.imwrite(folder / "images/stack.tif", pages, photometric="minisblack")
    document = json.loads((folder / "annotations.json").read_text())
    for entry, name in zip(document["images"], ("stack.tif#1", "stack.tif#2"), strict=True):
        entry["file_name"] = name
    (folder / "annotations.json").write_text(json.dumps(document))
    with read(folder) as data:
        for number, page in enumerate((1, 2)):
            np.testing.assert_array_equal(data.load(number)[0], pages[page])
