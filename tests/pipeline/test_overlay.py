"""Overlays: what is drawn lies where it was found, and everything that was found is drawn."""

from __future__ import annotations

import cv2
import numpy as np
import pandas as pd
import pytest

import defectscope as ds
from defectscope.core.geometry.ellipses import distances_of_edges, ellipse_points
from defectscope.pipeline.caption import (
    CAPTION_PX,
    FALLBACK_COLOUR,
    frame_parts,
    scale_bar,
    type_parts,
)
from defectscope.pipeline.overlay import (
    draw_overlay,
    to_display,
)

TYPES = {
    "loop": ds.DefectType("loop", "Loop", "ellipse", colour="#e69f00"),
    "line": ds.DefectType("line", "Line", "line", colour="#00ff40"),
}

SHAPE = (90, 120)


def grey_frame(shape=SHAPE, index=7, **more):
    pixels = np.full(shape, 120, np.uint8)
    pixels[0, 0] = 121  # a frame needs some contrast
    return ds.Frame(pixels, index, **more)


def row(x=60.0, y=45.0, major=30.0, minor=16.0, angle=25.0, name="loop", **more):
    return {
        "frame": 7, "detection": 0, "defect_type": name, "x": x, "y": y, "x_min": x - major / 2,
        "y_min": y - minor / 2, "x_max": x + major / 2, "y_max": y + minor / 2,
        "major_px": major, "minor_px": minor, "angle_deg": angle, **more,
    }  # fmt: skip


def table(*rows):
    return pd.DataFrame(list(rows), columns=list(row()) if not rows else None)


def draw(rows=(), frame=None, zoom=1, **more):
    return draw_overlay(frame or grey_frame(), table(*rows), TYPES, zoom=zoom, **more)


def coloured(picture, zoom=1, least=40):
    """Return the (k, 2) places x, y in px of the frame where the picture is not grey."""
    inner = picture[CAPTION_PX:].astype(int)
    y, x = np.nonzero(inner.max(axis=2) - inner.min(axis=2) >= least)
    return (np.stack([x, y], axis=1) + 0.5) / zoom


def rgb(text):
    return tuple(int(text[k : k + 2], 16) for k in (1, 3, 5))


BLACK = ds.Frame(np.eye(*SHAPE, dtype=np.uint8))


def of_full_strength(colour):
    return [255 * value / max(colour) for value in colour]


def hue(picture):
    """Return the colour of what is drawn on black, where it is strongest, at full strength."""
    pixels = picture[CAPTION_PX:].reshape(-1, 3).astype(int)
    return of_full_strength(pixels[pixels.max(axis=1).argmax()].tolist())


@pytest.mark.parametrize("zoom", [1, 2, 3])
@pytest.mark.parametrize("angle", [0.0, 25.0, 90.0, 140.0])
def test_ellipses_lie_where_they_were_measured(angle, zoom):
    shape = (60.3, 44.6, 30.0, 16.0, angle)
    places = coloured(draw([row(*shape)], zoom=zoom), zoom)
    assert len(places)
    assert np.abs(distances_of_edges(places, [shape], np.array([len(places)]))).max() < 1.3 / zoom
    # All around, not only in part.
    rim = ellipse_points(*shape, count=40)
    gaps = np.linalg.norm(rim[:, None] - places[None], axis=2).min(axis=1)
    assert gaps.max() < 1.2


@pytest.mark.parametrize("width", [240, 2048])
@pytest.mark.parametrize("shape", ["ellipse", "box", "line"])
def test_what_was_filled_in_is_dashed_and_explained(shape, width):
    frame = ds.Frame(np.eye(120, width, dtype=np.uint8))
    one = row() if shape == "ellipse" else line_row()
    lines = {0: np.array([[10.0, 45.5], [70.0, 45.5]])} if shape == "line" else None
    pictures = [draw([one | {"origin": origin}], frame, lines=lines)
                for origin in ("detector", "human", "interpolated")]  # fmt: skip
    seen, human, filled = (len(coloured(picture[20:])) for picture in pictures)
    assert seen == human
    assert 0.3 * seen < filled < 0.85 * seen
    height = CAPTION_PX * (1 if width < 2048 else 2)
    strips = [picture[:height] for picture in pictures]
    assert (strips[0] == strips[1]).all()
    assert strips[2].sum() > 1.2 * strips[0].sum()
    # Of a run, in every frame: what is explained must not flicker.
    legend = type_parts(TYPES, [one["defect_type"]], "filled in")
    explained = draw([one | {"origin": "detector"}], frame, lines=lines, legend=legend)
    np.testing.assert_array_equal(explained[:height], strips[2])


@pytest.mark.parametrize("zoom", [1, 2])
def test_there_is_no_shift_by_half_a_pixel(zoom):
    for x, y in ((60.0, 45.0), (60.5, 45.5), (60.25, 44.75)):
        inner = draw([row(x, y, 21.0, 21.0)], zoom=zoom)[CAPTION_PX:].astype(float)
        weight = inner.max(axis=2) - inner.min(axis=2)
        weight[weight < 8] = 0
        rows, columns = np.indices(weight.shape) + 0.5
        found = [(columns * weight).sum() / weight.sum(), (rows * weight).sum() / weight.sum()]
        np.testing.assert_allclose(np.array(found) / zoom, [x, y], atol=0.12)


@pytest.mark.parametrize("zoom", [1, 2])
@pytest.mark.parametrize("missing", ["major_px", "minor_px", "angle_deg"])
def test_without_axes_the_box_is_drawn(missing, zoom):
    one = row(40, 30, 20, 12)
    assert (one["x_min"], one["y_min"], one["x_max"], one["y_max"]) == (30, 24, 50, 36)
    for found in ({**one, missing: np.nan}, {k: v for k, v in one.items() if k != missing}):
        places = coloured(draw([found], zoom=zoom), zoom)
        inside = np.minimum(places - [30, 24], [50, 36] - places).min(axis=1)
        assert np.abs(inside).max() <= 1
        for edge in ((30, 30), (50, 30), (40, 24), (40, 36)):
            assert np.linalg.norm(places - edge, axis=1).min() <= 1


def test_colours_are_those_of_the_types():
    for name, colour in (("loop", "#e69f00"), ("line", "#00ff40"), ("new", FALLBACK_COLOUR)):
        assert hue(draw([row(name=name)], BLACK)) == pytest.approx(
            of_full_strength(rgb(colour)), abs=4
        )


@pytest.mark.parametrize("zoom", [1, 2, 3])
def test_a_frame_without_detections_is_itself_below_its_caption(zoom):
    y, x = np.indices(SHAPE)
    frame = ds.Frame(np.uint8(120 + 60 * np.sin(x / 5) * np.cos(y / 7)))
    before = frame.pixels.copy()
    picture = draw(frame=frame, zoom=zoom)
    np.testing.assert_array_equal(frame.pixels, before)
    assert picture.dtype == np.uint8
    assert picture.shape == (zoom * SHAPE[0] + CAPTION_PX, zoom * SHAPE[1], 3)
    inner = picture[CAPTION_PX:]
    assert (inner == inner[..., :1]).all()
    if zoom == 1:
        np.testing.assert_array_equal(inner[..., 0], frame.pixels)
    else:
        small = cv2.resize(inner[..., 0], SHAPE[::-1], interpolation=cv2.INTER_AREA)
        assert np.abs(small.astype(int) - frame.pixels).max() <= 2


def test_the_caption_is_in_its_strip_and_depends_on_frame_count_and_dose():
    calibration = ds.Calibration(dose_start_dpa=0.0, dose_per_frame_dpa=0.1)
    frames = [grey_frame((90, 300), k, calibration=c) for k, c in
              ((7, ds.Calibration()), (8, ds.Calibration()), (7, calibration))]  # fmt: skip
    strips = [draw(frame=frame)[:CAPTION_PX] for frame in frames]
    strips.append(draw([row()], frames[0])[:CAPTION_PX])
    assert all(strip.max() > 200 for strip in strips)
    assert len({strip.tobytes() for strip in strips}) == 4
    assert not coloured(draw(frame=frames[0])).size


def line_row(name="line", **more):
    return row(30.0, 45.0, np.nan, np.nan, np.nan, name) | {
        "x_min": 10.0, "y_min": 20.0, "x_max": 51.0, "y_max": 70.0, **more,
    }  # fmt: skip


def test_lines_are_drawn_in_the_colour_of_their_type_without_a_box():
    points = np.array([[10.0, 20.5], [50.5, 20.5], [50.5, 70.0]])
    for zoom in (1, 2):
        picture = draw([line_row()], lines={0: points}, zoom=zoom)
        places = coloured(picture, zoom)
        along = np.minimum(
            np.where(places[:, 0] <= 51.5, np.abs(places[:, 1] - 20.5), 99),
            np.where(places[:, 1] >= 19.5, np.abs(places[:, 0] - 50.5), 99),
        )
        assert along.max() <= 1
        for end in points:
            assert np.linalg.norm(places - end, axis=1).min() <= 1
    for name, colour in (("line", "#00ff40"), ("loop", "#e69f00")):
        picture = draw([line_row(name)], BLACK, lines={0: points})
        assert hue(picture) == pytest.approx(of_full_strength(rgb(colour)), abs=4)


def test_the_number_of_a_line_stands_beside_its_course():
    points = np.array([[10.0, 65.0], [50.0, 60.0]])
    plain = draw([line_row()], lines={0: points})
    numbered = draw([line_row(particle=8)], lines={0: points})
    y, x = np.nonzero((plain != numbered).any(axis=2))
    assert abs(y.mean() - CAPTION_PX - 60) < 5
    assert x.min() >= 50


def test_a_line_whose_course_is_not_known_has_a_box():
    assert len(coloured(draw([line_row()], lines={5: np.zeros((2, 2))}))) > 100


def test_what_was_not_looked_at_is_darker():
    unseen = np.zeros(SHAPE, bool)
    unseen[:30] = True
    inner = draw(unseen=unseen)[CAPTION_PX:]
    assert (inner[:30, 5] == 60).all()
    assert (inner[30:] == 120).all()
    assert said_of(grey_frame(), 0, True) == "frame 7   n = 0   dark: not looked at"


def said_of(frame, *given):
    return "   ".join(part.text for part in frame_parts(frame.index, frame.calibration, *given))


def test_the_strip_says_what_is_known_of_a_frame():
    known = ds.Calibration(frame_interval_s=1.75, dose_start_dpa=1, dose_per_frame_dpa=0.1)
    frame = grey_frame(calibration=known)
    assert said_of(frame, 84, False) == "frame 7   n = 84   12.25 s   1.700 dpa"
    assert said_of(grey_frame(), 84, False) == "frame 7   n = 84"
    assert said_of(grey_frame(), 84, False, 80) == "frame 7   n = 84, 80 tracked"


def test_the_strip_explains_the_colours():
    wide = ds.Frame(np.eye(90, 400, dtype=np.uint8))
    legend = type_parts(TYPES, ["line", "loop"])
    strip = draw(frame=wide, legend=legend)[:CAPTION_PX]
    assert (strip == rgb("#00ff40")).all(axis=2).sum() == 100
    assert (strip == rgb("#e69f00")).all(axis=2).sum() == 100
    # Of a single frame, those that it has.
    assert (draw([row()], wide)[:CAPTION_PX] == rgb("#e69f00")).all(axis=2).sum() == 100


@pytest.mark.parametrize("zoom", [1, 2])
def test_the_scale_bar_is_as_long_as_it_says(zoom):
    known = ds.Calibration(pixel_size_nm=0.5)
    frames = [ds.Frame(np.eye(90, 400, dtype=np.uint8), calibration=c)
              for c in (known, ds.Calibration())]  # fmt: skip
    strips = [draw(frame=frame, zoom=zoom)[:CAPTION_PX].astype(int) for frame in frames]
    changed = (strips[0] != strips[1]).any(axis=2)
    columns = changed.sum(axis=0)[::-1]  # 20 nm are 40 px, at the right end, 3 px high
    assert (columns[6 : 6 + 40 * zoom] == 3).all()
    assert columns[:6].sum() == columns[6 + 40 * zoom] == 0
    assert scale_bar(400, None) is None


@pytest.mark.parametrize("zoom", [1, 2, 3])
def test_particles_bear_their_number_beside_the_box(zoom):
    plain = draw([row()], zoom=zoom)
    texts = [draw([row(particle=number)], zoom=zoom) for number in (3, 8)]
    changed = [np.argwhere((text != plain).any(axis=2)) for text in texts]
    for places in changed:
        x = places[:, 1] / zoom
        assert x.min() >= row()["x_max"] - 1
        assert x.max() <= row()["x_max"] + 12
    assert (texts[0] != texts[1]).any()


def yellow(picture):
    """Return the (k, 2) places y, x of letters and tails, which are smoothed."""
    red, green, blue = np.moveaxis(picture[CAPTION_PX:].astype(int), 2, 0)
    return np.argwhere((red - blue > 110) & (abs(red - green) < 0.2 * (red - blue)))


@pytest.mark.parametrize("zoom", [1, 2])
@pytest.mark.parametrize("place", [(110, 45), (60, 2), (118, 88), (3, 3), (118, 2)])
def test_numbers_are_whole_also_at_the_rim_of_the_frame(place, zoom):
    middle = yellow(draw([row(particle=247)], zoom=zoom))
    there = yellow(draw([row(*place, particle=247)], zoom=zoom))
    assert len(middle) > 10
    # Digit for digit the same.
    np.testing.assert_array_equal(there - there.min(axis=0), middle - middle.min(axis=0))
    y, x = (there.mean(axis=0) / zoom).tolist()
    assert abs(y - place[1]) < 16
    assert abs(x - place[0]) < 32


def test_the_number_of_a_line_at_the_right_rim_stands_left_of_it():
    points = np.array([[90.0, 65.0], [119.0, 20.0]])
    places = yellow(draw([line_row(particle=247)], lines={0: points}))
    assert places[:, 1].max() < 90
    assert abs(places[:, 0].mean() - 65) < 8


def test_numbers_and_tails_are_seen_on_bright_frames():
    pixels = np.full(SHAPE, 255, np.uint8)
    pixels[0, 0] = 254
    bright, tail = ds.Frame(pixels, 7), [[(5, 20.0, 30.0), (7, 40.0, 60.0)]]
    for picture in (draw([row(particle=8)], bright), draw(frame=bright, tails=tail)):
        inner = picture[CAPTION_PX:]
        near = cv2.dilate((inner.max(axis=2) < 60).astype(np.uint8), np.ones((5, 5)))
        places = yellow(picture)
        assert len(places) > 4
        assert near[tuple(places.T)].all()


def test_numbers_lie_above_the_outlines_of_others():
    one, other = row(particle=247), row(80.0, 40.0, 30.0, 16.0, particle=8, detection=1)
    whole = {tuple(place) for place in yellow(draw([one])).tolist()}
    both = {tuple(place) for place in yellow(draw([one, other])).tolist()}
    assert whole <= both


def test_tails_show_where_particles_came_from():
    picture = draw(tails=[[(5, 20.0, 30.0), (6, 40.0, 30.0), (7, 40.0, 60.0)]])
    places = coloured(picture)
    for x, y in ((20, 30), (30, 30), (40, 45), (40, 60)):
        assert np.linalg.norm(places - [x, y], axis=1).min() <= 1


def test_what_reaches_out_of_the_frame_is_cut():
    corners = [row(x, y) for x in (0, 120) for y in (0, 90)]
    assert draw([{**c, "particle": 12345} for c in corners]).shape == (90 + CAPTION_PX, 120, 3)
    assert draw([row(major=1e5, minor=1e5)]).shape == (90 + CAPTION_PX, 120, 3)


@pytest.mark.parametrize("dtype", ["uint16", "float32"])
def test_deep_pixels_are_stretched_to_their_content(dtype):
    ramp = np.linspace(1000, 1400, 256 * 64).reshape(64, 256).astype(dtype)
    shown = to_display(ramp)
    assert shown.dtype == np.uint8
    assert (shown.min(), shown.max()) == (0, 255)
    assert (np.diff(shown.ravel().astype(int)) >= 0).all()
    assert shown.mean() == pytest.approx(127.5, abs=2)


def test_hot_pixels_do_not_darken_the_rest():
    pixels = np.random.default_rng(0).normal(500, 10, (200, 200)).astype(np.float32)
    pixels[5, 5], pixels[6, 6] = 1e6, -1e6
    assert 100 < to_display(pixels).mean() < 155


def test_eight_bits_are_shown_as_they_are():
    pixels = np.random.default_rng(0).integers(90, 110, (20, 20), dtype=np.uint8)
    shown = to_display(pixels)
    np.testing.assert_array_equal(shown, pixels)
    assert not np.shares_memory(shown, pixels)


def test_almost_uniform_deep_pixels_can_be_shown():
    pixels = np.full((40, 40), 700, np.uint16)
    pixels[3, 3] = 701
    assert to_display(pixels).shape == (40, 40)


@pytest.mark.parametrize(("width", "scale"), [(120, 1), (2047, 1), (2048, 2), (4096, 3)])
def test_on_wide_frames_everything_is_drawn_larger(width, scale):
    known = ds.Calibration(pixel_size_nm=0.5)
    frames = [ds.Frame(np.eye(90, width, dtype=np.uint8), calibration=c)
              for c in (known, ds.Calibration())]  # fmt: skip
    found = line_row(particle=8)
    line = {0: np.array([[10.0, 40.5], [50.0, 40.5]])}
    tail = [[(0, 10.5, 70.0), (1, 50.5, 70.0)]]
    height = scale * CAPTION_PX
    picture = draw([found], frames[0], lines=line, tails=tail)
    assert picture.shape == (90 + height, width, 3)
    # The course and the tail; OpenCV smooths both edges over a pixel or so more.
    for top in (30, 60):
        bright = picture[height + top : height + top + 20, 20, 1].max(initial=0)
        thick = picture[height + top : height + top + 20, 20, 1].sum() / bright
        assert scale - 0.1 < thick < scale + 2.8
    # A swatch, the scale bar and a number are as many times as large.
    assert (picture[:height] == rgb("#00ff40")).all(axis=2).sum() == 100 * scale**2
    if width > 120:
        bar = (picture[:height] != draw([found], frames[1])[:height]).any(axis=2)
        assert bar[:, -6 * scale - 1].sum() == 3 * scale
    plain = draw([line_row()], frames[0], lines=line, tails=tail)
    rows = np.nonzero((plain != picture).any(axis=(1, 2)))[0]
    assert np.ptp(rows) + 1 == pytest.approx(8 * scale, abs=1 + scale)
