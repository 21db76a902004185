"""Files and folders as one lazy series: order, indices, names, and what is said about them."""

from __future__ import annotations

import os
import pickle
import re
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import tifffile

import defectscope as ds
from defectscope import (
    ComponentError,
    DamagedFrameError,
    InputError,
    MissingPackageError,
    PluginClashError,
    UsageError,
)
from defectscope.pipeline import inputs as inputs_module
from defectscope.pipeline.input_notes import GOES_ON, MOST_WARNINGS, SeriesNotes, still_true
from defectscope.pipeline.inputs import open_inputs
from defectscope.plugins.host import PluginHost, PluginRecord


@pytest.fixture
def host() -> PluginHost:
    return PluginHost(allowed=())


def picture(value: int) -> np.ndarray:
    pixels = np.zeros((12, 16), np.uint8)
    pixels[0, 0], pixels[1, 1] = value, 255
    return pixels


def write_images(folder: Path, names: list[str]) -> list[Path]:
    """Write an image a name; its first pixel is its place in `names`."""
    folder.mkdir(exist_ok=True)
    for k, name in enumerate(names):
        assert cv2.imwrite(str(folder / name), picture(k))
    return [folder / name for name in names]


def write_stack(
    path: Path,
    values: list[int],
    pixel_nm: float | None = None,
    interval_s: float | None = None,
) -> Path:
    metadata = {"axes": "TYX"} | ({"unit": "nm"} if pixel_nm else {})
    metadata |= {"finterval": interval_s} if interval_s else {}
    resolution = (1 / pixel_nm, 1 / pixel_nm) if pixel_nm else None
    stack = np.stack([picture(value) for value in values])
    tifffile.imwrite(path, stack, imagej=True, metadata=metadata, resolution=resolution)
    return path


def values(frames: ds.FrameSequence) -> list[int]:
    return [int(frame.pixels[0, 0]) for frame in frames]


def test_a_folder_is_in_natural_order_with_the_numbers_as_indices(
    tmp_path: Path, host: PluginHost
) -> None:
    write_images(tmp_path / "a", ["img10.png", "img2.png", "img1.png"])
    frames = open_inputs([tmp_path / "a"], host)
    assert frames.indices == (1, 2, 10)
    assert frames.names == ("img1.png", "img2.png", "img10.png")
    assert values(frames) == [2, 1, 0]
    assert frames.paths == tuple(tmp_path / "a" / name for name in frames.names)
    assert frames.warnings == []
    assert frames[1:][0].index == 2


def test_names_that_no_table_can_hold_are_refused(tmp_path: Path, host: PluginHost) -> None:
    write_images(tmp_path / "a", ["img1.png", "img2.png"])
    try:
        (tmp_path / "a/img1.png").rename(tmp_path / "a" / os.fsdecode(b"img\xff1.png"))
    except OSError:
        pytest.skip("this file system holds UTF-8 only")
    with pytest.raises(InputError, match=r"img\\xff1\.png is not valid UTF-8; rename it"):
        open_inputs([tmp_path / "a"], host)


def test_names_without_common_stem_count_from_zero(tmp_path: Path, host: PluginHost) -> None:
    write_images(tmp_path / "a", ["b10.png", "a7.png", "b9.png"])
    frames = open_inputs([tmp_path / "a"], host)
    assert frames.indices == (0, 1, 2)
    assert frames.names == ("a7.png", "b9.png", "b10.png")


def test_files_given_one_by_one_are_a_series_too(tmp_path: Path, host: PluginHost) -> None:
    paths = write_images(tmp_path / "a", ["Frame10.png", "Frame2.PNG", "Frame1.jpg"])
    frames = open_inputs(paths, host)
    assert frames.indices == (1, 2, 10)
    assert frames.names == ("Frame1.jpg", "Frame2.PNG", "Frame10.png")


def test_a_single_image_keeps_the_number_of_its_name(tmp_path: Path, host: PluginHost) -> None:
    (path,) = write_images(tmp_path / "a", ["Frame461.png"])
    frames = open_inputs([path], host)
    assert (frames.indices, frames.names) == ((461,), ("Frame461.png",))


def test_two_folders_follow_each_other(tmp_path: Path, host: PluginHost) -> None:
    write_images(tmp_path / "b", ["F1.png", "F2.png"])
    write_images(tmp_path / "a", ["F1.png", "F2.png"])
    frames = open_inputs([tmp_path / "b", tmp_path / "a"], host)
    assert frames.indices == (0, 1, 2, 3)
    assert frames.names == ("b/F1.png", "b/F2.png", "a/F1.png", "a/F2.png")


def test_names_are_always_different(
    tmp_path: Path, host: PluginHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders = [tmp_path / "a/x", tmp_path / "b/x", tmp_path / "c"]
    for folder in folders:
        folder.parent.mkdir(exist_ok=True)
        write_images(folder, ["F1.png"])
    frames = open_inputs(folders, host)
    names = ("a/x/F1.png", "b/x/F1.png", "c/F1.png")
    assert frames.names == names
    # From wherever the program was started.
    monkeypatch.chdir(folders[0])
    here = [Path(), Path("../../b/x"), Path("../../c/../c")]
    assert open_inputs(here, host).names == names


def test_two_folders_that_continue_each_other(tmp_path: Path, host: PluginHost) -> None:
    write_images(tmp_path / "b", ["F3.png", "F4.png"])
    write_images(tmp_path / "a", ["F1.png", "F2.png"])
    frames = open_inputs([tmp_path / "b", tmp_path / "a"], host)
    assert frames.indices == (1, 2, 3, 4)
    assert frames.names == ("F1.png", "F2.png", "F3.png", "F4.png")


def test_a_stack_counts_from_zero(tmp_path: Path, host: PluginHost) -> None:
    path = write_stack(tmp_path / "run 12.tif", [5, 6, 7], pixel_nm=0.25)
    frames = open_inputs([path], host)
    assert frames.indices == (0, 1, 2)
    assert frames.names == ("run 12.tif#0", "run 12.tif#1", "run 12.tif#2")
    assert frames.calibration.pixel_size_nm == pytest.approx(0.25)
    assert frames[2].calibration == frames.calibration
    assert values(frames) == [5, 6, 7]


def test_stacks_and_images_are_joined_in_the_order_given(tmp_path: Path, host: PluginHost) -> None:
    second = write_stack(tmp_path / "b.tif", [5, 6])
    first = write_stack(tmp_path / "c.tif", [7, 8, 9])
    (image,) = write_images(tmp_path / "a", ["x4.png"])
    frames = open_inputs([first, image, second], host)
    assert frames.indices == tuple(range(6))
    assert frames.names == ("c.tif#0", "c.tif#1", "c.tif#2", "x4.png", "b.tif#0", "b.tif#1")
    assert values(frames) == [7, 8, 9, 0, 5, 6]
    assert [int(frames.read(k)[0, 0]) for k in (5, 0, 3, 2, 4)] == [6, 7, 0, 9, 5]


def test_a_file_given_twice_is_read_once(tmp_path: Path, host: PluginHost) -> None:
    paths = write_images(tmp_path / "a", ["a1.png", "a2.png"])
    frames = open_inputs([tmp_path / "a", paths[0]], host)
    assert len(frames) == 2
    assert frames.warnings == ["1 file was given twice; each is read once"]


def test_what_else_lies_in_a_folder(tmp_path: Path, host: PluginHost) -> None:
    write_images(tmp_path, ["a1.png", "a2.png", ".hidden.png", "._a1.png"])
    for name in ["a.json", "b.xml", "notes.txt", "t.csv", "r.zip", "Thumbs.db", "README"]:
        (tmp_path / name).write_text("x")
    (tmp_path / "folder.png").mkdir()
    assert open_inputs([tmp_path], host).warnings == []
    assert len(open_inputs([tmp_path], host)) == 2
    for name in ["a.raw", "b.raw", "c.czi"]:
        (tmp_path / name).write_text("x")
    frames = open_inputs([tmp_path], host)
    assert len(frames) == 2
    assert frames.warnings == [
        f"{tmp_path}: 3 files that no installed reader takes were left out (.czi, .raw)"
    ]
    for name in ["b.raw", "c.czi"]:
        (tmp_path / name).unlink()
    assert open_inputs([tmp_path], host).warnings == [
        f"{tmp_path}: 1 file that no installed reader takes was left out (.raw)"
    ]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (
            ["Frame1.jpg", "Frame1 copy.jpg", "Frame2.jpg", "Frame3.jpg", "Frame4.JPG"],
            "Frame1 copy.jpg does not fit the names of the 4 other files (Frame and a number), so "
            "frames count from 0 and not by the numbers in the names; if they should count by "
            "them, take it out or rename it",
        ),
        (
            [*(f"F{k}.png" for k in range(5)), "a.png", "b.png", "c.png", "d1.png"],
            "a.png, b.png, c.png and 1 more do not fit the names of the 5 other files (F and a "
            "number), so frames count from 0 and not by the numbers in the names; if they should "
            "count by them, take them out or rename them",
        ),
        (
            ["img (1).png", "img (2).png", "dark.png"],
            "dark.png does not fit the names of the 2 other files (img (…)), so frames count "
            "from 0 and not by the numbers in the names; if they should count by them, take it out "
            "or rename it",
        ),
        (
            ["1.png", "2.png", "dark.png"],
            "dark.png does not fit the names of the 2 other files (a number), so frames count "
            "from 0 and not by the numbers in the names; if they should count by them, take it out "
            "or rename it",
        ),
        (
            ["Frame1.jpg", "Frame01.jpg", "Frame2.jpg"],
            "Frame01.jpg and Frame1.jpg have the same number, so frames count from 0 and not by "
            "the numbers in the names; if they should count by them, each number must come once",
        ),
        (
            ["before1.png", "before2.png", "after1.png", "after2.png", "after3.png", "dark.png"],
            "the files are numbered in 2 ways (after… and before…), so "
            f"frames count from 0 and not by the numbers in the names: {GOES_ON}",
        ),
        (
            ["Frame1.jpg", "Frame2.jpg", "frame10.jpg", "frame11.jpg", "3.jpg", "4.jpg"],
            "the files are numbered in 3 ways (numbers alone, Frame… and frame…), "
            f"so frames count from 0 and not by the numbers in the names: {GOES_ON}",
        ),
        (
            ["S2 run1_f1.png", "S2 run1_f2.png", "S2 run2_f1.png", "S2 run2_f2.png"],
            "the files are numbered in 2 ways (S2 run1_f… and S2 run2_f…), so "
            f"frames count from 0 and not by the numbers in the names: {GOES_ON}",
        ),
        (
            ["r1_s1_1.png", "r1_s1_2.png", "r1_s2_1.png", "r1_s2_2.png"],
            "the files are numbered in 2 ways (r1_s1_… and r1_s2_…), so "
            f"frames count from 0 and not by the numbers in the names: {GOES_ON}",
        ),
        (
            ["frame_1.png", "frame_2.png", "frame_3.png", "ref 5.png", "ref 7.png"],
            "ref 5.png and ref 7.png do not fit the names of the 3 other files (frame_ and a "
            "number), so frames count from 0 and not by the numbers in the names; if they should "
            "count by them, take them out or rename them, and run recordings of their own apart",
        ),
    ],
)
def test_stray_files_that_end_the_numbering_are_named(
    tmp_path: Path, host: PluginHost, names: list[str], message: str
) -> None:
    write_images(tmp_path, names)
    frames = open_inputs([tmp_path], host)
    assert frames.indices == tuple(range(len(names)))
    assert frames.warnings == [message]


@pytest.mark.parametrize(
    "names",
    [
        ["a1.png", "b2.png"],
        ["a1.png", "b.png"],
        ["a.png", "b.png"],
        ["a1.png", "a3.png"],
        # One series each, though the last part of a time begins again.
        ["10-00-01.png", "10-00-31.png", "10-01-01.png", "10-01-31.png"],
        ["t0.1.png", "t0.6.png", "t1.1.png", "t1.6.png"],
        ["10-00-01.png", "10-00-31.png", "10-01-01.png"],
        ["20240501_123045.png", "20240501_123145.png", "20240502_0.png", "20240502_1.png"],
        ["12_345.png", "12_845.png", "13_345.png", "13_845.png"],
        ["1230_15.png", "1230_45.png", "1231_15.png", "1231_45.png"],
        ["a 10h01m05.png", "a 10h01m35.png", "a 10h02m05.png", "a 10h02m35.png"],
        [f"a 2024-05-01 at {h}.{m}.png" for h in (10, 11) for m in (10, 30)],
        [f"a_Hour_00_Minute_00_Second_0{s}_Frame_{k}.png" for s in (0, 1) for k in (0, 1)],
    ],
)
def test_names_without_a_broken_series_need_no_word(
    tmp_path: Path, host: PluginHost, names: list[str]
) -> None:
    write_images(tmp_path, names)
    assert open_inputs([tmp_path], host).warnings == []


def test_unrelated_images_may_be_of_several_series(tmp_path: Path, host: PluginHost) -> None:
    write_images(tmp_path, ["before1.png", "before2.png", "after1.png", "after2.png"])
    frames = open_inputs([tmp_path], host)
    assert still_true(frames.warnings, frames.calibration) == frames.warnings
    assert still_true(frames.warnings, frames.calibration, unrelated=True) == []


def test_folders_that_repeat_numbers_are_named(tmp_path: Path, host: PluginHost) -> None:
    write_images(tmp_path / "b", ["F1.png", "F2.png"])
    write_images(tmp_path / "a", ["F1.png", "F2.png"])
    (text,) = open_inputs([tmp_path / "b", tmp_path / "a"], host).warnings
    assert text.startswith("b/F1.png and a/F1.png have the same number, so frames count from 0")


def test_several_kinds_in_a_folder_are_said(tmp_path: Path, host: PluginHost) -> None:
    write_images(tmp_path, ["a1.png", "a2.jpg"])
    assert open_inputs([tmp_path], host).warnings == []
    write_stack(tmp_path / "s.tif", [1, 2])
    frames = open_inputs([tmp_path], host)
    assert len(frames) == 4
    assert "several kinds of files, and all are read: 1 .jpg, 1 .png, 1 .tif" in frames.warnings[0]


@pytest.mark.parametrize(
    ("make", "error", "part"),
    [
        (lambda p: None, InputError, "there is no file or folder"),
        (lambda p: p.mkdir(), InputError, "holds no image, stack or video; known suffixes are: "),
        (lambda p: (p / "images").mkdir(parents=True), InputError, "perhaps "),
        (lambda p: p.write_text("x"), InputError, "no installed reader takes files without"),
        (lambda p: os.mkfifo(p), InputError, "is neither a file nor a folder"),
    ],
)
def test_inputs_that_cannot_be(
    tmp_path: Path, host: PluginHost, make: Any, error: type[Exception], part: str
) -> None:
    make(tmp_path / "in")
    with pytest.raises(error, match=part) as caught:
        open_inputs([tmp_path / "in"], host)
    assert str(tmp_path / "in") in str(caught.value)


def test_a_folder_of_folders_names_those_that_can_be_read(tmp_path: Path, host: PluginHost) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / "readme.txt").write_text("x")
    write_images(tmp_path / "day2", ["a.png"])
    with pytest.raises(InputError, match="video, but day2 in it does; name it, for"):
        open_inputs([tmp_path], host)
    write_images(tmp_path / "day10", ["a.png"])
    with pytest.raises(InputError, match="day2 and day10 in it do; name them"):
        open_inputs([tmp_path], host)


def test_nothing_given(host: PluginHost) -> None:
    with pytest.raises(UsageError, match="no input was given"):
        open_inputs([], host)


def test_an_unknown_suffix_names_the_known_ones(tmp_path: Path, host: PluginHost) -> None:
    (tmp_path / "a.tff").write_text("x")
    with pytest.raises(InputError) as caught:
        open_inputs([tmp_path / "a.tff"], host)
    assert "files ending in '.tff' (did you mean '.tif" in str(caught.value)
    for suffix in (".png", ".dm4", ".mp4"):
        assert suffix in str(caught.value)


@pytest.mark.parametrize(
    ("suffix", "wanted"),
    [(".npy", "TIFF or PNG"), (".webp", "TIFF or PNG"), (".GIF", "TIFF or PNG"),
     (".h5", "TIFF or PNG"), (".mpeg", "MP4 or MKV")],
)  # fmt: skip
def test_a_format_of_its_own_is_no_misspelt_suffix(
    tmp_path: Path, host: PluginHost, suffix: str, wanted: str
) -> None:
    path = tmp_path / f"a{suffix}"
    path.write_text("x")
    expected = f"takes files ending in '{suffix.lower()}'; convert it to {wanted}; known suffixes"
    with pytest.raises(InputError, match=re.escape(expected)):
        open_inputs([path], host)


def test_without_permission(
    tmp_path: Path, host: PluginHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    (path,) = write_images(tmp_path / "a", ["a.png"])
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(InputError, match=r"a\.png cannot be read: permission denied"):
        open_inputs([path], host)

    def refused(folder: Path) -> Iterator[Any]:
        raise PermissionError(13, "Permission denied", str(folder))

    monkeypatch.setattr(os, "scandir", refused)
    with pytest.raises(InputError, match="a cannot be read: Permission denied"):
        open_inputs([tmp_path / "a"], host)


def test_damaged_images_are_found_when_they_are_read(tmp_path: Path, host: PluginHost) -> None:
    paths = write_images(tmp_path / "a", [f"F{k}.png" for k in range(5)])
    paths[1].write_text("this is text")
    paths[2].write_bytes(paths[2].read_bytes()[:40])
    paths[3].unlink()
    paths[3].symlink_to(tmp_path / "gone.png")
    frames = open_inputs([tmp_path / "a"], host)
    assert frames.indices == (0, 1, 2, 3, 4)
    for position in (1, 2, 3):
        with pytest.raises(DamagedFrameError, match=rf"^F{position}\.png: "):
            frames[position]
    assert [int(frames.read(k)[0, 0]) for k in (0, 4)] == [0, 4]


def test_a_damaged_stack_among_others_is_one_damaged_frame(
    tmp_path: Path, host: PluginHost
) -> None:
    good = write_stack(tmp_path / "a.tif", [1, 2])
    bad = tmp_path / "b.tif"
    bad.write_text("this is text")
    frames = open_inputs([good, bad], host)
    assert frames.names == ("a.tif#0", "a.tif#1", "b.tif")
    with pytest.raises(DamagedFrameError, match=r"b\.tif cannot be read as TIFF"):
        frames[2]
    with pytest.raises(InputError, match=r"b\.tif cannot be read as TIFF"):
        open_inputs([bad], host)


def test_a_file_that_shrinks_after_opening(tmp_path: Path, host: PluginHost) -> None:
    path = write_stack(tmp_path / "a.tif", [1, 2, 3])
    frames = open_inputs([path], host)
    frames.close()
    write_stack(path, [1, 2])
    assert int(frames.read(1)[0, 0]) == 2
    with pytest.raises(DamagedFrameError, match="held 3 frames when it was opened"):
        frames.read(2)
    frames.close()


def test_several_series_in_time_have_no_frame_interval(tmp_path: Path, host: PluginHost) -> None:
    paths = [write_stack(tmp_path / f"{k}.tif", [1, 2], 0.25, 10.0**k) for k in range(2)]
    alone = ds.open(paths[1], host=host)
    assert (alone.calibration.frame_interval_s, alone.warnings) == (10.0, [])
    frames = ds.open(paths, host=host)
    assert frames.calibration.frame_interval_s is None
    assert frames.calibration.pixel_size_nm == pytest.approx(0.25)
    series, text = frames.warnings
    assert series.startswith("there are several files, and some hold more than one frame")
    assert text.startswith("how much time lies from file to file is not known")
    # What the user says holds, also for both.
    given = ds.open(paths, host=host, frame_interval_s=2.0)
    assert given.calibration.time_s(3) == 6.0
    assert given.warnings == [series]
    # When an image by itself was taken is not known either.
    paths[1].unlink()
    paths[1] = write_stack(paths[1], [3])
    frames = ds.open(paths, host=host)
    assert frames.calibration.frame_interval_s is None
    assert text in frames.warnings


def test_calibration_is_the_first_files(tmp_path: Path, host: PluginHost) -> None:
    paths = [write_stack(tmp_path / f"a{k}.tif", [1], size) for k, size in
             enumerate([0.25, 0.251, 0.5, None])]  # fmt: skip
    frames = open_inputs(paths[:2], host)
    assert frames.calibration.pixel_size_nm == pytest.approx(0.25)
    values(frames)
    assert frames.warnings == []
    frames = open_inputs(paths, host)
    values(frames)
    assert frames.calibration.pixel_size_nm == pytest.approx(0.25)
    assert frames.warnings == [
        "the files differ in pixel size: 0.25 nm in the first, 0.5 nm in a2.tif; "
        "one is used for all, that of the first unless another is given; run files of "
        "different sizes apart"
    ]
    # What is said holds where a size is given, too.
    differ, overruled = ds.open(paths, host=host, pixel_size_nm=0.4).warnings
    assert "that of the first unless another is given" in differ
    assert overruled.endswith("0.4 nm/px was given and is used")


def test_warnings_of_many_files_come_once_with_the_first_name(
    tmp_path: Path, host: PluginHost
) -> None:
    red = np.zeros((12, 16, 3), np.uint8)
    red[3:, :, 2] = 200
    for k in range(4):
        assert cv2.imwrite(str(tmp_path / f"F{k}.png"), red)
    frames = open_inputs([tmp_path], host)
    selection = frames[1:]
    values(selection)
    assert len(frames.warnings) == 1
    assert frames.warnings[0].startswith("F1.png: the image has real colours")
    assert selection.warnings is frames.warnings


def test_the_number_of_warnings_is_limited() -> None:
    warnings: list[str] = []
    notes = SeriesNotes(warnings)
    for k in range(1000):
        notes.add("a.png", [f"warning {k}"])
    assert len(warnings) == MOST_WARNINGS + 1
    assert warnings[-1] == "there are more warnings about files; they are left out"


def test_survives_pickling_while_open(tmp_path: Path, host: PluginHost) -> None:
    stack = write_stack(tmp_path / "a.tif", [1, 2, 3])
    (image,) = write_images(tmp_path / "i", ["x.png"])
    frames = open_inputs([stack, image], host)
    frames.read(1)
    copy = pickle.loads(pickle.dumps(frames))
    assert (copy.names, copy.paths) == (frames.names, frames.paths)
    assert values(copy) == values(frames) == [1, 2, 3, 0]
    copy.close()
    frames.close()


def count_opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    opened: list[str] = []
    original = tifffile.TiffFile.__init__

    def counting(self: Any, file: Any, *args: Any, **options: Any) -> None:
        opened.append(Path(file).name)
        original(self, file, *args, **options)

    monkeypatch.setattr(tifffile.TiffFile, "__init__", counting)
    return opened


def test_a_large_folder_is_not_opened_file_by_file(
    tmp_path: Path, host: PluginHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inputs_module, "COUNT_ALL_FILES", 5)
    first = write_stack(tmp_path / "F0.tif", [9])
    for k in range(1, 30):
        os.link(first, tmp_path / f"F{k}.tif")
    opened = count_opened(monkeypatch)
    frames = open_inputs([tmp_path], host)
    assert opened == ["F0.tif"]
    assert frames.indices == tuple(range(30))
    assert values(frames) == [9] * 30
    # A file that is clearly larger may be a stack: it is looked into.
    write_stack(tmp_path / "F30.tif", [1, 2, 3, 4, 5, 6])
    opened.clear()
    frames = open_inputs([tmp_path], host)
    assert opened == ["F0.tif", "F30.tif"]
    assert len(frames) == 36
    frames.close()


def test_a_stack_taken_for_an_image_is_said(
    tmp_path: Path, host: PluginHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inputs_module, "COUNT_ALL_FILES", 1)
    monkeypatch.setattr(inputs_module, "LARGER", 10)
    write_stack(tmp_path / "F0.tif", [9])
    write_stack(tmp_path / "F1.tif", [1, 2])
    frames = open_inputs([tmp_path], host)
    assert values(frames) == [9, 1]
    assert "F1.tif: it holds 2 images, of which 1 is read" in frames.warnings[0]


def open_files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="needs /proc")
def test_few_files_are_open_at_a_time(tmp_path: Path, host: PluginHost) -> None:
    for k in range(40):
        write_stack(tmp_path / f"a{k}.tif", [k, k])
    before = open_files()
    with open_inputs([tmp_path], host) as frames:
        for frame in frames:
            assert frame.pixels[0, 0] in range(40)
            assert open_files() <= before + 2
    assert open_files() <= before


class Arrays(ds.Reader):
    """A third party's reader: one .npy file, several frames."""

    def read(self, path: Path) -> ds.FrameSequence:
        if path.stem == "broken":
            raise KeyError("no such thing")
        if path.stem == "ends":
            raise SystemExit(0)
        assert {"dislocation"} <= self.runtime.defect_types.keys()
        if path.stem == "unscaled":
            ds.Calibration(pixel_size_nm=-1)
        return ArrayFrames(path)


class ArrayFrames(ds.FrameSequence):
    """As in the documentation of the hook, of as many frames as the array holds."""

    def __init__(self, path: Path) -> None:
        count = len(np.load(path, mmap_mode="r"))
        self.path, self.indices, self.warnings = path, tuple(range(count)), []
        self.names = tuple(f"{path.name}#{k}" for k in range(count))

    def read(self, position: int) -> np.ndarray:
        if self.path.stem == "raises":
            raise ZeroDivisionError("division by zero")
        if self.path.stem == "quits":
            raise SystemExit(0)
        if self.path.stem == "fails":
            raise OSError(5, "Input/output error")
        return np.load(self.path)[position]


@pytest.fixture
def arrays(monkeypatch: pytest.MonkeyPatch) -> str:
    module = types.ModuleType("array_plugin")
    module.Arrays, module.ArrayFrames = Arrays, ArrayFrames  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "array_plugin", module)
    return "array_plugin:Arrays"


def add_reader(host: PluginHost, distribution: str, target: str, *suffixes: str) -> None:
    class Plugin:
        @ds.hookimpl
        def defectscope_readers(self) -> list[ds.ReaderSpec]:
            return [ds.ReaderSpec("arrays", "Arrays.", target, suffixes=suffixes)]

    record = PluginRecord("arrays", distribution, "1.0", target)
    host.plugins.append(record)
    host.register(Plugin(), record)


def test_a_third_party_reads_what_no_shipped_reader_does(
    tmp_path: Path, host: PluginHost, arrays: str
) -> None:
    add_reader(host, "lab-formats", arrays, ".npy", ".png")
    np.save(tmp_path / "a.npy", np.stack([picture(5), picture(6)]))
    write_images(tmp_path / "i", ["x.png"])
    frames = open_inputs([tmp_path / "a.npy", tmp_path / "i"], host)
    assert frames.names == ("a.npy#0", "a.npy#1", "x.png")
    assert values(frames) == [5, 6, 0]


def test_two_third_parties_for_one_suffix_clash(
    tmp_path: Path, host: PluginHost, arrays: str
) -> None:
    add_reader(host, "lab-formats", arrays, ".npy")
    add_reader(host, "other-lab", arrays, ".npy")
    np.save(tmp_path / "a.npy", np.zeros((1, 9, 9)))
    with pytest.raises(PluginClashError) as caught:
        open_inputs([tmp_path / "a.npy"], host)
    assert "lab-formats 1.0" in str(caught.value)
    assert "other-lab 1.0" in str(caught.value)
    assert "--no-plugin" in str(caught.value)


def test_a_reader_that_raises_is_named(tmp_path: Path, host: PluginHost, arrays: str) -> None:
    add_reader(host, "lab-formats", arrays, ".npy")
    for name in ("broken", "raises", "fails", "ends", "quits", "unscaled"):
        np.save(tmp_path / f"{name}.npy", np.stack([picture(5)] * 2))
    with pytest.raises(ComponentError, match=r"'lab-formats/arrays' failed on broken\.npy: KeyErr"):
        open_inputs([tmp_path / "broken.npy"], host)
    with pytest.raises(ComponentError, match=r"failed on raises\.npy: ZeroDivisionError: division"):
        open_inputs([tmp_path / "raises.npy"], host).read(0)
    with pytest.raises(ComponentError, match=r"failed on ends\.npy: SystemExit: 0 \(it tried"):
        open_inputs([tmp_path / "ends.npy"], host)
    with pytest.raises(ComponentError, match=r"failed on unscaled\.npy: OptionError: calibration"):
        open_inputs([tmp_path / "unscaled.npy"], host)
    with pytest.raises(ComponentError, match=r"failed on quits\.npy: SystemExit: 0 \(it tried"):
        open_inputs([tmp_path / "quits.npy"], host).read(0)
    with pytest.raises(DamagedFrameError, match=r"fails\.npy#1: cannot be read: Input/output"):
        open_inputs([tmp_path / "fails.npy"], host).read(1)


@pytest.mark.parametrize(
    ("frame", "found"),
    [
        (picture(5).astype(float), r"float64 of \(12, 16\)"),
        (picture(5) > 0, r"bool of \(12, 16\)"),
        (np.dstack([picture(5)] * 3), r"uint8 of \(12, 16, 3\)"),
    ],
)
def test_a_reader_with_pixels_of_another_kind_is_named(
    tmp_path: Path, host: PluginHost, arrays: str, frame: Any, found: str
) -> None:
    add_reader(host, "lab-formats", arrays, ".npy")
    np.save(tmp_path / "a.npy", frame[None])
    with pytest.raises(ComponentError, match=f"'lab-formats/arrays' must return .*, found {found}"):
        open_inputs([tmp_path], host).read(0)


def test_numbers_of_another_byte_order_are_taken(
    tmp_path: Path, host: PluginHost, arrays: str
) -> None:
    add_reader(host, "lab-formats", arrays, ".npy")
    np.save(tmp_path / "a.npy", picture(5)[None].astype(">u2"))
    (frame,) = open_inputs([tmp_path], host)
    assert frame.pixels.dtype == np.uint16
    assert frame.pixels.dtype.isnative
    np.testing.assert_array_equal(frame.pixels, picture(5))


def test_files_without_frames_are_said(tmp_path: Path, host: PluginHost, arrays: str) -> None:
    add_reader(host, "lab-formats", arrays, ".npy")
    for name, count in (("a", 2), ("b", 0), ("c", 1)):
        np.save(tmp_path / f"{name}.npy", np.zeros((count, 12, 16)))
    frames = open_inputs([tmp_path], host)
    assert frames.names == ("a.npy#0", "a.npy#1", "c.npy")
    assert any(text.startswith("b.npy holds no frame and is left out") for text in frames.warnings)
    with pytest.raises(InputError, match=r"b\.npy: there is no frame"):
        open_inputs([tmp_path / "b.npy"], host)


def test_a_missing_package_is_not_a_damaged_frame(
    tmp_path: Path, host: PluginHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "rsciio", None)
    write_images(tmp_path, ["a.png"])
    (tmp_path / "b.dm4").write_bytes(b"\0" * 100)
    with pytest.raises(MissingPackageError, match=r"b\.dm4 needs the package rosettasciio"):
        open_inputs([tmp_path], host)


@pytest.mark.real_data
def test_the_real_in_situ_series(host: PluginHost, real_data: Any) -> None:
    folder = real_data("insitu-loops/frames")
    frames = open_inputs([folder], host)
    assert len(frames) == 263
    assert (frames.indices[0], frames.indices[-1]) == (0, 1170)
    assert 629 not in frames.indices
    clip = frames.select(461, 661, None)
    assert len(clip) == 199
    assert clip[0].source == "Frame461.jpg"
    with pytest.raises(InputError, match=r"perhaps .*frames is meant"):
        open_inputs([folder.parent], host)


@pytest.mark.real_data
def test_the_folder_of_microscope_files(host: PluginHost, real_data: Any) -> None:
    pytest.importorskip("rsciio", reason="RosettaSciIO (extra 'microscope') is not installed")
    frames = open_inputs([real_data("microscope")], host)
    damaged = []
    for position in range(len(frames)):
        try:
            frames[position]
        except DamagedFrameError:
            damaged.append(frames.names[position])
    assert damaged == ["08_carbon.dm3"]
    assert len(frames) == 1 + 1 + 66 + 66 + 1 + 1 + 3
    frames.close()
