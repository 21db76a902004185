"""``skeleton-spline``: geometry of lines from masks and from lines."""

from __future__ import annotations

import numpy as np
import pytest

from defectscope import Frame, Instances, Mask
from defectscope.core.line_masks import mask_of_line
from defectscope.plugins.testing import PostProcessorConformance
from defectscope.postproc.skeleton_spline import SkeletonSpline, SkeletonSplineOptions

SHAPE = (120, 160)
FRAME = Frame(np.eye(*SHAPE, dtype=np.uint16), 0)


class TestConformance(PostProcessorConformance):
    component = SkeletonSpline


def arc(radius=40.0, stop=np.pi):
    angle = np.linspace(0, stop, 200)
    return np.array([80, 60]) + radius * np.stack([np.cos(angle), np.sin(angle)], axis=1)


def given(masks=None, lines=None):
    n = len(masks if masks is not None else lines)
    return Instances(SHAPE, [[0, 0, 9, 9]] * n, defect_types="dislocation", masks=masks,
                     lines=lines)  # fmt: skip


def processed(instances, **options):
    return SkeletonSpline(SkeletonSplineOptions(**options)).process(FRAME, instances)


@pytest.mark.parametrize("source", ["mask", "line"])
def test_an_arc_has_its_length_curvature_and_ends(source):
    instances = given([mask_of_line(arc(), 5)], [arc()])
    found = processed(instances, source=source)
    values = {name: float(column[0]) for name, column in found.measurements.items()}
    assert values["length_px"] == pytest.approx(np.pi * 40, rel=0.04)
    assert values["curvature_per_px"] == pytest.approx(1 / 40, rel=0.15)
    assert values["angle_deg"] == pytest.approx(0, abs=4) or values["angle_deg"] > 176
    assert {round(values["start_x_px"], -1), round(values["end_x_px"], -1)} == {40, 120}
    assert found.lines[0].shape == (50, 2)
    assert found.units["curvature_per_px"] == "1/px"


@pytest.mark.parametrize("smoothing_px", [0.0, 7.0, 14.0])
@pytest.mark.parametrize("length", [20, 30, 60, 120, 200])
def test_curvature_of_an_arc_does_not_depend_on_its_length(length, smoothing_px):
    radius = max(length / 3, 40.0)
    line = arc(radius, length / radius)[:: max(200 // length, 1)]
    found = processed(given(lines=[line - line.mean(axis=0) + [80, 60]]), smoothing_px=smoothing_px)
    values = {name: float(column[0]) for name, column in found.measurements.items()}
    assert values["curvature_per_px"] * radius == pytest.approx(1, abs=0.08)
    assert values["largest_curvature_per_px"] * radius == pytest.approx(1, abs=0.2)


def test_the_detectors_line_goes_before_its_mask():
    other = np.array([[10.0, 10.0], [50.0, 10.0]])
    found = processed(given([mask_of_line(arc(), 5)], [other]))
    assert found.measurements["length_px"][0] == pytest.approx(40)


def test_masks_that_no_spline_can_be_laid_through():
    dot, nothing = Mask(30, 20, np.ones((1, 1), bool)), Mask(0, 0, np.zeros((0, 0), bool))
    found = processed(given([dot, nothing, mask_of_line(arc(), 5)]))
    assert found.measurements["length_px"][0] == 0
    assert np.isnan(found.measurements["length_px"][1])
    assert found.measurements["length_px"][2] > 100
    assert len(found.lines[1]) == 0
    assert np.isnan(found.measurements["angle_deg"][0])


def test_a_closed_loop_is_measured_all_around():
    ring = mask_of_line(arc(stop=2 * np.pi), 5)
    found = processed(given([ring]))
    assert found.measurements["length_px"][0] == pytest.approx(2 * np.pi * 40, rel=0.06)
    assert np.hypot(*(found.lines[0][0] - found.lines[0][-1])) < 2


@pytest.mark.parametrize("turn", [0, 50, 120])
def test_the_centroid_of_a_closed_line_is_its_middle_wherever_it_begins(turn):
    ring = np.roll(arc(stop=2 * np.pi)[:-1], turn, axis=0)
    found = processed(given(lines=[np.concatenate([ring, ring[:1]])]))
    place = [found.measurements[name][0] for name in ("x", "y")]
    assert place == pytest.approx([80, 60], abs=0.05)


def test_a_mask_that_touches_every_edge_stays_inside():
    full = np.zeros(SHAPE, bool)
    full[58:62] = full[:, 78:82] = True
    found = processed(given([Mask(0, 0, full)]))
    assert (found.lines[0] >= 0).all()
    assert (found.lines[0] <= [160, 120]).all()
    assert found.measurements["length_px"][0] > 100


def test_instances_without_mask_or_line_keep_their_place():
    found = processed(given(lines=[np.zeros((0, 2))]))
    assert len(found) == 1
    assert np.isnan(found.measurements["length_px"][0])
