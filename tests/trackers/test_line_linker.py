"""The tracker ``lines``: curves, not centroids, say what is the same."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from defectscope.core.errors import FormatError
from defectscope.plugins.testing import TrackerConformance
from defectscope.trackers.line_linker import Lines, LinesOptions


class TestConformance(TrackerConformance):
    component = Lines


def tables(frames):
    """Return detections and geometry of lines by frame: {frame: [line, ...]}."""
    rows, vertices = [], []
    for frame, lines in frames.items():
        for k, line in enumerate(lines):
            x, y = np.mean(line, axis=0)
            rows.append({"frame": frame, "detection": k, "x": x, "y": y})
            vertices += [
                {"frame": frame, "detection": k, "vertex": v, "x": px, "y": py}
                for v, (px, py) in enumerate(line)
            ]
    columns = ["frame", "detection", "vertex", "x", "y"]
    return pd.DataFrame(rows), pd.DataFrame(vertices, columns=columns)


def upright(x, top=0.0, bottom=100.0):
    return np.linspace([x, top], [x, bottom], 12)


def linked(frames, **options):
    return Lines(LinesOptions(**options)).link(*tables(frames))


def test_lines_of_a_pileup_keep_their_numbers_while_they_move():
    frames = {f: [upright(20 * k + 3 * f) for k in range(5)] for f in range(6)}
    found = linked(frames)
    for k in range(5):
        assert len(set(found.loc[found["detection"] == k, "particle"])) == 1
    assert found["particle"].nunique() == 5


def test_lines_that_glide_farther_than_half_their_distance_keep_their_numbers():
    moved = np.cumsum([0, 8, 11, 13, 13, 10])
    frames = {f: [upright(20 * k + by) for k in range(7)] for f, by in enumerate(moved)}
    found = linked(frames, search_range_px=15)
    assert found["particle"].tolist() == list(range(7)) * 6
    # Without momentum each is taken for the next.
    assert linked(frames, search_range_px=15, momentum=0)["particle"].nunique() > 7


def test_lines_that_stay_are_not_confused_by_noise():
    rng = np.random.default_rng(0)
    frames = {f: [upright(9 * k + rng.normal(0, 1)) for k in range(12)] for f in range(20)}
    found = linked(frames)
    assert found["particle"].tolist() == list(range(12)) * 20


def test_closed_lines_and_points_move_too():
    angle = np.linspace(0, 2 * np.pi, 30)
    ring = np.stack([50 + 20 * np.cos(angle), 50 + 20 * np.sin(angle)], axis=1)
    frames = {f: [ring + np.array([3.0 * f, 0]), upright(200 + 3 * f)] for f in range(4)}
    assert linked(frames)["particle"].tolist() == [0, 1] * 4


def test_a_line_that_grows_at_one_end_is_the_same_though_its_middle_moves():
    frames = {0: [upright(10, 0, 60), upright(40, 0, 60)],
              1: [upright(12, 0, 76), upright(42, 0, 76)]}  # fmt: skip
    assert linked(frames, search_range_px=6)["particle"].tolist() == [0, 1, 0, 1]


def test_lines_whose_middles_coincide_are_told_apart():
    flat = np.linspace([0, 50], [100, 50], 12)
    frames = {0: [upright(50), flat], 1: [flat + np.array([0, 1]), upright(51)]}
    assert linked(frames)["particle"].tolist() == [0, 1, 1, 0]


def test_the_direction_of_a_line_is_no_matter():
    assert linked({0: [upright(10)], 1: [upright(11)[::-1]]})["particle"].tolist() == [0, 0]


def test_beyond_the_range_it_is_another_line():
    frames = {0: [upright(10)], 1: [upright(30)]}
    assert linked(frames)["particle"].tolist() == [0, 1]
    assert linked(frames, search_range_px=25)["particle"].tolist() == [0, 0]


def test_a_gap_is_bridged_as_far_as_memory_goes():
    frames = {0: [upright(10)], 3: [upright(11)]}
    assert linked(frames, memory=2)["particle"].tolist() == [0, 0]
    assert linked(frames, memory=1)["particle"].tolist() == [0, 1]


def test_short_tracks_are_left_out():
    frames = {0: [upright(10), upright(90)], 1: [upright(11)]}
    found = linked(frames, min_length=2)
    assert found["particle"].tolist() == [0, 0]
    assert found["x"].tolist() == [10, 11]


def test_particles_are_numbered_by_frame_and_row_whatever_the_order_of_the_table():
    frames = {0: [upright(10), upright(90)], 1: [upright(200), upright(91)], 2: [upright(201)]}
    detections, geometry = tables(frames)
    turned = detections.iloc[::-1]
    found = Lines(LinesOptions(min_length=2)).link(turned, geometry)
    # The line at x = 10 is too short; the one at 90 comes first.
    assert found["frame"].tolist() == [2, 1, 1, 0]
    assert found["particle"].tolist() == [1, 0, 1, 0]


def test_without_geometry_positions_count():
    detections, _ = tables({0: [upright(10), upright(40)], 1: [upright(41), upright(11)]})
    assert Lines().link(detections)["particle"].tolist() == [0, 1, 1, 0]


def test_geometry_needs_to_say_whose_it_is():
    detections, geometry = tables({0: [upright(10)]})
    with pytest.raises(FormatError, match="needs the column 'detection'"):
        Lines().link(detections.drop(columns="detection"), geometry)
