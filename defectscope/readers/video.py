"""Reader of videos, by PyAV (FFmpeg)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
import numpy as np
from av.video.reformatter import ColorRange

from defectscope import DamagedFrameError, FrameSequence, InputError, Reader
from defectscope.readers.pixels import COLOURS, TURNED, grey_pixels, warn_once
from defectscope.readers.scale import sizes_differ
from defectscope.readers.video_decoder import INDEX_AT_ONCE_BYTES, VideoDecoder

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["VideoFrames", "VideoReader"]

# Compression leaves small differences between the channels of a grey video.
COLOUR_DIFFERENCE = 16
COLOUR_TEST_PX = 64


class VideoReader(Reader):
    """Frames of a video in grey: the luminance at full bit depth.

    It is spread over all values where the video says that its range is limited, and left as it is
    stored where it says nothing.
    """

    def read(self, path: Path) -> VideoFrames:
        """Return the frames of `path`.

        Raises
        ------
        InputError
            It cannot be read as a video, or has no frame.
        """
        return VideoFrames(path, self.runtime.threads)


class VideoFrames(FrameSequence):
    """The frames of one video.

    The decoder stays open, so that reading in order decodes each frame once; any other order
    goes by the key frame before. The rate at which a video plays says nothing about the rate at
    which it was recorded, so the frame interval stays unknown.
    """

    def __init__(self, path: Path, threads: int = 1) -> None:
        self.warnings = []
        self._is_colour = False
        self._decoder = VideoDecoder(path, threads)
        count, announced = self._decoder.count, self._decoder.announced
        if count == 0:
            self.close()
            raise InputError(f"{path.name} is a video without any frame")
        if announced > count:
            warn_once(
                self.warnings,
                f"the video announces {announced} frames and holds {count}; it may be cut off",
            )
        self._warn_about_stream()
        self.indices = tuple(range(count))
        self.names = tuple(f"{path.name}#{k}" for k in range(count))

    def _warn_about_stream(self) -> None:
        decoder = self._decoder
        if decoder.streams > 1:
            warn_once(self.warnings, f"the file holds {decoder.streams} videos; the first is used")
        aspect = decoder.pixel_aspect
        if aspect is not None and sizes_differ(float(aspect), 1):
            warn_once(
                self.warnings,
                f"the pixels of the video are not square: {aspect.numerator}:{aspect.denominator} "
                "(width to height); they are measured as if they were, so convert it to square "
                "pixels first",
            )
        if decoder.is_believed:
            warn_once(
                self.warnings,
                f"the video is larger than {INDEX_AT_ONCE_BYTES / 2**30:g} GiB, so that the number "
                f"of frames that it announces ({decoder.announced}) is believed, and it was not "
                "looked whether its own times are uneven, as they are where frames were dropped: "
                "see --frame-times",
            )
        if decoder.uneven_steps is not None:
            shortest, longest = decoder.uneven_steps
            warn_once(
                self.warnings,
                "the video's own times are uneven (the longest step between frames is "
                f"{longest:.3g} usual ones, the shortest {shortest:.3g}); frames may have been "
                "dropped, and counting them does not tell the time: see --frame-times",
            )

    def read(self, position: int) -> NDArray[Any]:
        """Return the pixels of one frame, or raise DamagedFrameError."""
        name = self.names[position]
        try:
            frame = self._decoder.frame(position)
        except av.FFmpegError as error:
            raise DamagedFrameError(
                f"{name}: the frame cannot be decoded ({error.strerror or error})"
            ) from error
        if frame is None:
            raise DamagedFrameError(f"{name}: the video ends, or is damaged, before this frame")
        if frame.is_corrupt:
            raise DamagedFrameError(f"{name}: the data of this frame are damaged")
        if getattr(frame, "rotation", 0):  # old versions of PyAV do not tell
            warn_once(self.warnings, TURNED)
        return self._grey(frame, name)

    def _grey(self, frame: av.VideoFrame, name: str) -> NDArray[Any]:
        kind = frame.format
        deep = max(component.bits for component in kind.components) > 8
        if kind.name.startswith("gray"):
            return grey_pixels(frame.to_ndarray(), name, self.warnings)
        # An overlay may appear in any frame; once one was found there is no more to say.
        if not self._is_colour and _has_colours(frame):
            self._is_colour = True
            warn_once(self.warnings, COLOURS)
        if kind.is_rgb or kind.has_palette:
            colours = frame.to_ndarray(format="rgb48le" if deep else "rgb24")
            return grey_pixels(colours, name, [])  # what there is to say was said above
        if frame.color_range == ColorRange.UNSPECIFIED:
            # FFmpeg would take it for a limited one (16 to 235), stretch it and clip the rest, as
            # the cores of dark defects, where the camera in fact used all values.
            frame.color_range = ColorRange.JPEG
        grey = frame.to_ndarray(format="gray16le" if deep else "gray")
        return grey_pixels(grey, name, self.warnings)

    def close(self) -> None:
        """Close the file and the decoder; reading opens them again."""
        self._decoder.close()


def _has_colours(frame: av.VideoFrame) -> bool:
    small = frame.reformat(width=COLOUR_TEST_PX, height=COLOUR_TEST_PX, format="rgb24")
    colours = small.to_ndarray().astype(np.int16)
    return bool(np.ptp(colours, axis=2).max() > COLOUR_DIFFERENCE)
