"""Frames with what was found drawn on them: a video, and a few still images."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pandas as pd

from defectscope.core.errors import InputError
from defectscope.core.files import atomic_path

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from defectscope.core.defect_types import DefectType
    from defectscope.core.frames import Frame, FrameSequence
    from defectscope.pipeline.results import Result

__all__ = ["draw_overlay", "to_display", "write_overlays", "write_png"]

FRAMES_A_SECOND = 15
TAIL_FRAMES = 25
STILLS = 3
# Smaller frames are drawn enlarged: numbers of particles must stay readable.
SMALL_FRAME_PX, ENLARGED = 700, 2
# cv2 takes sub-pixel coordinates as integers with this many fractional bits.
SHIFT = 4
LABEL_SCALE, LABEL_SCALE_ENLARGED = 0.32, 0.42
CAPTION = (255, 255, 255)
CAPTION_PX = 20
FALLBACK_COLOUR = "#e69f00"

# A polyline (k, 2) and the defect type that it is of.
Line = tuple[str, "NDArray[np.float64]"]


def to_display(pixels: NDArray[Any]) -> NDArray[np.uint8]:
    """Return an 8-bit copy for the eye: 8-bit as is, deeper ones stretched to their content."""
    if pixels.dtype == np.uint8:
        return pixels.copy()
    low, high = np.percentile(pixels, [0.1, 99.9])
    scale = 255.0 / max(float(high) - float(low), 1e-12)
    stretched = np.clip((pixels.astype(np.float32) - low) * scale, 0, 255)
    return np.asarray(stretched, np.uint8)


def overlay_zoom(width_px: int) -> int:
    """Return how many times frames of this width are enlarged."""
    return ENLARGED if width_px <= SMALL_FRAME_PX else 1


def write_overlays(
    frames: FrameSequence,
    result: Result,
    types: Mapping[str, DefectType],
    progress: Callable[[str, int, int], None],
) -> list[str]:
    """Write ``overlay.mp4``, and the first, middle and last frame as PNG under ``figures/``.

    Returns
    -------
    list of str
        Names of the files in ``figures/``.
    """
    written = []
    rows = result.tracks if result.tracks is not None else result.detections
    table = result.frames
    good = np.flatnonzero(table["status"].to_numpy() == "ok")
    stills = set(good[np.linspace(0, len(good) - 1, STILLS).astype(int)].tolist())
    width, height = int(table["width_px"].max()), int(table["height_px"].max())
    zoom = overlay_zoom(width)
    size = (zoom * width, zoom * height + CAPTION_PX)
    with atomic_path(result.folder / "overlay.mp4") as temporary:
        pictures = _pictures(frames, rows, result, types, good, zoom)
        with _Video(temporary, size, FRAMES_A_SECOND if len(good) > 40 else 4) as video:
            for done, (position, picture) in enumerate(pictures, start=1):
                video.write(picture)
                if position in stills:
                    name = f"overlay_{frames.indices[position]:06d}.png"
                    write_png(result.folder / "figures" / name, picture)
                    written.append(name)
                progress("overlay", done, len(good))
    return written


def _pictures(
    frames: FrameSequence,
    rows: pd.DataFrame,
    result: Result,
    types: Mapping[str, DefectType],
    positions: NDArray[np.intp],
    zoom: int,
) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    by_frame = dict(tuple(rows.groupby("frame")))
    lines = _lines_by_frame(result, types)
    tails: dict[int, list[tuple[int, float, float]]] = {}
    for position in positions.tolist():
        try:
            frame = frames[position]
        except InputError:
            # It was readable a moment ago; a picture is not worth losing the run.
            continue
        found = by_frame.get(frame.index, rows.iloc[:0])
        _grow_tails(tails, found, frame.index)
        recent = [tails[int(p)] for p in found["particle"]] if "particle" in found else []
        drawn = lines.get(frame.index, [])
        yield position, draw_overlay(frame, found, types, drawn, recent, zoom)


def _lines_by_frame(result: Result, types: Mapping[str, DefectType]) -> dict[int, list[Line]]:
    names = {name for name, kind in types.items() if kind.shape == "line"}
    wanted = result.detections[result.detections["defect_type"].isin(names)]
    if wanted.empty:
        return {}
    key = ["frame", "detection", "defect_type"]
    vertices = result.geometry.merge(wanted[key], on=key[:2])
    lines: dict[int, list[Line]] = {}
    for (frame, _, name), points in vertices.groupby(key):
        lines.setdefault(int(str(frame)), []).append((str(name), points[["x", "y"]].to_numpy()))
    return lines


def _grow_tails(
    tails: dict[int, list[tuple[int, float, float]]], found: pd.DataFrame, index: int
) -> None:
    if "particle" not in found:
        return
    for particle, x, y in zip(found["particle"], found["x"], found["y"], strict=True):
        tail = tails.setdefault(int(particle), [])
        tail.append((index, float(x), float(y)))
        del tail[:-TAIL_FRAMES]
    # A particle that was not seen for so long is gone: tails must not pile up.
    for gone in [p for p, tail in tails.items() if tail[-1][0] < index - TAIL_FRAMES]:
        del tails[gone]


def draw_overlay(
    frame: Frame,
    found: pd.DataFrame,
    types: Mapping[str, DefectType],
    lines: list[Line] | None = None,
    tails: list[list[tuple[int, float, float]]] | None = None,
    zoom: int = 1,
) -> NDArray[np.uint8]:
    """Return a (zoom·H + 20, zoom·W, 3) RGB picture of a frame with what was found in it.

    Parameters
    ----------
    frame
        The frame; its pixels stay as they are.
    found
        Its rows of the detection or track table.
    types
        Defect types, for their colours.
    lines
        Polylines (k, 2) to draw, each with the name of its defect type.
    tails
        Recent positions of each particle, as (frame, x, y).
    zoom
        How many times the frame is enlarged.
    """
    grey = to_display(frame.pixels)
    if zoom > 1:
        grey = np.asarray(cv2.resize(grey, None, fx=zoom, fy=zoom, interpolation=cv2.INTER_CUBIC))
    picture = cv2.cvtColor(grey, cv2.COLOR_GRAY2RGB)
    for tail in tails or []:
        points = _fixed(zoom * np.array([(x, y) for _, x, y in tail]))
        cv2.polylines(picture, [points], False, (255, 255, 0), 1, cv2.LINE_AA, SHIFT)
    for row in found.to_dict("records"):
        colour = _colour(types, str(row["defect_type"]))
        _draw_one(picture, row, colour, zoom)
    for name, line in lines or []:
        colour = _colour(types, name)
        cv2.polylines(picture, [_fixed(zoom * line)], False, colour, 1, cv2.LINE_AA, SHIFT)
    return _captioned(picture, frame, len(found))


def _draw_one(
    picture: NDArray[Any], row: Mapping[Any, Any], colour: tuple[int, ...], zoom: int
) -> None:
    major, minor, angle = (row.get(name) for name in ("major_px", "minor_px", "angle_deg"))
    if all(value is not None and np.isfinite(value) for value in (major, minor, angle)):
        centre = _fixed(zoom * np.array([[row["x"], row["y"]]]))[0, 0].tolist()
        axes = [round(zoom * float(v or 0) / 2 * 2**SHIFT) for v in (major, minor)]
        # cv2 turns clockwise, our angles counter-clockwise as seen.
        cv2.ellipse(
            picture, centre, axes, -float(angle or 0), 0, 360, colour, 1, cv2.LINE_AA, SHIFT
        )
    else:
        corners = _fixed(
            zoom * np.array([[row["x_min"], row["y_min"]], [row["x_max"], row["y_max"]]])
        )
        first, second = corners[:, 0].tolist()
        cv2.rectangle(picture, first, second, colour, 1, cv2.LINE_AA, SHIFT)
    if "particle" in row:
        place = (int(zoom * row["x_max"]) + 1, int(zoom * row["y_min"]) + 4)
        text = str(int(row["particle"]))
        cv2.putText(
            picture,
            text,
            place,
            cv2.FONT_HERSHEY_SIMPLEX,
            LABEL_SCALE if zoom == 1 else LABEL_SCALE_ENLARGED,
            (255, 255, 0),
            1,
            cv2.LINE_AA,
        )


def _fixed(points: NDArray[Any]) -> NDArray[np.int32]:
    # Our pixel (0, 0) has its centre at 0.5; cv2 puts it at 0.
    return np.asarray(np.round((points - 0.5) * 2**SHIFT), np.int32).reshape(-1, 1, 2)


def _colour(types: Mapping[str, DefectType], name: str) -> tuple[int, ...]:
    text = types[name].colour if name in types else FALLBACK_COLOUR
    return tuple(int(text[k : k + 2], 16) for k in (1, 3, 5))


def _captioned(picture: NDArray[Any], frame: Frame, count: int) -> NDArray[np.uint8]:
    # Above the frame, not in it: a caption must not hide a defect.
    dose = frame.calibration.dose_dpa(frame.index)
    text = f"frame {frame.index}   n = {count}" + ("" if dose is None else f"   {dose:.3f} dpa")
    strip = np.zeros((CAPTION_PX, picture.shape[1], 3), np.uint8)
    place = (4, CAPTION_PX - 6)
    cv2.putText(strip, text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.42, CAPTION, 1, cv2.LINE_AA)
    return np.vstack([strip, picture])


def write_png(path: Path, picture: NDArray[np.uint8]) -> None:
    """Write an RGB picture, whole or not at all."""
    with atomic_path(path) as temporary:
        encoded = cv2.imencode(".png", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))[1]
        temporary.write_bytes(encoded.tobytes())


class _Video:
    """An H.264 file that every player and browser opens."""

    def __init__(self, path: Path, size: tuple[int, int], rate: int) -> None:
        import av

        self._av = av
        # 4:2:0 needs even sides; smaller frames are padded with black.
        self._width, self._height = (side + side % 2 for side in size)
        self._container = av.open(str(path), "w", format="mp4")
        self._stream: Any = self._container.add_stream("libx264", rate=Fraction(rate))
        self._stream.width, self._stream.height = self._width, self._height
        self._stream.pix_fmt = "yuv420p"
        self._stream.options = {"crf": "20", "preset": "veryfast", "threads": "1"}

    def write(self, picture: NDArray[np.uint8]) -> None:
        """Add one RGB picture."""
        padded = np.zeros((self._height, self._width, 3), np.uint8)
        padded[: picture.shape[0], : picture.shape[1]] = picture
        frame = self._av.VideoFrame.from_ndarray(padded, format="rgb24")
        for packet in self._stream.encode(frame):
            self._container.mux(packet)

    def __enter__(self) -> _Video:
        return self

    def __exit__(self, *error: object) -> None:
        if error[0] is None:
            for packet in self._stream.encode():
                self._container.mux(packet)
        self._container.close()
