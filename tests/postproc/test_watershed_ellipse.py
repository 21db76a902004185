"""Ellipses whose axes are known are measured, and nothing in a box makes a run fail."""

from __future__ import annotations

import pickle
from typing import ClassVar

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

import defectscope as ds
from defectscope.core.errors import OptionError
from defectscope.core.geometry.ellipses import ellipse_boxes
from defectscope.core.masks import Mask, mask_iou
from defectscope.core.options import validate_options
from defectscope.plugins.testing import PluginConformance, PostProcessorConformance
from defectscope.postproc.watershed_ellipse import WatershedEllipse, WatershedEllipseOptions

ENGINES = ("skimage", "opencv")
RUNTIME = ds.Runtime(
    defect_types={
        "loop": ds.DefectType("loop", "Loop", "ellipse"),
        "ring": ds.DefectType("ring", "Ring", "ellipse", contrast="ring"),
        "void": ds.DefectType("void", "Void", "ellipse", contrast="bright"),
        "line": ds.DefectType("line", "Line", "line"),
    }
)
AXES = ("x", "y", "major_px", "minor_px", "angle_deg")
ellipses = st.builds(
    lambda x, y, major, ratio, angle: (x, y, major, max(major * ratio, 6.0), angle),
    st.floats(46, 50),
    st.floats(46, 50),
    st.floats(8, 50),
    st.floats(0.5, 1),
    st.floats(0, 179.9),
)


class TestSkimage(PostProcessorConformance):
    component = WatershedEllipse


class TestOpencv(PostProcessorConformance):
    component = WatershedEllipse
    options: ClassVar = {"engine": "opencv", "contrast": "bright-ring", "fit": "moments"}


class TestShippedPostProcessors(PluginConformance):
    plugin = "defectscope.postproc.plugin"


def draw(shapes, size=96, ring_px=None, gap=False, blur_px=1.2, depth=0.3, noise=0.01, seed=0):
    """Return float32 pixels with dark ellipses, and the masks of the filled ellipses."""
    grid = (np.arange(4 * size) + 0.5) / 4
    pixels, masks = np.full((size, size), 0.6), []
    for x, y, major, minor, angle in shapes:
        cos, sin = np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle))
        along = cos * (grid - x) - sin * (grid - y)[:, None]
        across = sin * (grid - x) + cos * (grid - y)[:, None]
        filled = np.hypot(along / major, across / minor) <= 0.5
        shape = filled
        if ring_px is not None:
            inner = np.hypot(along / (major - 2 * ring_px), across / (minor - 2 * ring_px)) <= 0.5
            shape = filled & ~inner
        if gap:
            shape = shape & ~((np.abs(across) < 0.2 * minor) & (along > 0))
        blocks = (size, 4, size, 4)
        pixels -= depth * gaussian_filter(shape.reshape(blocks).mean(axis=(1, 3)), blur_px)
        masks.append(Mask(0, 0, filled.reshape(blocks).mean(axis=(1, 3)) >= 0.5))
    pixels += np.random.default_rng(seed).normal(0, noise, pixels.shape)
    return pixels.astype(np.float32), masks


def measure(pixels, boxes, names="loop", **options):
    component = WatershedEllipse(WatershedEllipseOptions(**options), RUNTIME)
    shape = pixels.shape
    names = [names] * len(boxes) if isinstance(names, str) else names
    return component.process(ds.Frame(pixels), ds.Instances(shape, boxes, defect_types=names))


def axes_of(found, position=0):
    return tuple(float(found.measurements[name][position]) for name in AXES)


def turned(a, b):
    return abs((a - b + 90) % 180 - 90)


# --- accuracy


@pytest.mark.parametrize("engine", ENGINES)
@settings(max_examples=40)
@given(ellipses, st.integers(0, 99))
def test_the_axes_of_a_filled_ellipse_are_found(engine, ellipse, seed):
    pixels, _ = draw([ellipse], seed=seed)
    found = measure(pixels, ellipse_boxes(*ellipse), engine=engine)
    assert found.measurements["fit"][0] == 1
    assert found.measurements["at_rim"][0] == 0
    assert axes_of(found)[:2] == pytest.approx(ellipse[:2], abs=0.3)
    assert axes_of(found)[2:4] == pytest.approx(ellipse[2:4], rel=0.04, abs=0.8)
    if ellipse[3] < 0.8 * ellipse[2]:
        # The rounder it is, the less its direction is known.
        assert turned(axes_of(found)[4], ellipse[4]) < max(5, 15 / (ellipse[2] - ellipse[3]))


def test_axes_are_not_biased():
    rng = np.random.default_rng(1)
    errors = []
    for seed in range(60):
        major = rng.uniform(10, 50)
        ellipse = (*rng.uniform(47, 49, 2), major, major * rng.uniform(0.6, 1), rng.uniform(0, 180))
        pixels, _ = draw([ellipse], noise=0.03, seed=seed)
        boxes = ellipse_boxes(*ellipse) + rng.normal(0, 0.05 * major, 4)
        errors.append(np.divide(axes_of(measure(pixels, boxes))[2:4], ellipse[2:4]) - 1)
    assert np.abs(np.median(errors, axis=0)).max() < 0.02
    assert np.std(errors, axis=0).max() < 0.05


@pytest.mark.parametrize("gap", [False, True])
@settings(max_examples=20)
@given(st.floats(24, 50), st.floats(0.6, 1), st.floats(0, 179.9))
def test_a_ring_is_measured_at_its_outer_edge_even_when_it_is_open(gap, major, ratio, angle):
    ellipse = (48.3, 47.8, major, major * ratio, angle)
    pixels, masks = draw([ellipse], ring_px=3.0, gap=gap, blur_px=1.0)
    found = measure(pixels, ellipse_boxes(*ellipse), "ring")
    assert axes_of(found)[2:4] == pytest.approx(ellipse[2:4], rel=0.08)
    assert found.masks is not None
    assert mask_iou(found.masks[0], masks[0]) > (0.8 if gap else 0.88)


def test_a_solid_loop_of_a_type_that_may_be_open_is_measured_too():
    ellipse = (48, 48, 40, 14, 35)
    pixels, _ = draw([ellipse])
    found = measure(pixels, ellipse_boxes(*ellipse), "ring")
    assert axes_of(found)[2:4] == pytest.approx(ellipse[2:4], rel=0.06)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("overlap_px", [-2.0, 0.0, 3.0])
def test_touching_neighbours_are_parted(engine, overlap_px):
    shapes = [(36.0, 48.0, 24.0, 20.0, 0.0), (60.0 - overlap_px, 48.0, 24.0, 20.0, 0.0)]
    pixels, _ = draw(shapes)
    boxes = np.concatenate([ellipse_boxes(*shape) for shape in shapes])
    found = measure(pixels, boxes, engine=engine)
    assert found.masks is not None
    assert mask_iou(*found.masks) == 0 or engine == "opencv"
    for k, shape in enumerate(shapes):
        assert axes_of(found, k)[:4] == pytest.approx(shape[:4], abs=2)
    if overlap_px >= 0:
        # Without the other box the blob is one.
        assert axes_of(measure(pixels, boxes[:1], fit="moments"))[2] > 26


def test_two_boxes_of_one_defect_do_not_part_it():
    ellipse = (48, 48, 30, 20, 20)
    pixels, _ = draw([ellipse])
    box = ellipse_boxes(*ellipse)
    found = measure(pixels, np.concatenate([box, box + 1]))
    for k in (0, 1):
        assert axes_of(found, k)[:4] == pytest.approx(ellipse[:4], abs=1)


def test_a_dot_inside_a_ring_is_measured_and_so_is_the_ring():
    ring, dot = (48, 48, 60, 54, 20), (50, 44, 12, 10, 0)
    pixels = draw([ring], ring_px=4.0, noise=0.005)[0] + draw([dot], noise=0)[0] - np.float32(0.6)
    boxes = np.concatenate([ellipse_boxes(*ring), ellipse_boxes(*dot)])
    found = measure(pixels, boxes, ["ring", "loop"])
    assert axes_of(found)[2:4] == pytest.approx(ring[2:4], rel=0.05)
    assert axes_of(found, 1)[:4] == pytest.approx(dot[:4], abs=0.6)


@pytest.mark.parametrize("fit", ["edge", "moments"])
def test_of_a_defect_that_the_rim_cuts_the_whole_ellipse_is_found(fit):
    ellipse = (48, 48, 40, 30, 0)
    pixels, _ = draw([ellipse])
    cut = np.ascontiguousarray(pixels[:, 38:])
    found = measure(cut, [[0, 33, 30, 63]], fit=fit)
    assert axes_of(found)[:4] == pytest.approx((10, 48, 40, 30), abs=1)
    assert found.measurements["fit"][0] == 1
    assert found.measurements["at_rim"][0] == 1
    assert found.masks is not None
    assert found.masks[0].box[0] == 0


def test_bright_defects_of_their_type_and_by_option():
    ellipse = (48, 48, 30, 20, 60)
    pixels, _ = draw([ellipse], depth=-0.3)
    for names, options in (("void", {}), ("loop", {"contrast": "bright"})):
        found = measure(pixels, ellipse_boxes(*ellipse), names, **options)
        assert axes_of(found)[:4] == pytest.approx(ellipse[:4], abs=0.6)
    ring, _ = draw([ellipse], depth=-0.3, ring_px=3.0)
    found = measure(ring, ellipse_boxes(*ellipse), contrast="bright-ring")
    assert axes_of(found)[2:4] == pytest.approx(ellipse[2:4], rel=0.08)


def test_what_the_detector_says_comes_before_the_type():
    ellipse = (48, 48, 30, 20, 60)
    depths = {"dark": 0.3, "bright": -0.3}
    shown = {name: draw([ellipse], depth=depth)[0] for name, depth in depths.items()}
    rings = {name: draw([ellipse], depth=depth, ring_px=3.0)[0] for name, depth in depths.items()}
    for pixels, name, bright in (
        (shown["bright"], "loop", 1),
        (shown["dark"], "loop", 0),
        (shown["dark"], "loop", np.nan),
        (shown["dark"], "void", 0),
        (shown["bright"], "void", np.nan),
        (rings["bright"], "ring", 1),
        (rings["dark"], "ring", 0),
    ):
        given = ds.Instances(
            pixels.shape, ellipse_boxes(*ellipse), defect_types=name,
            measurements={"bright": np.array([bright])}, units={"bright": ""},
        )  # fmt: skip
        found = WatershedEllipse(runtime=RUNTIME).process(ds.Frame(pixels), given)
        assert axes_of(found)[2:4] == pytest.approx(ellipse[2:4], rel=0.08)
        assert found.measurements["fit"][0] == 1
        np.testing.assert_equal(found.measurements["bright"], [bright])


@pytest.mark.parametrize("level", [0.35, 0.65])
def test_the_edge_level_moves_the_edge(level):
    ellipse = (48, 48, 30, 20, 0)
    pixels, _ = draw([ellipse], blur_px=2.5)
    found = measure(pixels, ellipse_boxes(*ellipse), edge_level=level)
    assert (axes_of(found)[2] > 30) == (level < 0.5)


# --- symmetries


@settings(max_examples=25)
@given(ellipses, st.integers(-20, 20), st.integers(-20, 20))
def test_moving_the_image_moves_the_ellipse(ellipse, dx, dy):
    pixels, _ = draw([ellipse], size=96, noise=0)
    moved = np.roll(pixels, (dy, dx), axis=(0, 1))
    box = ellipse_boxes(*ellipse)
    first = axes_of(measure(pixels, box))
    second = axes_of(measure(moved, box + np.array([dx, dy, dx, dy])))
    assert second[:2] == pytest.approx((first[0] + dx, first[1] + dy), abs=0.02)
    assert second[2:4] == pytest.approx(first[2:4], abs=0.02)


@settings(max_examples=25)
@given(ellipses, st.integers(0, 99))
def test_turning_the_image_turns_the_ellipse(ellipse, seed):
    pixels, _ = draw([ellipse], seed=seed)
    x0, y0, x1, y1 = ellipse_boxes(*ellipse)[0]
    x, y, major, minor, angle = axes_of(measure(pixels, [[x0, y0, x1, y1]]))
    turned_pixels = np.ascontiguousarray(np.rot90(pixels))
    found = axes_of(measure(turned_pixels, [[y0, 96 - x1, y1, 96 - x0]]))
    assert found[:2] == pytest.approx((y, 96 - x), abs=0.1)
    assert found[2:4] == pytest.approx((major, minor), abs=0.2)
    if minor < 0.8 * major:
        assert turned(found[4], angle + 90) < 2


@settings(max_examples=25)
@given(ellipses, st.floats(1e-3, 1e4), st.floats(-100, 100))
def test_grey_values_may_be_scaled_and_shifted(ellipse, scale, shift):
    pixels, _ = draw([ellipse])
    box = ellipse_boxes(*ellipse)
    first = axes_of(measure(pixels, box))
    # An offset that dwarfs the contrast costs float32 its digits.
    second = axes_of(measure(pixels * np.float32(scale) + np.float32(shift * scale), box))
    assert second[:4] == pytest.approx(first[:4], abs=0.05)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_full_bit_depth_is_used(dtype):
    ellipse = (48, 48, 30, 20, 30)
    pixels, _ = draw([ellipse], noise=0.001, depth=0.01)
    # A few of 65536 levels, far from the ends; 8 bits would leave two or three of them.
    scaled = (pixels * np.iinfo(dtype).max).astype(dtype)
    scaled[0, 0], scaled[0, 1] = 0, np.iinfo(dtype).max
    found = axes_of(measure(scaled, ellipse_boxes(*ellipse)))
    assert found[:4] == pytest.approx(ellipse[:4], abs=0.5 if dtype == np.uint16 else 3)


# --- what is not there, and what is odd


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("names", ["loop", "ring", "void"])
@pytest.mark.parametrize("fill", ["texture", "flat"])
def test_a_box_without_contrast_gives_its_own_ellipse(engine, names, fill):
    pixels = np.full((60, 80), 0.5, np.float32)
    pixels[0, 0] = 0.6
    if fill == "texture":
        pixels += np.random.default_rng(0).normal(0, 0.1, pixels.shape).astype(np.float32)
    found = measure(pixels, [[30, 20, 50, 30]], names, engine=engine, min_contrast=4)
    assert axes_of(found) == (40, 25, 20, 10, 0)
    assert found.measurements["fit"][0] == 0
    assert found.measurements["area_px"][0] == pytest.approx(np.pi * 50)
    assert found.masks is not None
    assert found.masks[0].area_px == pytest.approx(np.pi * 50, rel=0.1)


def test_a_background_taken_for_the_defect_is_no_defect():
    # Measured as dark, nearly all around a bright loop looks like the defect.
    ellipse = (48, 48, 30, 16, 45)
    slope = np.linspace(0, 0.3, 96, dtype=np.float32)
    pixels, boxes = 1 - draw([ellipse])[0] + slope, ellipse_boxes(*ellipse)
    assert axes_of(measure(pixels, boxes, "void")) == pytest.approx(ellipse, abs=1)
    found = measure(pixels, boxes, "loop")
    assert np.isnan(found.measurements["contrast"][0])
    assert found.measurements["fit"][0] == 0
    side = boxes.ravel()[2] - boxes.ravel()[0]
    assert axes_of(found) == pytest.approx((48, 48, side, side, 0))


def test_a_box_as_large_as_the_frame_is_measured_without_a_background():
    pixels, _ = draw([(24, 24, 44, 40, 0)], size=48)  # the detector drew its box beyond the frame
    found = measure(pixels, [[-8, -8, 56, 56]], "loop")
    assert np.isnan(found.measurements["contrast"][0])
    assert found.measurements["fit"][0] == 1


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("names", ["loop", "ring"])
def test_odd_boxes_are_measured_or_fall_back(engine, names):
    pixels, _ = draw([(48, 48, 30, 20, 0)])
    boxes = np.array(
        [
            [-20, -20, 10, 10],
            [90, 90, 300, 300],
            [200, 200, 220, 210],
            [-500, -500, -490, -480],
            [40, 40, 41, 41],
            [0, 0, 96, 96],
            [-1000, -1000, 1000, 1000],
            [95.5, 0.2, 96, 95],
            [33, 38, 63, 58],
        ]
    )
    found = measure(pixels, boxes, names, engine=engine)
    assert len(found) == len(boxes)
    for name in AXES:
        assert np.isfinite(found.measurements[name]).all()
    assert (found.measurements["major_px"] >= found.measurements["minor_px"]).all()
    assert set(found.measurements["fit"]) <= {0, 1}
    assert found.measurements["fit"][-1] == 1
    assert (found.boxes == boxes.astype(np.float32)).all()


@settings(max_examples=40)
@given(
    st.lists(
        st.tuples(*[st.floats(-40, 140)] * 2, *[st.floats(0.1, 150)] * 2), min_size=0, max_size=6
    ),
    st.sampled_from(ENGINES),
    st.sampled_from(["loop", "ring", "void", "unheard of"]),
)
def test_any_boxes_give_finite_ellipses(corners, engine, names):
    pixels, _ = draw([(30, 40, 30, 20, 0), (60, 50, 40, 20, 70)], noise=0.1)
    boxes = np.array([[x, y, x + w, y + h] for x, y, w, h in corners]).reshape(-1, 4)
    found = measure(pixels, boxes, names, engine=engine)
    assert len(found) == len(boxes)
    assert all(np.isfinite(found.measurements[name]).all() for name in AXES)
    assert (found.measurements["minor_px"] > 0).all()
    for mask in found.masks or ():
        assert mask.clipped(pixels.shape).area_px == mask.area_px


def test_no_instances_have_the_columns_all_the_same():
    found = WatershedEllipse(None, RUNTIME).process(
        ds.Frame(draw([])[0]), ds.Instances.empty((96, 96))
    )
    assert len(found) == 0
    assert set(found.measurements) == set(WatershedEllipse.columns)
    assert found.units["major_px"] == "px"
    assert found.units["area_px"] == "px2"


def test_lines_pass_through_with_what_others_found_out():
    ellipse = (48, 48, 30, 20, 0)
    pixels, _ = draw([ellipse])
    drawn = Mask(5, 5, np.ones((3, 4), bool))
    given_ = ds.Instances(
        pixels.shape,
        np.concatenate([ellipse_boxes(*ellipse), [[5, 5, 9, 8]]]),
        defect_types=["loop", "line"],
        masks=(Mask(0, 0, np.ones((2, 2), bool)), drawn),
        lines=(np.zeros((0, 2)), np.array([[5.0, 5.0], [9.0, 8.0]])),
        measurements={"x": np.array([np.nan, 7.0]), "length_px": np.array([np.nan, 5.0])},
        units={"x": "px", "length_px": "px"},
    )
    found = WatershedEllipse(None, RUNTIME).process(ds.Frame(pixels), given_)
    assert found.measurements["x"] == pytest.approx([48, 7], abs=0.2)
    assert np.isnan([found.measurements[n][1] for n in ("major_px", "fit", "contrast")]).all()
    assert found.measurements["length_px"][1] == 5
    assert found.masks is not None
    assert found.masks[1] is drawn
    assert found.masks[0].area_px == pytest.approx(np.pi / 4 * 600, rel=0.05)
    assert found.lines is not None
    assert (found.lines[1] == [[5, 5], [9, 8]]).all()


@pytest.mark.parametrize("engine", ENGINES)
def test_nothing_given_is_changed_and_repeats_agree(engine):
    shapes = [(30, 40, 30, 20, 0), (55, 45, 30, 20, 70)]
    pixels, _ = draw(shapes)
    before = pixels.copy()
    pixels.setflags(write=False)
    boxes = np.concatenate([ellipse_boxes(*shape) for shape in shapes])
    instances = ds.Instances(pixels.shape, boxes, defect_types=["loop", "ring"])
    component = WatershedEllipse(WatershedEllipseOptions(engine=engine), RUNTIME)
    first = component.process(ds.Frame(pixels), instances)
    copy = pickle.loads(pickle.dumps(component))
    with copy as again:
        second = again.process(ds.Frame(pixels), instances)
    assert (pixels == before).all()
    assert not instances.measurements
    for name, column in first.measurements.items():
        assert (column == second.measurements[name]).all()


def test_contrast_is_in_standard_deviations_of_the_texture():
    ellipse = (48, 48, 34, 30, 0)
    pixels, _ = draw([ellipse], noise=0.02, blur_px=0.8)
    found = measure(pixels, ellipse_boxes(*ellipse), smooth_px=0)
    assert found.measurements["contrast"][0] == pytest.approx(0.3 / 0.02, rel=0.15)


def test_options_outside_their_limits_are_refused():
    with pytest.raises(OptionError, match="edge_level"):
        validate_options(WatershedEllipseOptions, {"edge_level": 1.5}, "watershed-ellipse")
    with pytest.raises(OptionError, match="engine"):
        validate_options(WatershedEllipseOptions, {"engine": "matlab"}, "watershed-ellipse")


@pytest.mark.parametrize("options", [{}, {"engine": "opencv"}, {"fit": "moments"}])
def test_boxes_far_apart_do_not_know_of_each_other(options):
    """They are worked on together, in stacks; each gives what it gives alone, to the last bit."""
    shapes = [(24.0 + 48 * (k % 4), 24.0 + 48 * (k // 4), 8.0 + 2 * k, 7.0 + 1.4 * k, 20.0 * k)
              for k in range(16)]  # fmt: skip
    pixels, _ = draw(shapes, size=192, noise=0.05)
    boxes = np.concatenate([ellipse_boxes(*shape) for shape in shapes])
    kinds = [("loop", "ring")[k % 2] for k in range(16)]
    together = measure(pixels, boxes, kinds, **options)
    assert together.masks is not None
    order = np.random.default_rng(0).permutation(16)
    mixed = measure(pixels, boxes[order], [kinds[k] for k in order], **options)
    for k in range(16):
        alone = measure(pixels, boxes[k : k + 1], kinds[k], **options)
        again = int(np.flatnonzero(order == k)[0])
        for name, column in together.measurements.items():
            assert column[k] == alone.measurements[name][0] == mixed.measurements[name][again]
        assert alone.masks is not None
        np.testing.assert_array_equal(together.masks[k].bitmap, alone.masks[0].bitmap)


def test_boxes_larger_than_a_stack():
    pixels, _ = draw([(160, 160, 200, 150, 30)], size=320)
    boxes = np.concatenate([ellipse_boxes(160, 160, 200, 150, 30), [[0, 0, 320, 320]]])
    found = measure(pixels, boxes)
    assert axes_of(found)[2:4] == pytest.approx((200, 150), rel=0.02)
