from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.interpolate import CubicSpline
from scipy.ndimage import map_coordinates

from defectscope import OptionError
from defectscope.core.options import validate_options
from defectscope.generators.dislocations import Dislocations, DislocationsOptions
from defectscope.generators.line_contrast import local_texture
from defectscope.generators.microstructure import M1, PRESETS
from defectscope.generators.texture import Texture
from defectscope.pipeline.choices import make_choices
from defectscope.pipeline.generation import generate_dataset
from defectscope.pipeline.samples import SamplePlan
from defectscope.plugins.testing import GeneratorConformance

SHAPE = (256, 256)
LEVEL = 0.5


class TestConformance(GeneratorConformance):
    component = Dislocations


class TestConformanceOfM1(GeneratorConformance):
    component = Dislocations
    options: ClassVar = {"preset": "m1"}


def generator(**options):
    return Dislocations(validate_options(DislocationsOptions, options, "dislocations"))


def textured(shape=SHAPE, seed=0):
    return Texture().render(shape, np.random.default_rng(seed))[0]


def drawn(shape=SHAPE, seed=0, canvas=None, **options):
    """Return the canvas before and after, the truth, and the parameters."""
    before = textured(shape, seed) if canvas is None else canvas
    after, made = before.copy(), generator(**options)
    truth = made.draw(after, np.random.default_rng(seed))
    return before, after, truth, made.last_parameters


# Even lines on an even canvas, one in each pile-up, so that every pixel's grey is known.
PLAIN = {
    "contrast_unit": "grey", "contrast_low": 0.3, "contrast_high": 0.3, "contrast": "dark",
    "variation": 0, "waviness_px": 0, "roughness": 0, "traces": 0, "count": 1, "near_pairs": 0,
    "crossings": 0, "visible_from": 0,
}  # fmt: skip


def flat(shape=SHAPE):
    return np.full(shape, LEVEL, np.float32)


def across(change, line, k, reach=12.0, step=0.1):
    """Return offsets and grey along the normal of a line at its point k."""
    tangent = line[k + 1] - line[k - 1]
    tangent = tangent / np.hypot(*tangent)
    offsets = np.arange(-reach, reach + step / 2, step)
    x = line[k, 0] - offsets * tangent[1] - 0.5
    y = line[k, 1] + offsets * tangent[0] - 0.5
    return offsets, map_coordinates(change, [y, x], order=3, mode="nearest")


def inner_points(line, shape, margin=14):
    k = np.arange(15, len(line) - 15, 5)
    inside = ((line[k] > margin) & (line[k] < np.array(shape[::-1]) - margin)).all(axis=1)
    return k[inside]


@pytest.mark.parametrize("seed", range(8))
def test_the_painted_line_lies_on_the_spline_and_on_its_truth(seed):
    before, after, truth, parameters = drawn(seed=seed, canvas=flat(), **PLAIN)
    change = before - after
    support = np.array(parameters["pileups"][0]["support_points"][0])
    spline = CubicSpline(np.linspace(0, 1, len(support)), support, bc_type="natural")
    dense = spline(np.linspace(0, 1, 20_001))
    checked = 0
    for line in truth.lines:
        gaps = np.hypot(*(line[:, None, :] - dense[None, ::4]).transpose(2, 0, 1)).min(axis=1)
        # The polyline is the spline; the dense points are up to 0.1 px apart.
        assert gaps.max() < 0.1
        for k in inner_points(line, SHAPE):
            offsets, grey = across(change, line, k)
            assert (offsets * grey).sum() / grey.sum() == pytest.approx(0, abs=0.1)
            checked += 1
    assert checked > 3 or len(line) < 60


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("width", [2.5, 4.0, 7.0])
def test_the_width_is_the_full_width_at_half_maximum(seed, width):
    options = {**PLAIN, "width_low_px": width, "width_high_px": width}
    before, after, truth, _ = drawn(seed=seed, canvas=flat(), **options)
    np.testing.assert_allclose(truth.measurements["width_px"], width)
    for line in truth.lines:
        for k in inner_points(line, SHAPE)[::3]:
            offsets, grey = across(before - after, line, k)
            assert grey.max() == pytest.approx(0.3, abs=0.015)
            above = offsets[grey >= 0.15]
            assert np.ptp(above) == pytest.approx(width, abs=0.25)


@pytest.mark.parametrize("waviness", [0.0, 0.5])
def test_masks_are_the_pixels_within_half_the_width(waviness):
    options = {**PLAIN, "width_low_px": 5, "width_high_px": 5, "count": 8}
    _, _, truth, _ = drawn(seed=3, canvas=flat(), **{**options, "waviness_px": waviness})
    rows, columns = np.mgrid[: SHAPE[0], : SHAPE[1]] + 0.5
    assert len(truth) == 8
    for line, mask in zip(truth.lines, truth.masks, strict=True):
        distance = np.full(SHAPE, np.inf)
        for start, end in itertools.pairwise(line):
            step = end - start
            share = ((columns - start[0]) * step[0] + (rows - start[1]) * step[1]) / (step @ step)
            share = np.clip(share, 0, 1)
            dx = columns - start[0] - share * step[0]
            dy = rows - start[1] - share * step[1]
            np.minimum(distance, np.hypot(dx, dy), out=distance)
        painted = mask.to_dense(SHAPE)
        slack = 0.15 + 0.3 * waviness
        # The rim cuts the truth, so that a line just outside may still reach in.
        near_rim = np.minimum.reduce([rows, columns, SHAPE[0] - rows, SHAPE[1] - columns]) < 4
        assert not (painted & (distance > 2.5 + slack) & ~near_rim).any()
        assert not (~painted & (distance < 2.5 - slack)).any()
        # Length times width, and the round ends.
        length = np.hypot(*np.diff(line, axis=0).T).sum()
        assert mask.area_px == pytest.approx(length * 5 + np.pi * 2.5**2, rel=0.12)


@pytest.mark.parametrize("preset", ["m1", "m2"])
@pytest.mark.parametrize("seed", range(4))
def test_truth_stays_inside_is_dense_and_visible(preset, seed):
    _, _, truth, _ = drawn((200, 300), seed, preset=preset)
    assert 0 < len(truth) <= 20
    lengths = truth.measurements["length_px"]
    for line, mask, box, length in zip(truth.lines, truth.masks, truth.boxes, lengths, strict=True):
        assert line.min() >= 0
        assert (line <= [300, 200]).all()
        steps = np.hypot(*np.diff(line, axis=0).T)
        assert steps.max() < 1.5
        # Vertices are rounded to 0.0001 px.
        assert steps.sum() == pytest.approx(length, rel=1e-5)
        assert length >= 8
        assert mask.area_px > 0
        np.testing.assert_array_equal(mask.box, box)
        assert mask.clipped((200, 300)).area_px == mask.area_px
    assert (truth.measurements["contrast"] >= 1.2).all()
    assert dict(truth.units) == {"length_px": "px", "width_px": "px", "contrast": ""}


def test_the_contrast_measured_is_in_multiples_of_the_texture():
    options = {**PLAIN, "contrast_unit": "texture", "contrast_low": 3, "contrast_high": 3}
    before, after, truth, _ = drawn(seed=1, **{**options, "count": 5})
    texture = local_texture(before)
    for line, contrast in zip(truth.lines, truth.measurements["contrast"], strict=True):
        columns, rows = np.floor(np.clip(line, 0, 255.9)).astype(int).T
        assert contrast == pytest.approx(3, rel=0.1)
        drop = np.median((before - after)[rows, columns] / texture[rows, columns])
        assert drop == pytest.approx(3, rel=0.25)


def test_faint_lines_are_painted_and_not_labelled():
    before, after, truth, parameters = drawn(
        contrast_low=0.5, contrast_high=0.6, visible_from=2.0, traces=0, count=4
    )
    assert len(truth) == 0
    assert truth.masks == ()
    assert 2 <= sum(len(p["lines"]) for p in parameters["pileups"]) <= 4
    assert np.count_nonzero(before != after) > 300


def test_painted_lines_hide_the_texture_and_need_less_contrast_to_be_labelled():
    options = {"contrast": "dark", "contrast_low": 1.3, "contrast_high": 1.3, "traces": 0.0,
               "width_low_px": 5.0, "visible_from": 1.2, "count": 8, "painted": 1.0}  # fmt: skip
    _, _, truth, recorded = drawn(**options)
    styles = [line for pileup in recorded["pileups"] for line in pileup["lines"]]
    assert all(0.6 <= style["opacity"] <= 1 for style in styles)
    # What P1 draws differs from its surroundings by the lack of texture even without contrast.
    shown = [np.hypot(s["strength"], s["opacity"]) >= 1.2 for s in styles]
    assert sum(s["strength"] < 1.2 for s in styles)
    assert abs(len(truth) - sum(shown)) <= 1


def test_a_line_that_cannot_be_seen_on_black_is_not_labelled():
    black = np.zeros(SHAPE, np.float32)
    _, after, truth, _ = drawn(canvas=black, contrast="dark", count=5)
    assert not after.any()
    assert len(truth) == 0
    _, _, truth, _ = drawn(canvas=black, contrast="bright", count=5, traces=0)
    assert len(truth) == 5


def test_slip_traces_are_drawn_and_not_labelled():
    options = {"count": 3, "roughness": 0, "contrast": "dark"}
    _, without, truth, _ = drawn(traces=0, **options)
    _, having, same, parameters = drawn(traces=1, **options)
    assert len(truth) == len(same) == 3
    traces = [np.array(p["traces"]) for p in parameters["pileups"]]
    assert all(all(trace for trace in p["drawn_traces"]) for p in parameters["pileups"])
    # Support points are drawn before, so that both pictures have the same lines.
    changed = np.argwhere(np.abs(having - without) > 0.004)[:, ::-1] + 0.5
    near = np.full(len(changed), np.inf)
    for start, end in np.concatenate(traces):
        step = (end - start) / np.hypot(*(end - start))
        near = np.minimum(near, np.abs((changed - start) @ [-step[1], step[0]]))
    assert (near < 4).mean() > 0.4


def signed_profile(contrast, seed=5):
    before, after, truth, _ = drawn(
        seed=seed, canvas=flat(), **{**PLAIN, "contrast": contrast, "width_low_px": 4,
                                     "width_high_px": 4}
    )  # fmt: skip
    line = max(truth.lines, key=len)
    points = inner_points(line, SHAPE)
    assert len(points) > 4
    return np.array([across(after - before, line, k)[1] for k in points])


def test_contrasts_differ_as_their_names_say():
    dark, bright, double, fringes = map(signed_profile, ("dark", "bright", "double", "oscillating"))
    middle = dark.shape[1] // 2
    np.testing.assert_allclose(dark[:, middle], -0.3, atol=0.02)
    np.testing.assert_allclose(bright[:, middle], 0.3, atol=0.02)
    # Black on one side and white on the other, nothing on the line itself.
    np.testing.assert_allclose(double[:, middle], 0, atol=0.06)
    assert (double.max(axis=1) > 0.2).all()
    assert (double.min(axis=1) < -0.2).all()
    sides = np.sign(double[:, :middle].sum(axis=1))
    assert abs(sides.sum()) == len(sides)
    assert np.ptp(fringes[:, middle]) > 0.1
    assert np.ptp(dark[:, middle]) < 0.03


def test_lines_vary_along_themselves_as_told():
    options = {**PLAIN, "width_low_px": 4, "width_high_px": 4}
    even = drawn(seed=5, canvas=flat(), **options)
    uneven = drawn(seed=5, canvas=flat(), **{**options, "variation": 0.3, "roughness": 0.3})

    def spread(result):
        before, after, truth, _ = result
        line = max(truth.lines, key=len)
        columns, rows = np.floor(np.clip(line[10:-10], 0, 255.9)).astype(int).T
        return float((before - after)[rows, columns].std())

    assert spread(uneven) > 2 * spread(even)


def test_every_parameter_is_recorded_and_fits_json():
    _, _, truth, parameters = drawn(count=12)
    again = json.loads(json.dumps(parameters))
    assert again["microstructure"]["title"] == "m2"
    assert len(truth) == 12 >= sum(len(p["lines"]) for p in again["pileups"]) > 6
    for pileup in again["pileups"]:
        lines = len(pileup["lines"])
        assert len(pileup["support_points"]) == len(pileup["offsets_px"]) == lines
        assert len(pileup["neighbours"]) == lines


@pytest.mark.parametrize("count", [0, 1, 14, 40])
def test_as_many_lines_as_asked_for(count):
    before, after, truth, _ = drawn((512, 512), count=count)
    assert len(truth) == count
    assert np.array_equal(before, after) == (count == 0)


def test_ten_thousand_lines():
    truth = drawn(
        (128, 128), canvas=np.full((128, 128), 0.9, np.float32), count=10_000, traces=0,
        contrast_unit="grey", contrast_low=1e-3, contrast_high=1e-3, visible_from=0,
        scale_to_frame=True, width_low_px=1, width_high_px=1, preset="m1",
    )[2]  # fmt: skip
    assert 9_900 < len(truth) <= 10_000


def test_no_more_than_asked_for_at_most():
    for seed in range(10):
        assert len(drawn(seed=seed, most=3)[2]) <= 3
    assert len(drawn(most=0)[2]) == 0


@pytest.mark.parametrize("shape", [(16, 16), (16, 200), (1500, 700)])
def test_small_and_large_frames(shape):
    _, after, truth, _ = drawn(shape, count=6)
    assert after.shape == shape
    assert 0 < len(truth) <= 6
    assert all(line.min() >= 0 and (line <= shape[::-1]).all() for line in truth.lines)


def test_a_frame_without_room_is_refused():
    with pytest.raises(OptionError, match="room for only 0 of count = 3 lines"):
        drawn(shortest_px=255, count=3, preset="m1", shape=(512, 512))


def test_a_line_that_leaves_and_comes_back_is_two_instances():
    found = []
    for seed in range(150):
        canvas = flat((48, 300))
        truth = generator(**{**PLAIN, "count": 3}).draw(canvas, np.random.default_rng(seed))
        found.append(truth)
        assert len(truth) <= 3
    parts = [t for t in found if len(t) > 1]
    assert parts
    ends_on_rim = [
        ((line[[0, -1]] < 1e-9) | (np.abs(line[[0, -1]] - [300, 48]) < 1e-9)).any()
        for truth in found
        for line in truth.lines
    ]
    assert sum(ends_on_rim) > 20


def test_a_canvas_that_is_not_contiguous_is_drawn_on_in_place():
    wide = np.asfortranarray(textured())
    before = wide.copy()
    truth = generator(count=4).draw(wide, np.random.default_rng(0))
    assert len(truth) == 4
    assert not np.array_equal(wide, before)


def test_lines_near_and_crossing():
    _, _, _, parameters = drawn(count=60, near_pairs=0.4, crossings=0.4, traces=0, shape=(400, 400))
    kinds = [kind for p in parameters["pileups"] for kind in p["neighbours"]]
    assert {"apart", "near", "crossing"} == set(kinds)
    _, _, _, parameters = drawn(count=60, near_pairs=0, crossings=0, traces=0, shape=(400, 400))
    assert {k for p in parameters["pileups"] for k in p["neighbours"]} == {"apart"}


def test_the_seed_decides():
    first, again, other = (drawn(seed=s, canvas=flat())[1] for s in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_a_saved_microstructure_is_used(tmp_path):
    path = tmp_path / "own.json"
    M1.model_copy(update={"title": "own"}).save(path)
    _, _, truth, parameters = drawn(microstructure=str(path), seed=2)
    assert parameters["microstructure"]["title"] == "own"
    _, _, same, _ = drawn(preset="m1", seed=2)
    np.testing.assert_array_equal(truth.boxes, same.boxes)


def test_support_points_come_from_labelled_lines(tmp_path):
    # A line with a corner, which no random curvature draws.
    corner = [[0, 0], [40, 30], [0, 60]]
    shapes = [
        {"label": "d", "shape_type": "linestrip", "points": [[x + dx, y] for x, y in corner]}
        for dx in (10, 40)
    ]
    document = {"shapes": shapes, "imagePath": "a.png", "imageWidth": 100, "imageHeight": 80}
    (tmp_path / "a.json").write_text(json.dumps(document))
    options = {**PLAIN, "jitter": 0, "support_points": 9, "shapes_from": str(tmp_path)}
    _, _, _, parameters = drawn(canvas=flat(), **options)
    pileup = parameters["pileups"][0]
    support = np.array(pileup["support_points"][0])
    chord = support[-1] - support[0]
    off = np.abs((support - support[0]) @ [-chord[1], chord[0]]) / (chord @ chord)
    assert off.max() == pytest.approx(40 / 60, abs=0.2)


@settings(max_examples=30)
@given(
    shape=st.tuples(st.integers(16, 60), st.integers(16, 60)),
    seed=st.integers(0, 999),
    options=st.fixed_dictionaries(
        {},
        optional={
            "preset": st.sampled_from(sorted(PRESETS)),
            "contrast": st.sampled_from(["dark", "bright", "double", "oscillating"]),
            "most": st.integers(0, 6),
            "support_points": st.integers(3, 12),
            "jitter": st.floats(0, 0.3),
            "variation": st.floats(0, 1),
            "waviness_px": st.floats(0, 3),
            "roughness": st.floats(0, 1),
            "scale_to_frame": st.booleans(),
            "shortest_px": st.floats(0.1, 20),
            "width_high_px": st.floats(5, 30),
        },
    ),
)
def test_any_options_on_small_frames_give_a_valid_truth(shape, seed, options):
    _, after, truth, _ = drawn(shape, seed, **options)
    assert after.dtype == np.float32
    assert 0 <= after.min() <= after.max() <= 1
    for line, mask in zip(truth.lines, truth.masks, strict=True):
        assert len(line) > 1
        assert line.min() >= 0
        assert (line <= shape[::-1]).all()
        assert mask.area_px > 0


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"contrast_low": 9}, "contrast_low must not exceed contrast_high"),
        ({"width_low_px": 30}, "width_low_px must not exceed width_high_px"),
        ({"trace_low": 5}, "trace_low must not exceed trace_high"),
        ({"near_pairs": 0.7, "crossings": 0.7}, "together must not exceed 1"),
        ({"contrast_unit": "grey"}, "contrasts of 0 to 1, found contrast_high = 6; give"),
        ({"count": -1}, "greater than or equal to 0"),
        ({"preset": "m3"}, "'m1' or 'm2'"),
        ({"support_points": 2}, "greater than or equal to 3"),
    ],
)
def test_impossible_options_are_refused(values, message):
    with pytest.raises(OptionError, match=message):
        validate_options(DislocationsOptions, values, "dislocations")


def test_option_files_that_are_not_there_are_named(tmp_path):
    for option in ("microstructure", "shapes_from"):
        made = generator(**{option: str(tmp_path / "absent.json")})
        with pytest.raises(Exception, match=r"absent\.json"):
            made.draw(flat(), np.random.default_rng(0))
    assert not list(Path(tmp_path).iterdir())


def test_loops_under_lines_count_as_neither_hit_nor_miss(tmp_path):
    options = {"dislocations": {"count": 80}}
    background, loops, lines = make_choices(["texture", "loops", "dislocations"], options)
    plan = SamplePlan(background, (loops, lines), (192, 192), 3)
    data = generate_dataset(plan, 3, tmp_path / "data")
    hidden = 0
    for truth in (image.instances for image in data.images):
        types, masks = truth.defect_types, truth.masks
        under = np.zeros((192, 192), bool)
        for k in np.flatnonzero(types == "dislocation"):
            under |= masks[k].to_dense((192, 192))
        for k in np.flatnonzero(types != "dislocation"):
            share = under[masks[k].to_dense((192, 192))].mean()
            assert truth.ignore[k] or share <= 0.5
            hidden += share > 0.5
    assert hidden > 3
