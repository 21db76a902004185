"""TIFF stacks: exact, lazy, calibrated where that is unambiguous, and readable when damaged."""

from __future__ import annotations

import pickle
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from defectscope import DamagedFrameError, DefectscopeError, InputError
from defectscope.readers.pixels import COLOURS, ROUNDED, TURNED
from defectscope.readers.tiff import TiffFrames, TiffReader

RNG = np.random.default_rng(0)

STACK = RNG.integers(0, 4096, (20, 24, 32)).astype(np.uint16)  # 12 bits in 16


def opened(path: Path) -> TiffFrames:
    return TiffReader().read(path)


def states(frames: TiffFrames, expected: np.ndarray) -> str:
    """Return a character for each frame: right, wrong, or Damaged."""
    found = ""
    for position in range(len(frames)):
        try:
            pixels = frames.read(position)
        except DamagedFrameError:
            found += "D"
        else:
            found += "." if np.array_equal(pixels, expected[position]) else "x"
    return found


def write_pages(path: Path, stack: np.ndarray, **options: Any) -> None:
    with tifffile.TiffWriter(path) as writer:
        for page in stack:
            writer.write(page, contiguous=False, metadata=None, **options)


LAYOUTS = {
    "contiguous": {},
    "big endian": {"byteorder": ">"},
    "bigtiff": {"bigtiff": True},
    "imagej": {"imagej": True, "metadata": {"axes": "TYX"}},
    "ome": {"ome": True, "metadata": {"axes": "TYX"}},
    "deflate": {"compression": "zlib", "predictor": True},
    "lzw strips": {"compression": "lzw", "rowsperstrip": 8},
    "tiles": {"tile": (16, 16)},
    "no metadata": {"metadata": None},
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_stacks_are_exact_in_order_and_out_of_it(tmp_path: Path, layout: str) -> None:
    path = tmp_path / "a.tif"
    options: dict[str, Any] = dict(LAYOUTS[layout])
    tifffile.imwrite(path, STACK, **options)
    with opened(path) as frames:
        assert frames.indices == tuple(range(20))
        assert frames.names[3] == "a.tif#3"
        assert states(frames, STACK) == "." * 20
        for position in (7, 2, 19, 0):
            assert np.array_equal(frames[position].pixels, STACK[position])
            assert frames[position].pixels.dtype == np.uint16
        copy = pickle.loads(pickle.dumps(frames))
        assert np.array_equal(copy.read(5), STACK[5])
        copy.close()
        assert frames.warnings == []


def test_pages_written_one_by_one(tmp_path: Path) -> None:
    write_pages(tmp_path / "a.tif", STACK)
    with opened(tmp_path / "a.tif") as frames:
        assert states(frames, STACK) == "." * 20


def test_a_single_image_has_a_plain_name(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "Frame7.tif", STACK[0])
    with opened(tmp_path / "Frame7.tif") as frames:
        assert frames.names == ("Frame7.tif",)


def test_imagejs_stack_behind_one_page(tmp_path: Path) -> None:
    """ImageJ writes stacks beyond 4 GB as one page, followed by raw images."""
    path = tmp_path / "a.tif"
    description = "ImageJ=1.54f\nimages=20\nslices=20\nunit=nm\n"
    tifffile.imwrite(
        path, STACK[0], description=description, metadata=None, resolution=(2.0, 2.0, "NONE"),
        byteorder=">",
    )  # fmt: skip
    with path.open("ab") as stream:
        stream.write(STACK[1:].astype(">u2").tobytes())
    with opened(path) as frames:
        assert states(frames, STACK) == "." * 20
        assert frames.calibration.pixel_size_nm == pytest.approx(0.5)
        assert frames.warnings == []
    path.write_bytes(path.read_bytes()[:-2000])
    with opened(path) as frames:
        assert states(frames, STACK) == "." * 18 + "DD"
        assert frames.warnings == ["the file is cut off inside its 20 images"]


def test_metadata_of_a_stack_copied_to_a_single_image(tmp_path: Path) -> None:
    description = "ImageJ=1.54f\nimages=20\nslices=20\n"
    tifffile.imwrite(tmp_path / "a.tif", STACK[0], description=description, metadata=None)
    with opened(tmp_path / "a.tif") as frames:
        assert len(frames) == 1
        assert frames.warnings == ["the metadata speak of 20 images, the file holds 1"]


@pytest.mark.parametrize("layout", ["contiguous", "imagej", "big endian"])
def test_a_cut_off_contiguous_stack_keeps_its_whole_images(tmp_path: Path, layout: str) -> None:
    path = tmp_path / "a.tif"
    options: dict[str, Any] = dict(LAYOUTS[layout])
    tifffile.imwrite(path, STACK, **options)
    path.write_bytes(path.read_bytes()[: STACK.nbytes // 2])
    with opened(path) as frames:
        found = states(frames, STACK)
        assert len(found) == 20
        assert found.strip("D") == "." * found.count(".")
        assert found.count(".") >= 9
        assert "cut off" in frames.warnings[0]


def test_a_cut_off_compressed_stack_keeps_its_whole_pages(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    write_pages(path, STACK, compression="zlib")
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    with opened(path) as frames:
        found = states(frames, STACK)
        assert found.rstrip("D") == "." * found.count(".")
        assert found.count(".") in range(8, 12)
        assert "list of pages ends after" in frames.warnings[0]


@pytest.mark.parametrize("compression", [None, "zlib", "lzw", "jpeg"])
def test_a_cut_off_single_image_is_damaged(tmp_path: Path, compression: str | None) -> None:
    path = tmp_path / "a.tif"
    image = STACK[0].astype(np.uint8)
    tifffile.imwrite(path, image, compression=compression, rowsperstrip=8)
    path.write_bytes(path.read_bytes()[:-100])
    with opened(path) as frames, pytest.raises(DamagedFrameError, match=r"a\.tif: .*cut off"):
        frames.read(0)


def test_strips_that_were_never_written_are_damage(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, STACK[0], compression="zlib", rowsperstrip=8)
    with tifffile.TiffFile(path, mode="r+") as file:
        tag = file.pages.first.tags["StripByteCounts"]
        tag.overwrite([tag.value[0], 0, tag.value[2]])
    with opened(path) as frames, pytest.raises(DamagedFrameError, match="never written"):
        frames.read(0)


@pytest.mark.parametrize("content", [b"", b"this is text", b"II*\x00", b"II*\x00\xff\xff\xff\x00"])
def test_other_files_named_tif(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "fake.tif").write_bytes(content)
    with pytest.raises(InputError, match=r"fake\.tif"):
        opened(tmp_path / "fake.tif")


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damaged_headers_raise_nothing_else(tmp_path: Path, data: st.DataObject) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, STACK[:5], compression=data.draw(st.sampled_from([None, "zlib"])))
    content = bytearray(path.read_bytes())
    for place, value in data.draw(
        st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), min_size=1, max_size=6)
    ):
        content[place] = value
    path.write_bytes(content)
    try:
        with opened(path) as frames:
            outcome = states(frames, np.zeros((len(frames), 1, 1)))
    except DefectscopeError as error:
        outcome = str(error)
    assert set(outcome) <= set("xD") or outcome.startswith("a.tif")


@pytest.mark.parametrize("planar", ["contig", "separate"])
def test_rgb_pages(tmp_path: Path, planar: str) -> None:
    grey = STACK[:3].astype(np.uint8)
    axis = 3 if planar == "contig" else 1
    stored = np.stack([grey] * 3, axis=axis)
    tifffile.imwrite(tmp_path / "a.tif", stored, photometric="rgb", planarconfig=planar)
    with opened(tmp_path / "a.tif") as frames:
        assert states(frames, grey) == "..."
        assert frames.warnings == []
    if planar == "contig":
        stored[..., 1] = 0
    else:
        stored[:, 1] = 0
    tifffile.imwrite(tmp_path / "b.tif", stored, photometric="rgb", planarconfig=planar)
    with opened(tmp_path / "b.tif") as frames:
        assert frames.read(1) == pytest.approx(0.413 * grey[1], abs=1)
        assert frames.warnings == [COLOURS]


def test_rgba(tmp_path: Path) -> None:
    grey = STACK[0]
    stored = np.dstack([grey, grey, grey, np.full_like(grey, 9)])
    tifffile.imwrite(tmp_path / "a.tif", stored, photometric="rgb", extrasamples=["unassalpha"])
    with opened(tmp_path / "a.tif") as frames:
        assert states(frames, [grey]) == "."


@pytest.mark.parametrize("factor", [256, 257])
def test_palette(tmp_path: Path, factor: int) -> None:
    grey = RNG.permutation(256).astype(np.uint16)
    colormap = np.stack([grey * factor] * 3).astype(np.uint16)
    stored = STACK[0].astype(np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", stored, photometric="palette", colormap=colormap)
    with opened(tmp_path / "a.tif") as frames:
        assert frames.read(0).dtype == np.uint8
        assert states(frames, [grey[stored]]) == "."


def test_imagejs_palette_is_for_display_only(tmp_path: Path) -> None:
    stored = STACK[0].astype(np.uint8)
    colormap = RNG.integers(0, 65536, (3, 256)).astype(np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", stored, imagej=True, colormap=colormap)
    with opened(tmp_path / "a.tif") as frames:
        assert states(frames, [stored]) == "."


@pytest.mark.parametrize("orientation", [1, 3, 6, 9])
def test_an_image_to_be_shown_turned(tmp_path: Path, orientation: int) -> None:
    path = tmp_path / "turned.tif"
    tag = (274, "H", 1, orientation, True)
    write_pages(path, STACK[:2], extratags=[tag])
    frames = opened(path)
    assert states(frames, STACK[:2]) == ".."
    assert frames.warnings == ([TURNED] if orientation in (3, 6) else [])


def test_white_as_zero_is_turned_round(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", STACK[:2], photometric="miniswhite")
    with opened(tmp_path / "a.tif") as frames:
        assert states(frames, 65535 - STACK[:2]) == ".."


def test_signed_white_as_zero_keeps_its_order_at_the_lowest_value(tmp_path: Path) -> None:
    stored = np.array([[-32768, -1, 0, 32767]], np.int16).repeat(4, axis=0)
    tifffile.imwrite(tmp_path / "a.tif", stored, photometric="miniswhite")
    with opened(tmp_path / "a.tif") as frames:
        assert np.array_equal(frames.read(0)[0], [32767, 0, -1, -32768])


def test_cmyk_is_refused(tmp_path: Path) -> None:
    stored = np.dstack([STACK[0].astype(np.uint8)] * 4)
    tifffile.imwrite(tmp_path / "a.tif", stored, photometric="separated")
    with opened(tmp_path / "a.tif") as frames, pytest.raises(DamagedFrameError, match="CMYK"):
        frames.read(0)


@pytest.mark.parametrize("planar", ["contig", "separate"])
@pytest.mark.parametrize("samples", [3, 4])
def test_channels_are_neither_mixed_nor_left_out(tmp_path: Path, samples: int, planar: str) -> None:
    stored = np.stack(STACK[:samples], axis=-1 if planar == "contig" else 0)
    tifffile.imwrite(
        tmp_path / "a.tif", stored, photometric="minisblack", planarconfig=planar, metadata=None,
        extrasamples=["unspecified"] * (samples - 1),
    )  # fmt: skip
    with opened(tmp_path / "a.tif") as frames, pytest.raises(DamagedFrameError) as caught:
        frames.read(0)
    assert f"found {samples} values for each pixel that are no colours" in str(caught.value)


@pytest.mark.parametrize("planar", ["contig", "separate"])
def test_a_second_value_of_unknown_kind_is_left_out(tmp_path: Path, planar: str) -> None:
    stored = np.stack(STACK[:2], axis=-1 if planar == "contig" else 0)
    tifffile.imwrite(
        tmp_path / "a.tif", stored, photometric="minisblack", planarconfig=planar, metadata=None,
        extrasamples=["unspecified"],
    )  # fmt: skip
    with opened(tmp_path / "a.tif") as frames:
        for _ in range(2):
            assert np.array_equal(frames.read(0), STACK[0])
        (warning,) = frames.warnings
    assert "two grey values for each pixel" in warning


@pytest.mark.parametrize("extra", [["unassalpha"], ["unspecified", "unspecified"]])
def test_grey_with_alpha_or_written_three_times(tmp_path: Path, extra: list[str]) -> None:
    others = STACK[1] if extra == ["unassalpha"] else STACK[0]
    stored = np.dstack([STACK[0], *[others] * len(extra)])
    tifffile.imwrite(
        tmp_path / "a.tif", stored, photometric="minisblack", planarconfig="contig",
        extrasamples=extra,
    )  # fmt: skip
    with opened(tmp_path / "a.tif") as frames:
        assert states(frames, STACK[:1]) == "."
        assert frames.warnings == []


@pytest.mark.parametrize("kind", ["int8", "int16", "float32", "float64", "uint32", "bool"])
def test_dtypes(tmp_path: Path, kind: str) -> None:
    stored = (STACK[:2] - 100).astype(kind)
    tifffile.imwrite(tmp_path / "a.tif", stored, photometric="minisblack")
    with opened(tmp_path / "a.tif") as frames:
        expected = stored * 255 if kind == "bool" else stored
        assert states(frames, expected) == ".."
        assert frames.read(0).dtype == (np.uint8 if kind == "bool" else np.float32)
        assert frames.warnings == []


def test_32_bit_integers_that_float32_cannot_hold(tmp_path: Path) -> None:
    stored = STACK[:3].astype(np.uint32) + 2**30
    tifffile.imwrite(tmp_path / "a.tif", stored, photometric="minisblack")
    with opened(tmp_path / "a.tif") as frames:
        for position in range(3):
            frames.read(position)
        assert frames.warnings == [ROUNDED]


def test_nan_is_a_damaged_frame(tmp_path: Path) -> None:
    stored = STACK[:2].astype(np.float32)
    stored[1, 3, 4] = np.nan
    tifffile.imwrite(tmp_path / "a.tif", stored, photometric="minisblack")
    with opened(tmp_path / "a.tif") as frames:
        assert frames[0].shape == (24, 32)
        with pytest.raises(DamagedFrameError, match=r"a\.tif#1: 1 of 768 pixels are not finite"):
            frames[1]


def test_images_of_different_size_and_a_thumbnail(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path) as writer:
        writer.write(STACK[0], metadata=None)
        writer.write(STACK[0][::3, ::3], metadata=None, subfiletype=1)
        writer.write(STACK[1][:16], metadata=None)
        writer.write(STACK[2], metadata=None)
    with opened(path) as frames:
        assert [frame.shape for frame in frames] == [(24, 32), (16, 32), (24, 32)]
        assert np.array_equal(frames.read(2), STACK[2])


def test_other_files_that_ome_names_are_left_alone(tmp_path: Path) -> None:
    """Else each file of a set would show the frames of all."""
    names = ["a.ome.tif", "b.ome.tif"]
    data = "".join(
        f'<TiffData IFD="0" FirstT="{t}" PlaneCount="1"><UUID FileName="{name}">'
        f"urn:uuid:00000000-0000-0000-0000-00000000000{t}</UUID></TiffData>"
        for t, name in enumerate(names)
    )
    for t, name in enumerate(names):
        xml = (
            '<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" '
            f'UUID="urn:uuid:00000000-0000-0000-0000-00000000000{t}"><Image ID="Image:0">'
            '<Pixels ID="Pixels:0" DimensionOrder="XYZCT" Type="uint16" SizeX="32" SizeY="24" '
            f'SizeZ="1" SizeC="1" SizeT="2" PhysicalSizeX="0.25" PhysicalSizeXUnit="nm" '
            f'PhysicalSizeY="0.25" PhysicalSizeYUnit="nm">{data}</Pixels></Image></OME>'
        )
        tifffile.imwrite(tmp_path / name, STACK[t], description=xml, metadata=None)
    for t, name in enumerate(names):
        with opened(tmp_path / name) as frames:
            assert states(frames, STACK[t : t + 1]) == "."
            assert frames.calibration.pixel_size_nm == 0.25


def test_one_frame_is_held_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    stack = np.zeros((60, 256, 256), np.uint16)
    stack[:, :9] = 4095
    tifffile.imwrite(path, stack)
    frame_bytes = stack[0].nbytes
    tracemalloc.start()
    try:
        with opened(path) as frames:
            for frame in frames:
                assert frame.pixels[0, 0] == 4095
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 10 * frame_bytes
