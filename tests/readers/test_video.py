"""Videos: every frame, in order and out of it, at full depth."""

from __future__ import annotations

import pickle
import struct
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.video.reformatter import ColorRange
from hypothesis import given, settings
from hypothesis import strategies as st

from defectscope import DamagedFrameError, InputError
from defectscope.readers import video_decoder
from defectscope.readers.pixels import COLOURS, TURNED
from defectscope.readers.video import VideoFrames, VideoReader
from defectscope.readers.video_decoder import VideoIndex

COUNT, HEIGHT, WIDTH = 30, 96, 128


def picture(number: int, top: int = 255) -> np.ndarray:
    """Return a smooth picture, in which bars show the number of the frame."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    grey = (60 + (x + y) % 100) * top // 255
    for bit in range(6):
        grey[70:90, 8 + 20 * bit : 24 + 20 * bit] = top if number >> bit & 1 else 0
    return grey.astype(np.uint8 if top < 256 else np.uint16)


def number_in(pixels: np.ndarray) -> int:
    """Return the number that the bars show."""
    middle = int(pixels.max()) // 2
    return sum(int(pixels[80, 16 + 20 * bit] > middle) << bit for bit in range(6))


def write_video(
    path: Path,
    codec: str,
    pix_fmt: str,
    source: str = "gray",
    top: int = 255,
    b_frames: int = 0,
    aspect: Fraction | None = None,
    rate: int = 25,
) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, pix_fmt
        stream.gop_size = 10
        stream.codec_context.max_b_frames = b_frames
        if aspect is not None:
            stream.codec_context.sample_aspect_ratio = aspect
        for number in range(COUNT):
            pixels = picture(number, top)
            if source == "rgb24":
                pixels = np.dstack([pixels] * 3)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format=source)))
        container.mux(stream.encode(None))
    return path


def opened(path: Path) -> VideoFrames:
    return VideoReader().read(path)


# file name: codec, pixel format, what is written, its largest value, frames between key frames
LOSSLESS = {
    "grey.avi": ("rawvideo", "gray", "gray", 255),
    "colour.avi": ("rawvideo", "bgr24", "rgb24", 255),
    "huffyuv.avi": ("huffyuv", "rgb24", "rgb24", 255),
    "ffv1.mkv": ("ffv1", "gray", "gray", 255),
    "ffv1-10.avi": ("ffv1", "gray10le", "gray10le", 1023),
    "ffv1-12.mkv": ("ffv1", "gray12le", "gray12le", 4095),
    "ffv1-16.mkv": ("ffv1", "gray16le", "gray16le", 65535),
}
LOSSY = {
    "h264.mp4": ("libx264", "yuv420p", 3),
    "h264.mkv": ("libx264", "yuv420p", 3),
    "h264.mov": ("libx264", "yuvj420p", 0),
    "mpeg4.avi": ("mpeg4", "yuv420p", 2),
    "h264.avi": ("libx264", "yuv420p", 3),
    "mjpeg.avi": ("mjpeg", "yuvj420p", 0),
    "vp9.webm": ("libvpx-vp9", "yuv420p", 0),
}


@pytest.mark.parametrize("name", LOSSLESS)
def test_lossless_videos_are_exact_at_full_depth(tmp_path: Path, name: str) -> None:
    codec, pix_fmt, source, top = LOSSLESS[name]
    with opened(write_video(tmp_path / name, codec, pix_fmt, source, top)) as frames:
        assert frames.indices == tuple(range(COUNT))
        assert frames.names[4] == f"{name}#4"
        for number in [*range(COUNT), 3, 29, 0, 11, 12]:
            assert np.array_equal(frames[number].pixels, picture(number, top))
        assert frames.warnings == []
        assert frames.calibration.frame_interval_s is None


@pytest.mark.parametrize("name", LOSSY)
def test_every_order_gives_the_same_frames(tmp_path: Path, name: str) -> None:
    codec, pix_fmt, b_frames = LOSSY[name]
    path = write_video(tmp_path / name, codec, pix_fmt, b_frames=b_frames)
    with opened(path) as frames:
        assert len(frames) == COUNT
        in_order = [frames.read(number) for number in range(COUNT)]
        assert [number_in(pixels) for pixels in in_order] == list(range(COUNT))
        assert np.abs(in_order[7].astype(int) - picture(7)).mean() < 8
        for number in [29, 0, 15, 14, 16, 27, 5, 9, 10, 11, 1, 1, 28]:
            assert np.array_equal(frames.read(number), in_order[number])
        copy = pickle.loads(pickle.dumps(frames))
    assert np.array_equal(copy.read(17), in_order[17])
    assert np.array_equal(copy.read(18), in_order[18])
    copy.close()
    assert frames.warnings == []


@pytest.mark.parametrize("codec", ["libx264", "mpeg4"])
def test_avi_files_with_pictures_in_another_order_have_an_index(
    tmp_path: Path, codec: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_video(tmp_path / "a.avi", codec, "yuv420p", b_frames=2)
    index = video_decoder.build_index(path)
    assert index is not None
    assert len(index.times) == COUNT
    assert len(index.key_positions) >= 3
    looked_at = []
    with opened(path) as frames:
        frames.read(29)
        decode = video_decoder.VideoDecoder._decode

        def counting(self: Any, **options: Any) -> Any:
            for frame in decode(self, **options):
                looked_at.append(frame.pts)
                yield frame

        monkeypatch.setattr(video_decoder.VideoDecoder, "_decode", counting)
        assert number_in(frames.read(24)) == 24
    assert len(looked_at) <= 12


def write_ramp(path: Path, pix_fmt: str, said: ColorRange) -> Path:
    """Write a video whose luminance takes all 256 values, and say of what range it is."""
    frame = av.VideoFrame(256, 64, pix_fmt)
    for plane in frame.planes:
        plane.update(bytes([128]) * plane.buffer_size)
    packed = pix_fmt == "yuyv422"
    stored = np.full((64, frame.planes[0].line_size), 128, np.uint8)
    stored[:, : 512 if packed else 256 : 2 if packed else 1] = np.arange(256)
    frame.planes[0].update(stored.tobytes())
    frame.color_range = said
    with av.open(str(path), "w") as container:
        codec = "rawvideo" if packed else "ffv1"
        stream = container.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = 256, 64, pix_fmt
        stream.codec_context.color_range = said
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def test_limited_range_is_spread_over_all_values(tmp_path: Path) -> None:
    with opened(write_ramp(tmp_path / "a.mkv", "yuv420p", ColorRange.MPEG)) as frames:
        expected = np.clip((np.arange(256) - 16) * 255 / 219, 0, 255)
        assert frames.read(0)[9] == pytest.approx(expected, abs=1)


@pytest.mark.parametrize(
    ("pix_fmt", "said"),
    [
        ("yuv420p", ColorRange.UNSPECIFIED),
        ("yuv422p", ColorRange.UNSPECIFIED),
        ("yuyv422", ColorRange.UNSPECIFIED),
        ("yuv420p", ColorRange.JPEG),
    ],
)
def test_a_range_of_which_the_video_says_nothing_is_not_clipped(
    tmp_path: Path, pix_fmt: str, said: ColorRange
) -> None:
    suffix = "mkv" if pix_fmt.endswith("p") else "avi"
    with opened(write_ramp(tmp_path / f"a.{suffix}", pix_fmt, said)) as frames:
        assert np.array_equal(frames.read(0)[9], np.arange(256))


def test_10_bit_video_keeps_its_depth(tmp_path: Path) -> None:
    with opened(write_video(tmp_path / "a.mp4", "libx264", "yuv420p10le")) as frames:
        pixels = frames[3].pixels
        assert pixels.dtype == np.uint16
        assert number_in(pixels) == 3


@pytest.mark.parametrize(
    ("codec", "pix_fmt", "grey"),
    [("libx264", "yuv420p", 16 + 60 * 219 / 255), ("rawvideo", "bgr24", 60)],
)
def test_real_colours_are_announced_once(
    tmp_path: Path, codec: str, pix_fmt: str, grey: float
) -> None:
    path = tmp_path / "a.avi"
    red = np.zeros((64, 64, 3), np.uint8)
    red[8:, :, 0] = 200
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25)
        stream.width = stream.height = 64
        stream.pix_fmt = pix_fmt
        for _ in range(3):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(red, format="rgb24")))
        container.mux(stream.encode(None))
    with opened(path) as frames:
        for position in range(3):
            assert int(frames.read(position)[40, 40]) == pytest.approx(grey, abs=6)
        assert frames.warnings == [COLOURS]


@pytest.mark.parametrize(("codec", "pix_fmt"), [("libx264", "yuv420p"), ("ffv1", "bgr0")])
def test_colours_that_appear_later_are_announced(tmp_path: Path, codec: str, pix_fmt: str) -> None:
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, pix_fmt
        for number in range(4):
            pixels = np.dstack([picture(number)] * 3)
            if number >= 2:
                pixels[10:40, 10:40] = (255, 0, 0)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode(None))
    with opened(path) as frames:
        for number, said in enumerate([[], [], [COLOURS], [COLOURS]]):
            frames.read(number)
            assert frames.warnings == said


def test_a_video_of_varying_rate(tmp_path: Path) -> None:
    path = tmp_path / "a.mkv"
    times = np.cumsum(np.random.default_rng(0).integers(10, 900, COUNT))
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=1000)
        stream.width, stream.height, stream.pix_fmt, stream.gop_size = WIDTH, HEIGHT, "yuv420p", 7
        stream.codec_context.time_base = Fraction(1, 1000)
        for number, time in enumerate(times.tolist()):
            frame = av.VideoFrame.from_ndarray(picture(number), format="gray")
            frame.pts, frame.time_base = time, Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with opened(path) as frames:
        assert len(frames) == COUNT
        for number in [*range(COUNT), 20, 4, 22]:
            assert number_in(frames.read(number)) == number
        (warning,) = frames.warnings
        assert "the video's own times are uneven (the longest step" in warning
        assert "--frame-times" in warning


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.avi"])
def test_a_fast_camera_is_even_in_time(tmp_path: Path, name: str) -> None:
    path = write_video(tmp_path / name, "mpeg4", "yuv420p", rate=800)
    with opened(path) as frames:
        assert frames.warnings == []


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
@pytest.mark.parametrize("aspect", [Fraction(16, 11), Fraction(1)])
def test_pixels_that_are_not_square(tmp_path: Path, name: str, aspect: Fraction) -> None:
    path = write_video(tmp_path / name, "libx264", "yuv420p", aspect=aspect)
    with opened(path) as frames:
        assert frames.read(0).shape == (HEIGHT, WIDTH)
        said = ["not square: 16:11 (width to height)" in text for text in frames.warnings]
        assert said == ([True] if aspect != 1 else [])


def test_a_video_to_be_shown_turned(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", "libx264", "yuv420p")
    data = bytearray(path.read_bytes())
    # The matrix of the track header (version 0) that phones write when held upright.
    start = data.index(b"tkhd") + 4 + 4 + 20 + 16
    matrix = (0, 1 << 16, 0, -1 << 16, 0, 0, HEIGHT << 16, 0, 1 << 30)
    data[start : start + 36] = struct.pack(">9i", *matrix)
    path.write_bytes(data)
    with opened(path) as frames:
        assert frames.read(0).shape == (HEIGHT, WIDTH)
        frames.read(1)
        assert frames.warnings == [TURNED]


def test_large_files_are_not_read_twice_at_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(video_decoder, "INDEX_AT_ONCE_BYTES", 0)
    path = write_video(tmp_path / "a.mp4", "libx264", "yuv420p", b_frames=2)
    built = []
    build = video_decoder.build_index
    monkeypatch.setattr(video_decoder, "build_index", lambda p: built.append(p) or build(p))
    with opened(path) as frames:
        assert len(frames) == COUNT
        assert [number_in(frames.read(k)) for k in range(5)] == list(range(5))
        assert built == []
        (warning,) = frames.warnings
        assert "larger than 2 GiB, so that the number of frames that it announces (30)" in warning
        assert "not looked whether its own times are uneven" in warning
        assert number_in(frames.read(20)) == 20
        assert built == [path]


def test_streams_without_usable_times_are_counted_and_decoded_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(video_decoder, "build_index", lambda path: None)
    with opened(write_video(tmp_path / "a.mkv", "libx264", "yuv420p", b_frames=2)) as frames:
        assert len(frames) == COUNT
        for number in [0, 1, 2, 20, 5, 6, 29, 0]:
            assert number_in(frames.read(number)) == number


@pytest.mark.parametrize("name", ["grey.avi", "ffv1.mkv"])
def test_a_cut_off_video_keeps_its_whole_frames(tmp_path: Path, name: str) -> None:
    codec, pix_fmt, source, top = LOSSLESS[name]
    path = write_video(tmp_path / name, codec, pix_fmt, source, top)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with opened(path) as frames:
        assert 9 <= len(frames) <= 20
        for number in range(len(frames) - 1):
            assert np.array_equal(frames.read(number), picture(number, top))
        if name.endswith("avi"):
            assert f"announces 30 frames and holds {len(frames)}" in frames.warnings[0]


def test_damage_in_the_middle_stays_there(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mkv", "libx264", "yuv420p")
    with opened(path) as frames:
        whole = [frames.read(number) for number in range(COUNT)]
    with av.open(str(path)) as container:
        places = [packet.pos for packet in container.demux(video=0) if packet.size]
    data = bytearray(path.read_bytes())
    data[places[12] + 8 : places[15]] = b"\xff" * (places[15] - places[12] - 8)
    path.write_bytes(data)
    with opened(path) as frames:
        states = {}
        for number in range(len(frames)):
            try:
                states[number] = np.array_equal(frames.read(number), whole[number])
            except DamagedFrameError as error:
                assert "a.mkv#" in str(error)  # noqa: PT017
                states[number] = False
        assert all(states[number] for number in range(12))
        assert not all(states.values())


@pytest.mark.parametrize("content", [b"", b"this is text, not a video", b"\0" * 5000])
def test_other_files_named_mp4(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "fake.mp4").write_bytes(content)
    with pytest.raises(InputError, match=r"fake\.mp4 cannot be read as a video"):
        opened(tmp_path / "fake.mp4")


def test_sound_alone_is_no_video(tmp_path: Path) -> None:
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000)
        stream.layout = "mono"
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), "s16", "mono")
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with pytest.raises(InputError, match="holds no video"):
        opened(path)


def test_a_colon_in_the_name(tmp_path: Path) -> None:
    with opened(write_video(tmp_path / "http:a.mkv", "ffv1", "gray")) as frames:
        assert number_in(frames.read(2)) == 2


@settings(max_examples=50)
@given(
    st.lists(st.integers(0, 60), min_size=1, max_size=10, unique=True),
    st.integers(0, 60),
    st.integers(0, 60),
)
def test_decoding_on_never_passes_a_key_frame(keys: list[int], current: int, wanted: int) -> None:
    index = VideoIndex(tuple(range(61)), tuple(sorted(keys)), 0)
    between = [key for key in keys if current < key <= wanted]
    assert index.is_near(current, wanted) == (current <= wanted and not between)
