"""Hyperstacks: channels and slices are no times; the time between frames and plain resolutions."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from defectscope import InputError, OptionError, Runtime
from defectscope import open as open_frames
from defectscope.readers.tiff import TiffFrames, TiffOptions, TiffReader

RNG = np.random.default_rng(0)
# (times, slices, channels, y, x)
PLANES = RNG.integers(0, 4096, (3, 2, 4, 24, 32)).astype(np.uint16)
KINDS = {"imagej": {"imagej": True}, "ome": {"ome": True}, "plain": {}}


def write(path: Path, planes: np.ndarray, axes: str, kind: str, **more: Any) -> None:
    tifffile.imwrite(
        path, planes, photometric="minisblack", metadata={"axes": axes, **more}, **KINDS[kind]
    )


def opened(path: Path, **options: Any) -> TiffFrames:
    return TiffReader(TiffOptions(**options), Runtime()).read(path)


def holds(frames: TiffFrames, expected: np.ndarray) -> bool:
    return len(frames) == len(expected) and all(
        np.array_equal(frames.read(k), image) for k, image in enumerate(expected)
    )


@pytest.mark.parametrize("kind", KINDS)
def test_channels_are_refused_until_one_is_chosen(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "a.tif"
    planes = PLANES[:, 0]
    write(path, planes, "TCYX", kind)
    with pytest.raises(InputError, match=r"4 channels at each of 3 times.*--set tiff\.channel=1,"):
        opened(path)
    with opened(path, channel=2) as frames:
        assert frames.indices == (0, 1, 2)
        assert holds(frames, planes[:, 1])
        assert holds(pickle.loads(pickle.dumps(frames)), planes[:, 1])
    with opened(path, channel="all") as frames:
        assert holds(frames, planes.reshape(-1, 24, 32))
    for wrong in (0, 5):
        with pytest.raises(InputError, match=rf"holds 4 channels; tiff\.channel={wrong} is none"):
            opened(path, channel=wrong)


@pytest.mark.parametrize("kind", KINDS)
def test_slices_at_several_times(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "a.tif"
    planes = PLANES[:, :, 0]
    write(path, planes, "TZYX", kind)
    with pytest.raises(InputError, match=r"2 slices at each of 3 times.*--set tiff\.slice=1,"):
        opened(path)
    with opened(path, slice=2) as frames:
        assert holds(frames, planes[:, 1])


def test_channels_and_slices(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    write(path, PLANES, "TZCYX", "imagej")
    with pytest.raises(InputError, match=r"tiff\.channel=1 --set tiff\.slice=1"):
        opened(path)
    with opened(path, channel=3, slice=2) as frames:
        assert holds(frames, PLANES[:, 1, 2])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("axes", ["ZYX", "TYX"])
def test_a_plain_stack_is_a_series(tmp_path: Path, kind: str, axes: str) -> None:
    path = tmp_path / "a.tif"
    write(path, PLANES[:, 0, 0], axes, kind)
    with opened(path) as frames:
        assert holds(frames, PLANES[:, 0, 0])
        assert frames.warnings == []


def test_a_stack_whose_writer_said_nothing_is_a_series(tmp_path: Path) -> None:
    planes = PLANES.reshape(-1, 24, 32)
    tifffile.imwrite(tmp_path / "a.tif", planes, imagej=True)  # calls them 24 channels
    with opened(tmp_path / "a.tif") as frames:
        assert holds(frames, planes)


def test_colours_of_ome_are_no_channels(tmp_path: Path) -> None:
    path = tmp_path / "a.ome.tif"
    grey = np.repeat(PLANES[:, 0, 0, ..., None], 3, -1)
    tifffile.imwrite(path, grey, photometric="rgb", metadata={"axes": "TYXS"})
    with opened(path) as frames:
        assert holds(frames, PLANES[:, 0, 0])


UUID = "urn:uuid:00000000-0000-0000-0000-000000000001"


def write_ome(path: Path, planes: np.ndarray, attributes: str, inside: str) -> None:
    """Write channel 1 of both times, and then channel 0, with blocks that hold `inside`."""
    places = [(0, 1), (1, 1), (0, 0), (1, 0)]
    blocks = "".join(
        f'<TiffData IFD="{k}" PlaneCount="1" FirstT="{t}" FirstZ="0" '
        f'{attributes or f"""FirstC="{c}" """}>{inside}</TiffData>'
        for k, (t, c) in enumerate(places)
    )
    xml = (
        f'<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" UUID="{UUID}">'
        '<Image ID="Image:0"><Pixels ID="Pixels:0" DimensionOrder="XYCZT" Type="uint16" '
        f'SizeX="32" SizeY="24" SizeC="2" SizeZ="1" SizeT="2">{blocks}</Pixels></Image></OME>'
    )
    with tifffile.TiffWriter(path) as writer:
        for k, page in enumerate(planes):
            text = xml if k == 0 else None
            writer.write(page, contiguous=False, metadata=None, description=text)


@pytest.mark.parametrize(
    "inside",
    [
        "",
        f'<UUID FileName="before-it-was-renamed.ome.tif">{UUID}</UUID>',
        '<UUID FileName="a.ome.tif">urn:uuid:00000000-0000-0000-0000-00000000000f</UUID>',
    ],
)
def test_order_of_the_planes_of_ome(tmp_path: Path, inside: str) -> None:
    planes = PLANES[:2, 0, :2].reshape(-1, 24, 32)
    write_ome(tmp_path / "a.ome.tif", planes, "", inside)
    with pytest.raises(InputError, match="2 channels at each of 2 times"):
        opened(tmp_path / "a.ome.tif")
    with opened(tmp_path / "a.ome.tif", channel=1) as frames:
        assert holds(frames, planes[2:])


@pytest.mark.parametrize(
    ("attributes", "inside"),
    [
        # Planes that some block leaves out are not guessed at: then it is a series as stored.
        ('FirstC="1"', ""),
        # Where images lie in another file, it is not known which of them this one holds.
        ("", '<UUID FileName="b.tif">urn:uuid:00000000-0000-0000-0000-00000000000f</UUID>'),
    ],
)
def test_planes_of_ome_whose_order_is_not_told(
    tmp_path: Path, attributes: str, inside: str
) -> None:
    planes = PLANES[:2, 0, :2].reshape(-1, 24, 32)
    write_ome(tmp_path / "a.ome.tif", planes, attributes, inside)
    with opened(tmp_path / "a.ome.tif", channel=1) as frames:
        assert holds(frames, planes)


@pytest.mark.parametrize(
    ("kind", "more", "expected"),
    [
        ("imagej", {"finterval": 1.75}, 1.75),
        ("imagej", {"finterval": 40.0, "tunit": "ms"}, 0.04),
        ("imagej", {"finterval": 0.0}, None),
        ("imagej", {"finterval": 3.0, "tunit": "frames"}, None),
        ("ome", {"TimeIncrement": 1.75, "TimeIncrementUnit": "s"}, 1.75),
        ("ome", {"TimeIncrement": 40.0, "TimeIncrementUnit": "ms"}, 0.04),
        ("ome", {"TimeIncrement": 0.5}, 0.5),
    ],
)
def test_time_between_frames(
    tmp_path: Path, kind: str, more: dict[str, Any], expected: float | None
) -> None:
    write(tmp_path / "a.tif", PLANES[:, 0, 0], "TYX", kind, **more)
    with opened(tmp_path / "a.tif") as frames:
        assert frames.calibration.frame_interval_s == (expected and pytest.approx(expected))
        assert frames.warnings == []


@pytest.mark.parametrize(
    ("times", "unit", "expected"),
    [
        ((0.0, 2.01, 4.0), "s", 2.0),
        ((500.0, 1000.0, 1500.0), "ms", 0.5),
        ((0.0, 0.0, 0.0), "s", None),
        ((0.0, 1.0, 2.0), "reference frame", None),
    ],
)
def test_the_times_of_planes_in_ome(
    tmp_path: Path, times: tuple[float, ...], unit: str, expected: float | None
) -> None:
    path = tmp_path / "a.ome.tif"
    # Channel 2 follows a little later.
    delta = [time + late for time in times for late in (0, 0.3)]
    write(path, PLANES[:, 0, :2], "TCYX", "ome", Plane={"DeltaT": delta, "DeltaTUnit": [unit] * 6})
    with opened(path, channel=2) as frames:
        found = frames.calibration.frame_interval_s
        assert found == (expected and pytest.approx(expected))
        assert frames.warnings == []


def test_uneven_times_of_planes_in_ome(tmp_path: Path) -> None:
    path = tmp_path / "a.ome.tif"
    write(path, PLANES[:, 0, 0], "TYX", "ome", Plane={"DeltaT": [0.0, 1.0, 7.0]})
    with opened(path) as frames:
        assert frames.calibration.frame_interval_s is None
        (warning,) = frames.warnings
    assert "uneven (steps of 1 to 6 s); the frame interval is left unknown" in warning
    assert "--frame-times" in warning


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        (np.round(np.arange(60) / 30, 2), 1 / 30),
        (np.arange(20) * 0.1 + 0.012 * (np.arange(20) == 7), 0.1),
        # A frame was dropped, and the rate was changed.
        (np.delete(np.arange(21.0), 9), None),
        (np.cumsum([1.0] * 20 + [1.2] * 20), None),
    ],
)
def test_measured_times_in_ome_are_judged_from_the_first(
    tmp_path: Path, times: np.ndarray, expected: float | None
) -> None:
    path = tmp_path / "a.ome.tif"
    planes = np.repeat(PLANES[:1, 0, 0], len(times), axis=0)
    write(path, planes, "TYX", "ome", Plane={"DeltaT": times.tolist()})
    with opened(path) as frames:
        found = frames.calibration.frame_interval_s
        assert found == (expected and pytest.approx(expected, rel=0.01))
        assert len(frames.warnings) == (expected is None)


def test_time_between_slices_and_of_imported_videos_is_left_aside(tmp_path: Path) -> None:
    write(tmp_path / "z.tif", PLANES[:, 0, 0], "ZYX", "imagej", finterval=1.75)
    write(tmp_path / "v.tif", PLANES[:, 0, 0], "TYX", "imagej", finterval=0.04, fps=25.0)
    for name, said in (("z.tif", "call the images slices"), ("v.tif", "how fast ImageJ plays")):
        with opened(tmp_path / name) as frames:
            assert frames.calibration.frame_interval_s is None
            assert said in frames.warnings[0]


@pytest.mark.parametrize(
    ("resolution", "unit", "expected"),
    [
        (2.6884e7, "CENTIMETER", 0.37197),
        (5.08e7, "INCH", 0.5),
        (72.0, "INCH", None),
        (9600.0, "INCH", None),
        (2.6884e7, "NONE", None),
    ],
)
def test_a_resolution_that_no_printer_has_is_a_scale(
    tmp_path: Path, resolution: float, unit: str, expected: float | None
) -> None:
    path = tmp_path / "a.tif"
    resolutions = (resolution, resolution)
    tifffile.imwrite(path, PLANES[0, 0, 0], resolution=resolutions, resolutionunit=unit)
    with opened(path) as frames:
        size = frames.calibration.pixel_size_nm
        assert size == (expected and pytest.approx(expected, rel=1e-4))


@pytest.mark.parametrize(
    ("second", "differs"),
    [
        ({"resolution": (1.35e7, 1.35e7), "resolutionunit": "CENTIMETER"}, True),
        ({"resolution": (5.08e7, 5.08e7), "resolutionunit": "INCH"}, True),
        ({"resolution": (2.7e7, 2.7e7), "resolutionunit": "CENTIMETER"}, False),
        ({"resolution": (6.858e7, 6.858e7), "resolutionunit": "INCH"}, False),
        ({"resolution": (72, 72), "resolutionunit": "INCH"}, False),
        ({"resolution": (7, 7), "resolutionunit": "CENTIMETER", "subfiletype": 1}, False),
        ({}, False),
    ],
)
def test_pages_of_different_resolution_are_said(
    tmp_path: Path, second: dict[str, Any], differs: bool
) -> None:
    path = tmp_path / "a.tif"
    first = {"resolution": (2.7e7, 2.7e7), "resolutionunit": "CENTIMETER"}
    for options in (first, first, second):
        tifffile.imwrite(path, PLANES[0, 0, 0], append=path.exists(), **options)
    with opened(path) as frames:
        assert frames.calibration.pixel_size_nm == pytest.approx(1 / 2.7, rel=1e-4)
        said = [text for text in frames.warnings if "differ in pixel size" in text]
    assert len(said) == differs
    if differs:
        assert "0.37037 nm in the first, " in said[0]
        assert "in page 3; one is used for all" in said[0]


def test_options_of_readers_are_those_of_the_series(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    write(path, PLANES[:, 0], "TCYX", "imagej")
    with open_frames(path, options={"tiff": {"channel": 2}}) as frames:
        assert frames.reader_options == {"tiff": {"channel": 2}}
        assert frames.names == ("a.tif#0", "a.tif#1", "a.tif#2")
        assert np.array_equal(frames[2].pixels, PLANES[2, 0, 1])
    with pytest.raises(OptionError, match=r"for 'video', which reads none.*read by: tiff"):
        open_frames(path, options={"video": {"channel": 2}})
    with pytest.raises(OptionError, match=r"'tiff' has no option 'chanel' .did you mean"):
        open_frames(path, options={"tiff": {"chanel": 1}})
