"""``moving-dislocations``: what moves is what the truth says."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest

from defectscope.core.geometry.curves import mean_curve_distance, normal_displacement
from defectscope.core.geometry.polylines import polyline_resample
from defectscope.generators.line_contrast import LineStyle
from defectscope.generators.line_painting import paint_lines
from defectscope.generators.line_paths import spline_paths
from defectscope.generators.moving_dislocations import (
    MovingDislocations,
    MovingDislocationsOptions,
    painting_sources,
)
from defectscope.plugins.testing import GeneratorConformance


class TestConformance(GeneratorConformance):
    component = MovingDislocations


def frames(length=5, side=256, **options):
    canvas = np.full((side, side), 0.6, np.float32)
    canvas += 0.03 * np.random.default_rng(0).standard_normal((side, side), dtype=np.float32)
    generator = MovingDislocations(MovingDislocationsOptions(**options))
    return list(generator.sequence(canvas, np.random.default_rng(1), length)), generator


def test_lines_keep_their_number_and_come_closer():
    drawn, generator = frames(compression=0.5, count=5)
    spacing = generator.last_parameters["spacing_px"]
    assert spacing[-1] == pytest.approx(spacing[0] / 2)
    apart = []
    for _, truth in drawn:
        assert truth.measurements["track_id"].tolist() == [0, 1, 2, 3, 4]
        apart.append(mean_curve_distance(truth.lines[1], truth.lines[2]))
    assert apart[-1] / apart[0] == pytest.approx(0.5, abs=0.08)


def test_the_leading_line_moves_as_fast_as_it_says():
    drawn, _ = frames(speed_px=4.0, direction_deg=0, compression=0, bow_low=0, bow_high=0, side=512)
    before, after = (truth.lines[0] for _, truth in drawn[:2])
    assert abs(normal_displacement(before, after)) == pytest.approx(4, abs=0.3)


def test_lines_are_where_the_image_is_dark():
    drawn, _ = frames(length=2, contrast_low=5, contrast_high=5)
    for pixels, truth in drawn:
        on_lines = [pixels[int(y), int(x)] for line in truth.lines for x, y in line[3:-3]]
        assert np.mean(on_lines) < pixels.mean() - 0.08


def test_a_line_that_leaves_the_frame_is_no_longer_there():
    drawn, _ = frames(speed_px=45.0, length=8)
    assert len(drawn[-1][1]) < len(drawn[0][1])


def test_a_line_that_comes_back_into_the_frame_is_ignored_there():
    # An arc through the right rim: both its ends are painted.
    drawn, _ = frames(
        length=3, count=2, spacing_px=16, slip_width_px=300, direction_deg=0, bow_low=1, bow_high=1
    )
    for _, truth in drawn:
        assert truth.measurements["track_id"].tolist() == [0, 1, 2, 3]
        assert truth.ignore.tolist() == [False, False, True, True]
        lengths = truth.measurements["length_px"]
        assert (lengths[:2] >= lengths[2:]).all()


def test_lines_look_the_same_from_frame_to_frame():
    # They grow by a little from one frame to the next, and move by much less than they vary.
    drawn, _ = frames(length=12, side=512, noise=0, speed_px=0, compression=0, bow_high=0.2)
    profiles = []
    for pixels, truth in drawn:
        soft = cv2.GaussianBlur(pixels, (0, 0), 2)
        lines = [polyline_resample(line[4:-4], 60) for line in truth.lines]
        profiles.append([[soft[int(y), int(x)] for x, y in line] for line in lines])
    steps = np.abs(np.diff(profiles, axis=0)).mean(axis=(1, 2))
    assert steps.max() < 0.4 * np.std(profiles, axis=2).mean()


def test_lines_that_cannot_be_seen_are_not_labelled():
    for noise, seen in ((0.0, 7), (0.2, 0)):
        drawn, _ = frames(length=2, contrast_low=3, contrast_high=3, noise=noise)
        assert [len(truth) for _, truth in drawn] == [seen, seen]
    drawn, _ = frames(length=1, contrast_low=3, contrast_high=3, noise=0.2, visible_from=0)
    assert len(drawn[0][1]) == 7


@pytest.mark.parametrize("speed", [-20.0, 20.0])
def test_the_pile_up_stays_on_its_slip_traces(speed):
    drawn, generator = frames(speed_px=speed, length=8, direction_deg=0)
    for trace in generator.last_parameters["traces"]:
        (x_min, y), (x_max, _) = trace["ends"]
        for _, truth in drawn:
            for line in truth.lines:
                end = line[np.abs(line[:, 1] - y).argmin()]
                assert x_min < end[0] < x_max


def test_every_random_choice_is_recorded():
    drawn, generator = frames(length=2, count=4)
    known = generator.last_parameters
    assert json.loads(json.dumps(known)) == known
    jitter = np.array(known["jitter"])
    assert jitter.shape == (4, 5)
    assert (jitter[:, [0, -1]] == 0).all()
    assert np.ptp(jitter[:, 1:-1]) > 0
    assert [len(line) for line in (known["lines"], known["traces"])] == [4, 2]
    for trace in known["traces"]:
        assert np.shape(trace["ends"]) == (2, 2)
        assert trace["grey"] < 0
    # With the seed of the painting, the lines of any frame can be painted again.
    support, _ = generator._support((256, 256), 1, 1.0, jitter, 256 / 512)
    styles = [LineStyle(**line) for line in known["lines"]]
    grain, *own = painting_sources(known["painting_seed"], 4)
    again = paint_lines(
        np.full((256, 256), 0.6, np.float32), spline_paths(support), styles, [0.03] * 4, grain,
        own=own,
    )  # fmt: skip
    for piece, line in zip(again, drawn[1][1].lines, strict=True):
        np.testing.assert_array_equal(piece.points, line)
