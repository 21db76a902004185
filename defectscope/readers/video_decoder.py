"""Frames of a video by their position: in order from an open decoder, else by the key frames."""

from __future__ import annotations

import bisect
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av

from defectscope import InputError
from defectscope.readers.scale import uneven_steps

if TYPE_CHECKING:
    from av.container import InputContainer

__all__ = ["VideoDecoder", "VideoIndex", "build_index"]

# Reading a file twice costs little up to this size; beyond, its own table of contents is believed.
INDEX_AT_ONCE_BYTES = 2 * 2**30


@dataclass(frozen=True)
class VideoIndex:
    """Where the frames of a video are.

    Parameters
    ----------
    times
        Times of all frames in the order in which they are shown, in units of the stream's time
        base. They increase, except in AVI files with pictures that are stored in another order.
    key_positions
        Positions of the frames that decode without others.
    discarded
        Number of pictures in the file that are not to be shown.
    rounding
        To how many units the container rounds times that it was given.
    """

    times: tuple[int, ...]
    key_positions: tuple[int, ...]
    discarded: int
    rounding: int = 0

    @cached_property
    def increases(self) -> bool:
        """Whether each time is later than the one before."""
        return all(before < after for before, after in pairwise(self.times))

    def key_time(self, wanted: int) -> int:
        """Return the time from which to decode up to a position."""
        k = bisect.bisect_right(self.key_positions, wanted)
        return self.times[self.key_positions[k - 1] if k else 0]

    def is_near(self, current: int, wanted: int) -> bool:
        """Return whether decoding on from `current` reaches `wanted` sooner than seeking.

        It does where no key frame lies between them.
        """
        k = bisect.bisect_right(self.key_positions, wanted)
        return current <= wanted and (k == 0 or self.key_positions[k - 1] <= current)


def build_index(path: Path) -> VideoIndex | None:
    """Return the index of a video's first stream, or None where its times cannot be used."""
    times, keys, discarded = [], [], 0
    with _open(path) as container:
        stream = container.streams.video[0]
        # Matroska counts in ms, other containers in parts of the time between frames.
        rounding = int("matroska" in container.format.name)
        is_reordered = "avi" in container.format.name and stream.codec_context.has_b_frames
        for packet in container.demux(stream):
            if packet.is_discard:
                discarded += 1
            elif packet.size > 0:
                if packet.pts is None:
                    return None
                times.append(packet.pts)
                if packet.is_keyframe:
                    keys.append(packet.pts)
    # AVI files hold no times. Of H.264 FFmpeg counts the pictures as they are stored, which is
    # another order than that in which they are shown, where some are predicted from later ones:
    # only decoding tells it.
    if is_reordered and times == sorted(times):
        times = _decoded_times(path)
    else:
        times.sort()
    place = {time: position for position, time in enumerate(times)}
    if len(place) < len(times) or _first_time(path) not in place:
        return None
    positions = tuple(sorted(place[time] for time in keys if time in place))
    return VideoIndex(tuple(times), positions, discarded, rounding)


class VideoDecoder:
    """Decodes the first video stream of a file.

    Parameters
    ----------
    path
        The file.
    threads
        Threads that FFmpeg may use.

    Attributes
    ----------
    count
        Number of frames.
    announced
        Number of frames that the container announces; 0 where it does not.
    streams
        Number of video streams.
    pixel_aspect
        Width of a pixel by its height; None where the file does not say.
    uneven_steps
        What :func:`uneven_steps` tells of the times, None also where the times are not known.
    is_believed
        Whether the file is too large to be gone through before it is read, so that frames are
        counted as it announces them, and nothing is known of their times.

    Raises
    ------
    InputError
        The file cannot be read as a video.
    """

    def __init__(self, path: Path, threads: int = 1) -> None:
        self._path, self._threads = path, threads
        self._container: InputContainer | None = None
        self._frames: Iterator[av.VideoFrame] | None = None
        self._next = 0
        self._index: VideoIndex | None = None
        videos = self._opened().streams.video
        self.streams, self.announced = len(videos), videos[0].frames
        self.pixel_aspect = videos[0].sample_aspect_ratio or None
        self._index_is_built = False
        self.count = self.announced
        self.uneven_steps: tuple[float, float] | None = None
        self.is_believed = path.stat().st_size > INDEX_AT_ONCE_BYTES and self.announced > 0
        if not self.is_believed:
            index = self._built_index()
            self.count = self._counted() if index is None else len(index.times)
            if index is not None:
                self.announced -= min(self.announced, index.discarded)
                self.uneven_steps = uneven_steps(sorted(index.times), index.rounding)

    def frame(self, position: int) -> av.VideoFrame | None:
        """Return a frame, or None where the stream has no such frame.

        Raises
        ------
        av.FFmpegError
            The data cannot be decoded. The decoder is closed then, and starts anew next time.
        """
        try:
            frame = self._following() if position == self._next else None
            if frame is None or not self._is_at(position, frame):
                frame = self._sought(position)
        except av.FFmpegError:
            self.close()
            raise
        if frame is None:
            self.close()
        else:
            self._next = position + 1
        return frame

    def _is_at(self, position: int, frame: av.VideoFrame) -> bool:
        """Check that no frame was dropped on the way here, as far as the times are known."""
        times = None if self._index is None else self._index.times
        return times is None or (position < len(times) and frame.pts == times[position])

    def _following(self) -> av.VideoFrame | None:
        if self._frames is None:
            self._frames = self._decode()
        return next(self._frames, None)

    def _sought(self, position: int) -> av.VideoFrame | None:
        index = self._built_index()
        if index is None:
            return self._counted_up_to(position)
        if position >= len(index.times):
            return None
        wanted = index.times[position]
        if self._frames is not None and index.is_near(self._next, position):
            frame = self._decoded_up_to(wanted, index)
            if frame is not None:
                return frame
        container = self._opened()
        start = wanted if index.increases else index.key_time(position)
        container.seek(start, stream=container.streams.video[0], backward=True)
        self._frames = self._decode(tolerant=True)
        frame = self._decoded_up_to(wanted, index)
        if frame is None:  # the container led past it: its table of key frames is wrong
            self.close()
            self._frames = self._decode(tolerant=True)
            frame = self._decoded_up_to(wanted, index)
        return frame

    def _decoded_up_to(self, wanted: int, index: VideoIndex) -> av.VideoFrame | None:
        for frame in self._frames or ():
            if frame.pts == wanted:
                return frame
            if frame.pts is not None and frame.pts > wanted and index.increases:
                return None
        return None

    def _counted_up_to(self, position: int) -> av.VideoFrame | None:
        """Count the frames from the start: all that can be done without times."""
        if position < self._next:
            self.close()
        while (frame := self._following()) is not None:
            self._next += 1
            if self._next == position + 1:
                return frame
        return None

    def _counted(self) -> int:
        """Return the number of frames before the end, or before the first damage."""
        count = 0
        try:
            while self._following() is not None:
                count += 1
        except av.FFmpegError:
            count = max(count, self.announced)
        self.close()
        return count

    def _decode(self, *, tolerant: bool = False) -> Iterator[av.VideoFrame]:
        container = self._opened()
        for packet in container.demux(container.streams.video[0]):
            try:
                frames = packet.decode()
            except av.FFmpegError:
                # On the way to another frame, what is damaged in between does not matter.
                if not tolerant:
                    raise
                continue
            yield from frames

    def _built_index(self) -> VideoIndex | None:
        if not self._index_is_built:
            self._index, self._index_is_built = build_index(self._path), True
        return self._index

    def _opened(self) -> InputContainer:
        if self._container is None:
            self._container = _open(self._path)
            stream = self._container.streams.video[0]
            stream.thread_type = "AUTO"
            stream.codec_context.thread_count = self._threads
        return self._container

    def close(self) -> None:
        """Close the file; the next frame opens it again."""
        self._frames, self._next = None, 0
        if self._container is not None:
            self._container.close()
            self._container = None

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_container": None, "_frames": None, "_next": 0}


def _open(path: Path) -> InputContainer:
    try:
        # "file:" keeps FFmpeg from taking a colon in the name for a protocol.
        # Titles in another encoding are none of our business.
        container = av.open(f"file:{path}", metadata_errors="replace")
    except (av.FFmpegError, OSError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{path.name} cannot be read as a video: {reason}") from error
    if not container.streams.video:
        container.close()
        raise InputError(f"{path.name} holds no video, only sound or other data")
    # Without a decoder PyAV has None here, whatever its annotations say.
    if getattr(container.streams.video[0], "codec_context", None) is None:
        container.close()
        raise InputError(f"{path.name} is compressed in a way that FFmpeg cannot decode")
    return container


def _decoded_times(path: Path) -> list[int]:
    """Return the times of all frames as they come out of the decoder; none where one has none."""
    with _open(path) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        try:
            times = [frame.pts for frame in container.decode(stream)]
        except av.FFmpegError:
            return []
    known = [time for time in times if time is not None]
    return known if len(known) == len(times) else []


def _first_time(path: Path) -> int | None:
    with _open(path) as container:
        try:
            frame = next(container.decode(container.streams.video[0]), None)
        except av.FFmpegError:
            return None
        return None if frame is None else frame.pts
