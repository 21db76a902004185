"""The video of an overlay, in the best format that the installed FFmpeg can write."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Encoder", "OverlayVideo", "usable_encoder"]


class Encoder(NamedTuple):
    """An encoder of FFmpeg, and how it is asked for good pictures."""

    name: str
    options: Mapping[str, str] = {}
    bits_a_pixel: float | None = None


# PyAV's wheels have libx264, which is GPL; an FFmpeg of another build may do without. H.264 is what
# every player and browser opens, whoever encodes it; MPEG-4 is built into FFmpeg itself.
ENCODERS = (
    Encoder("libx264", {"crf": "20", "preset": "veryfast", "threads": "1"}),
    Encoder("h264", bits_a_pixel=0.5),
    Encoder("mpeg4", bits_a_pixel=1.0),
)


def usable_encoder(size: tuple[int, int], rate: int) -> Encoder | None:
    """Return the first encoder that can be opened here for pictures of this size, or None.

    Parameters
    ----------
    size
        Width and height, px.
    rate
        Pictures a second.
    """
    import av

    for encoder in ENCODERS:
        try:
            context: Any = av.CodecContext.create(encoder.name, "w")
            _set_up(context, encoder, _even(size), rate)
            context.time_base = Fraction(1, rate)
            # One for a graphics card is there on machines without such a card as well.
            context.open()
        except (ValueError, OSError, av.error.FFmpegError):
            continue
        return encoder
    return None


def _even(size: tuple[int, int]) -> tuple[int, int]:
    # 4:2:0 needs even sides; smaller frames are padded with black.
    return size[0] + size[0] % 2, size[1] + size[1] % 2


def _set_up(stream: Any, encoder: Encoder, size: tuple[int, int], rate: int) -> None:
    stream.width, stream.height = size
    stream.pix_fmt = "yuv420p"
    stream.options = dict(encoder.options)
    if encoder.bits_a_pixel is not None:
        stream.bit_rate = round(encoder.bits_a_pixel * size[0] * size[1] * rate)


class OverlayVideo:
    """An MP4 file that is written picture by picture.

    Parameters
    ----------
    path
        The file.
    size
        Width and height, px, of the largest picture.
    rate
        Pictures a second.
    encoder
        From :func:`usable_encoder`.
    """

    def __init__(self, path: Path, size: tuple[int, int], rate: int, encoder: Encoder) -> None:
        import av
        from av.video.reformatter import ColorRange, Colorspace

        self._av = av
        self._width, self._height = _even(size)
        # "file:" keeps FFmpeg from taking a colon in the name for a protocol.
        self._container = av.open(f"file:{path}", "w", format="mp4")
        self._stream: Any = self._container.add_stream(encoder.name, rate=Fraction(rate))
        _set_up(self._stream, encoder, (self._width, self._height), rate)
        # Said in the file, so that nobody has to guess how to turn it back: luminance of 16 to 235
        # and the colours of BT.601, as FFmpeg makes them of RGB. H.264 names the two together.
        context: Any = self._stream.codec_context
        context.color_range, context.colorspace = ColorRange.MPEG, Colorspace.ITU601

    def write(self, picture: NDArray[np.uint8]) -> None:
        """Add one RGB picture."""
        padded = np.zeros((self._height, self._width, 3), np.uint8)
        padded[: picture.shape[0], : picture.shape[1]] = picture
        frame = self._av.VideoFrame.from_ndarray(padded, format="rgb24")
        for packet in self._stream.encode(frame):
            self._container.mux(packet)

    def __enter__(self) -> OverlayVideo:
        return self

    def __exit__(self, *error: object) -> None:
        if error[0] is None:
            for packet in self._stream.encode():
                self._container.mux(packet)
        self._container.close()
