"""Frames with what was found drawn on them: a video, and a few still images."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pandas as pd

from defectscope.core.errors import InputError, InputGoneError
from defectscope.core.files import atomic_path
from defectscope.pipeline.caption import (
    CAPTION_ROWS,
    colour_of,
    frame_parts,
    scale_bar,
    type_parts,
)
from defectscope.pipeline.marks import FILLED_IN, draw_numbers, draw_outline, draw_tails
from defectscope.pipeline.overlay_video import OverlayVideo, usable_encoder
from defectscope.pipeline.regions import frame_to_show
from defectscope.pipeline.run_lines import line_courses
from defectscope.pipeline.strip import ROW_PX, draw_strip, drawing_scale, rows_needed
from defectscope.pipeline.unseen import unseen_pixels

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from defectscope.core.calibration import Calibration
    from defectscope.core.defect_types import DefectType
    from defectscope.core.frames import Frame, FrameSequence
    from defectscope.pipeline.results import Result
    from defectscope.pipeline.strip import Part

__all__ = ["draw_overlay", "to_display", "write_overlays", "write_png"]

FRAMES_A_SECOND = 15
TAIL_FRAMES = 25
STILLS = 3
# Smaller frames are drawn enlarged: numbers of particles must stay readable. Frames so small that
# the strip above would lack room are enlarged to this width, but not beyond this height.
SMALL_FRAME_PX, ENLARGED = 700, 2
LEAST_WIDTH_PX, MOST_HEIGHT_PX = 600, 1400
# What was not looked at is shown at this part of its brightness.
UNSEEN_LIGHT = 0.5
NO_ENCODER = (
    "there is no overlay.mp4, because the installed FFmpeg writes neither H.264 nor MPEG-4; the "
    "av package of PyPI brings one that does"
)

# Polylines (k, 2) of a frame by detection.
Lines = Mapping[int, "NDArray[np.float64]"]


def to_display(pixels: NDArray[Any]) -> NDArray[np.uint8]:
    """Return an 8-bit copy for the eye: 8-bit as is, deeper ones stretched to their content."""
    if pixels.dtype == np.uint8:
        return pixels.copy()
    low, high = np.percentile(pixels, [0.1, 99.9])
    scale = 255.0 / max(float(high) - float(low), 1e-12)
    stretched = np.clip((pixels.astype(np.float32) - low) * scale, 0, 255)
    return np.asarray(stretched, np.uint8)


def overlay_zoom(width_px: int, height_px: int) -> int:
    """Return how many times frames of this size are enlarged."""
    if width_px > SMALL_FRAME_PX:
        return 1
    return max(ENLARGED, min(-(-LEAST_WIDTH_PX // width_px), MOST_HEIGHT_PX // height_px))


def write_overlays(
    frames: FrameSequence,
    result: Result,
    types: Mapping[str, DefectType],
    progress: Callable[[str, int, int], None],
    warnings: list[str],
    note: Callable[[list[str]], None],
) -> None:
    """Write ``overlay.mp4``, and the first, middle and last frame as PNG under ``figures/``.

    `warnings` gains a line where no video can be written here; `note` is called with the names of
    the files in ``figures/`` before they are written.
    """
    rows = result.tracks if result.tracks is not None else result.detections
    table = result.frames
    good = np.flatnonzero(table["status"].to_numpy() == "ok")
    shown = good[np.linspace(0, len(good) - 1, STILLS).astype(int)].tolist()
    stills = {k: f"overlay_{frames.indices[k]:06d}.png" for k in shown}
    note(list(stills.values()))
    width, height = int(table["width_px"].max()), int(table["height_px"].max())
    zoom = overlay_zoom(width, height)
    strip_rows = _strip_rows(frames.calibration, rows, result, types, good, zoom)
    size = (zoom * width, zoom * height + strip_rows * ROW_PX * drawing_scale(zoom * width))
    rate = FRAMES_A_SECOND if len(good) > 40 else 4
    encoder = usable_encoder(size, rate)
    if encoder is None and NO_ENCODER not in warnings:
        warnings.append(NO_ENCODER)
    with ExitStack() as stack:
        video = None
        if encoder is not None:
            temporary = stack.enter_context(atomic_path(result.folder / "overlay.mp4"))
            video = stack.enter_context(OverlayVideo(temporary, size, rate, encoder))
        pictures = _pictures(frames, rows, result, types, good, zoom, strip_rows)
        for done, (position, picture) in enumerate(pictures, start=1):
            if video is not None:
                video.write(picture)
            if position in stills:
                write_png(result.folder / "figures" / stills[position], picture)
            progress("overlay", done, len(good))


def _strip_rows(
    calibration: Calibration,
    rows: pd.DataFrame,
    result: Result,
    types: Mapping[str, DefectType],
    positions: NDArray[np.intp],
    zoom: int,
) -> int:
    """Return how many rows the fullest strip has: frames of a video must not jump."""
    legend = type_parts(types, _names(rows), _dashes(rows))
    unseen = result.roi is not None or bool(result.masks)
    counts = result.detections["frame"].value_counts()
    tracked = rows["frame"].value_counts() if "particle" in rows else None
    most = CAPTION_ROWS
    shown = result.frames[["frame", "width_px"]].iloc[positions].astype(int)
    for frame, width in shown.to_numpy().tolist():
        particles = None if tracked is None else int(tracked.get(frame, 0))
        said = frame_parts(frame, calibration, int(counts.get(frame, 0)), unseen, particles)
        bar = scale_bar(width, calibration.pixel_size_nm, zoom)
        most = max(most, rows_needed([said, legend], bar, zoom * width))
    return most


def _pictures(
    frames: FrameSequence,
    rows: pd.DataFrame,
    result: Result,
    types: Mapping[str, DefectType],
    positions: NDArray[np.intp],
    zoom: int,
    strip_rows: int,
) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    by_frame = dict(tuple(rows.groupby("frame")))
    counts = result.detections["frame"].value_counts()
    lines = line_courses(result, types)
    legend = type_parts(types, _names(rows), _dashes(rows))
    tails: dict[int, list[tuple[int, float, float]]] = {}
    for position in positions.tolist():
        try:
            frame = frame_to_show(frames, position)
        except InputGoneError:
            raise  # drawn whole when the input is back
        except InputError:
            # It was readable a moment ago; a picture is not worth losing the run.
            continue
        found = by_frame.get(frame.index, rows.iloc[:0])
        _grow_tails(tails, found, frame.index)
        recent = [tails[int(p)] for p in found["particle"]] if "particle" in found else []
        masked = result.masks.pixels(frame.shape) if result.masks else None
        yield position, draw_overlay(
            frame, found, types, lines.get(frame.index), recent, zoom,
            legend=legend, unseen=unseen_pixels(frame.shape, result.roi, masked),
            count=int(counts.get(frame.index, 0)), strip_rows=strip_rows,
        )  # fmt: skip


def _names(rows: pd.DataFrame) -> list[str]:
    return sorted(rows["defect_type"].astype(str).unique())


def _dashes(rows: pd.DataFrame) -> str:
    """Return what dashes mean among rows, or nothing where there are none."""
    filled = "origin" in rows and (rows["origin"] == FILLED_IN).any()
    return "filled in" if filled else ""


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
    lines: Lines | None = None,
    tails: list[list[tuple[int, float, float]]] | None = None,
    zoom: int = 1,
    *,
    legend: Sequence[Part] | None = None,
    unseen: NDArray[np.bool_] | None = None,
    count: int | None = None,
    strip_rows: int = CAPTION_ROWS,
) -> NDArray[np.uint8]:
    """Return an RGB picture of a frame with what was found in it, zoom·W wide, under a strip.

    Parameters
    ----------
    frame
        The frame; its pixels stay as they are.
    found
        Its rows of the detection or track table.
    types
        Defect types, for their colours and titles.
    lines
        Courses (k, 2) of lines by detection; a defect that has one is drawn as that, without a
        box, which would look like more lines.
    tails
        Recent positions of each particle, as (frame, x, y).
    zoom
        How many times the frame is enlarged.
    legend
        What the strip above explains; colours and dashes of `found` by default.
    unseen
        (H, W) bool, True where nothing was looked for: shown darker. Or None.
    count
        How many defects were found, where `found` are rows of tracks, which may be fewer or more;
        the number of rows by default.
    strip_rows
        Rows of the strip; what they have no room for is left out.
    """
    grey = to_display(frame.pixels)
    if unseen is not None:
        grey = np.where(unseen, UNSEEN_LIGHT * grey, grey).astype(np.uint8)
    if zoom > 1:
        grey = np.asarray(cv2.resize(grey, None, fx=zoom, fy=zoom, interpolation=cv2.INTER_CUBIC))
    picture = np.asarray(cv2.cvtColor(grey, cv2.COLOR_GRAY2RGB), np.uint8)
    draw_tails(picture, tails or [], zoom)
    drawn = [(row, (lines or {}).get(int(row.get("detection", -1))))
             for row in found.to_dict("records")]  # fmt: skip
    for row, course in drawn:
        draw_outline(picture, row, colour_of(types, str(row["defect_type"])), zoom, course)
    # Above all outlines: a number that another defect crosses cannot be read.
    if len(drawn) and "particle" in found:
        draw_numbers(picture, drawn, zoom)
    tracked = len(found) if "particle" in found and count is not None else None
    said = frame_parts(
        frame.index, frame.calibration, len(found) if count is None else count,
        unseen is not None, tracked,
    )  # fmt: skip
    if legend is None:
        legend = type_parts(types, _names(found), _dashes(found))
    bar = scale_bar(frame.shape[1], frame.calibration.pixel_size_nm, zoom)
    # Above, where it hides no defect.
    return np.vstack([draw_strip([said, legend], bar, picture.shape[1], strip_rows), picture])


def write_png(path: Path, picture: NDArray[np.uint8]) -> None:
    """Write an RGB picture, whole or not at all."""
    with atomic_path(path) as temporary:
        encoded = cv2.imencode(".png", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))[1]
        temporary.write_bytes(encoded.tobytes())
