"""PNG, JPEG and BMP: exact pixels, and no half image taken for a whole one."""

from __future__ import annotations

import pickle
import struct
import zlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from defectscope import DamagedFrameError
from defectscope.readers.images import ImageFile, ImageReader
from defectscope.readers.pixels import COLOURS, TURNED


@pytest.fixture
def grey() -> np.ndarray:
    noise = np.random.default_rng(0).integers(0, 256, (60, 90)).astype(np.uint8)
    return cv2.GaussianBlur(noise, (0, 0), 2)


def written(path: Path, pixels: np.ndarray) -> Path:
    assert cv2.imwrite(str(path), pixels)
    return path


def opened(path: Path) -> ImageFile:
    return ImageReader().read(path)


@pytest.mark.parametrize("suffix", [".png", ".bmp"])
def test_8_bit_is_exact(tmp_path: Path, grey: np.ndarray, suffix: str) -> None:
    frames = opened(written(tmp_path / f"Frame7{suffix}", grey))
    assert (len(frames), frames.names) == (1, (f"Frame7{suffix}",))
    assert frames[0].pixels.dtype == np.uint8
    assert np.array_equal(frames[0].pixels, grey)
    assert frames.calibration.pixel_size_nm is None
    assert frames.warnings == []


def test_16_bit_png_is_exact(tmp_path: Path) -> None:
    deep = np.random.default_rng(1).integers(0, 65536, (40, 50)).astype(np.uint16)
    frame = opened(written(tmp_path / "a.png", deep))[0]
    assert frame.pixels.dtype == np.uint16
    assert np.array_equal(frame.pixels, deep)


def test_jpeg_is_close(tmp_path: Path, grey: np.ndarray) -> None:
    found = opened(written(tmp_path / "a.jpg", grey))[0].pixels
    assert np.abs(found.astype(int) - grey).mean() < 2


@pytest.mark.parametrize("channels", [3, 4])
@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_grey_stored_as_colour(
    tmp_path: Path, grey: np.ndarray, channels: int, kind: type[np.generic]
) -> None:
    stored = np.dstack([grey.astype(kind)] * channels)
    if channels == 4:
        stored[..., 3] = 128
    frames = opened(written(tmp_path / "a.png", stored))
    assert np.array_equal(frames.read(0), grey)
    assert frames.warnings == []


def test_real_colours_are_announced_once(tmp_path: Path) -> None:
    red = np.zeros((20, 20, 3), np.uint8)
    red[:, 5:, 2] = 200  # OpenCV writes B, G, R
    frames = opened(written(tmp_path / "a.png", red))
    assert frames.warnings == []
    assert frames.read(0)[0].tolist() == [0] * 5 + [60] * 15
    frames.read(0)
    assert frames.warnings == [COLOURS]


def test_palette(tmp_path: Path) -> None:
    palette = b"".join(bytes((v, v, v)) for v in (10, 200, 90))
    indices = np.tile(np.array([0, 1, 2, 1], np.uint8), (12, 4))
    path = tmp_path / "p.png"
    path.write_bytes(png(indices, bits=8, colour_type=3, extra=(b"PLTE", palette)))
    expected = np.array([10, 200, 90], np.uint8)[indices]
    frames = opened(path)
    assert np.array_equal(frames[0].pixels, expected)
    assert frames.warnings == []


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".bmp"])
@pytest.mark.parametrize("part", [0.02, 0.3, 0.9, 0.999])
def test_a_file_that_is_cut_off_is_damaged(
    tmp_path: Path, grey: np.ndarray, suffix: str, part: float
) -> None:
    path = written(tmp_path / f"a{suffix}", grey)
    data = path.read_bytes()
    path.write_bytes(data[: max(4, int(len(data) * part))])
    with pytest.raises(DamagedFrameError, match=rf"a\{suffix}: the \w+ file is cut off"):
        opened(path).read(0)


def test_a_cut_off_jpeg_with_a_preview_is_damaged(tmp_path: Path, grey: np.ndarray) -> None:
    whole = written(tmp_path / "a.jpg", grey).read_bytes()
    preview = b"\xff\xe1" + struct.pack(">H", len(whole) + 2) + whole
    path = tmp_path / "b.jpg"
    path.write_bytes(whole[:2] + preview + whole[2:])
    assert opened(path).read(0).shape == (60, 90)
    path.write_bytes(path.read_bytes()[:-300])
    with pytest.raises(DamagedFrameError, match="cut off"):
        opened(path).read(0)


@pytest.mark.parametrize("progressive", [0, 1])
@pytest.mark.parametrize("after", [b"", bytes(40), b"\xff\xd9"])
def test_what_follows_the_end_of_a_jpeg_does_no_harm(
    tmp_path: Path, grey: np.ndarray, progressive: int, after: bytes
) -> None:
    path = tmp_path / "a.jpg"
    assert cv2.imwrite(str(path), grey, [cv2.IMWRITE_JPEG_PROGRESSIVE, progressive])
    whole = path.read_bytes()
    path.write_bytes(whole + after)
    assert opened(path).read(0).shape == (60, 90)
    path.write_bytes(whole[:-40])
    with pytest.raises(DamagedFrameError, match="cut off"):
        opened(path).read(0)


def test_grey_levels_of_a_colour_file_are_an_image_of_their_own(
    tmp_path: Path, grey: np.ndarray
) -> None:
    pixels = opened(written(tmp_path / "a.png", np.dstack([grey] * 3))).read(0)
    assert np.array_equal(pixels, grey)
    # Every third byte of a larger array would take three times the memory.
    assert pixels.flags.c_contiguous
    assert pixels.base is None


def exif(orientation: int, order: str) -> bytes:
    mark = {"<": b"II", ">": b"MM"}[order]
    entries = [(0x0100, 4, 1, 90), (0x0112, 3, 1, orientation)]
    listed = struct.pack(f"{order}HHII", *entries[0]) + struct.pack(f"{order}HHIHH", *entries[1], 0)
    return mark + struct.pack(f"{order}HIH", 42, 8, 2) + listed + bytes(4)


@pytest.mark.parametrize("orientation", [1, 3, 6, 99])
@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_an_image_to_be_shown_turned(
    tmp_path: Path, grey: np.ndarray, suffix: str, order: str, orientation: int
) -> None:
    path = written(tmp_path / f"a{suffix}", grey)
    data, said = path.read_bytes(), exif(orientation, order)
    if suffix == ".jpg":
        segment = b"Exif\0\0" + said
        marker = b"\xff\xe1" + struct.pack(">H", len(segment) + 2)
        path.write_bytes(data[:2] + marker + segment + data[2:])
    else:
        path.write_bytes(data[:33] + chunk(b"eXIf", said) + data[33:])
    frames = opened(path)
    assert frames.read(0).shape == grey.shape
    frames.read(0)
    assert frames.warnings == ([TURNED] if orientation in (3, 6) else [])


def test_a_damaged_orientation_says_nothing(tmp_path: Path, grey: np.ndarray) -> None:
    path = written(tmp_path / "a.png", grey)
    data = path.read_bytes()
    for length in range(34):
        path.write_bytes(data[:33] + chunk(b"eXIf", exif(6, "<")[:length]) + data[33:])
        frames = opened(path)
        assert frames.read(0).shape == grey.shape
        assert frames.warnings in ([], [TURNED])


@pytest.mark.parametrize("count", [1, 7])
def test_an_animated_png(tmp_path: Path, grey: np.ndarray, count: int) -> None:
    path = tmp_path / "a.png"
    first, *others = (Image.fromarray((grey + k).astype(np.uint8)) for k in range(count))
    first.save(path, save_all=True, append_images=others)
    frames = opened(path)
    frames.read(0)
    said = ["animated PNG of 7 images; the first is used" in text for text in frames.warnings]
    assert said == ([True] if count > 1 else [])


def test_progressive_jpeg(tmp_path: Path, grey: np.ndarray) -> None:
    path = tmp_path / "a.jpg"
    assert cv2.imwrite(str(path), grey, [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])
    assert opened(path).read(0).shape == (60, 90)
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(DamagedFrameError, match="cut off"):
        opened(path).read(0)


def test_a_changed_byte_in_a_png_is_found(tmp_path: Path, grey: np.ndarray) -> None:
    path = written(tmp_path / "a.png", grey)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(DamagedFrameError, match="check sum"):
        opened(path).read(0)


@pytest.mark.parametrize(
    ("content", "part"),
    [
        (b"", "empty (0 bytes)"),
        (b"this is text, not an image", "begins with b'this is '"),
        (b"II*\x00\x08\x00\x00\x00", "expected a PNG, JPEG or BMP image"),
    ],
)
def test_other_files_named_png(tmp_path: Path, content: bytes, part: str) -> None:
    path = tmp_path / "fake.png"
    path.write_bytes(content)
    frames = opened(path)  # opening looks at nothing
    with pytest.raises(DamagedFrameError) as caught:
        frames.read(0)
    assert str(caught.value).startswith("fake.png: ")
    assert part in str(caught.value)


def test_a_missing_file_is_a_damaged_frame(tmp_path: Path) -> None:
    with pytest.raises(DamagedFrameError, match=r"gone\.png: cannot be read: No such file"):
        opened(tmp_path / "gone.png").read(0)


@pytest.mark.parametrize("shape", [(1, 1), (7, 90), (60, 3)])
def test_tiny_images_are_refused(tmp_path: Path, shape: tuple[int, int]) -> None:
    frames = opened(written(tmp_path / "a.png", np.ones(shape, np.uint8)))
    with pytest.raises(DamagedFrameError, match="at least 8 x 8 px"):
        frames[0]


def test_an_image_without_pixels_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(png(np.zeros((0, 5), np.uint8), bits=8, colour_type=0))
    with pytest.raises(DamagedFrameError, match=r"a\.png: the image cannot be decoded"):
        opened(path).read(0)


def test_a_constant_image_is_refused(tmp_path: Path) -> None:
    frames = opened(written(tmp_path / "a.png", np.full((20, 20), 7, np.uint8)))
    with pytest.raises(DamagedFrameError, match="every pixel has the value 7"):
        frames[0]


def test_survives_pickling(tmp_path: Path, grey: np.ndarray) -> None:
    frames = opened(written(tmp_path / "a.png", grey))
    frames.read(0)
    copy = pickle.loads(pickle.dumps(frames))
    assert np.array_equal(copy.read(0), grey)
    assert copy.names == frames.names


@pytest.mark.real_data
def test_frames_of_a_real_video(real_data: Any) -> None:
    frame = opened(real_data("insitu-loops/frames") / "Frame461.jpg")[0]
    assert (frame.shape, frame.pixels.dtype) == ((710, 1120), np.uint8)


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(
    rows: np.ndarray, bits: int, colour_type: int, extra: tuple[bytes, bytes] | None = None
) -> bytes:
    """Write a PNG by hand: OpenCV writes neither palettes nor empty images."""
    header = struct.pack(">IIBBBBB", rows.shape[1], rows.shape[0], bits, colour_type, 0, 0, 0)
    body = b"".join(b"\0" + row.tobytes() for row in rows)
    middle = chunk(*extra) if extra else b""
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + middle
        + chunk(b"IDAT", zlib.compress(body))
        + chunk(b"IEND", b"")
    )
