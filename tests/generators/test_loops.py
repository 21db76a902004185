"""The generator of loops: exact truth, visible labels, distractors without labels."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from defectscope.core.errors import InputError, OptionError
from defectscope.core.geometry.ellipses import ellipse_area, ellipse_boxes
from defectscope.core.instances import Instances
from defectscope.core.options import validate_options
from defectscope.generators.burnt_in import FONTS
from defectscope.generators.loop_sizes import LOOP_TYPES, LoopSizes, TypeSizes
from defectscope.generators.loops import Loops, LoopsOptions
from defectscope.generators.texture import Texture
from defectscope.plugins.testing import GeneratorConformance

ALL_TYPES = dict.fromkeys(LOOP_TYPES, 1.0)
# Loops alone, each of which must be labelled.
BARE = {
    "lines_probability": 0.0, "bend_contour_probability": 0.0, "scale_bar_probability": 0.0,
    "text_probability": 0.0, "pointer_probability": 0.0, "faint": 0.0, "cut_by_rim": 0.0,
}  # fmt: skip


class TestLoops(GeneratorConformance):
    component = Loops


class TestInSituLook(GeneratorConformance):
    component = Loops
    options: ClassVar = {
        "sizes": "in-situ",
        "mixture": ALL_TYPES,
        "count": 6,
        "label_inset_px": 1.0,
    }


def generator(**options: object) -> Loops:
    return Loops(validate_options(LoopsOptions, options, "loops"))


def drawn(
    shape: tuple[int, int] = (300, 400), seed: int = 0, **options: object
) -> tuple[np.ndarray, Instances, dict]:
    canvas = textured(shape)
    one = generator(**options)
    with one:
        truth = one.draw(canvas, np.random.default_rng(seed))
    return canvas, truth, one.last_parameters


def textured(shape: tuple[int, int]) -> np.ndarray:
    return Texture().render(shape, np.random.default_rng(99))[0]


def columns(truth: Instances) -> list[np.ndarray]:
    return [truth.measurements[c] for c in ("x", "y", "major_px", "minor_px", "angle_deg")]


def test_boxes_masks_and_ellipses_are_one_truth() -> None:
    _, truth, _ = drawn((700, 900), count=60, mixture=ALL_TYPES, touching=0.4, **BARE)
    assert 50 <= len(truth) <= 60
    assert set(truth.defect_types) == set(LOOP_TYPES)
    assert truth.units == {
        "x": "px", "y": "px", "major_px": "px", "minor_px": "px", "angle_deg": "deg",
        "contrast": "",
    }  # fmt: skip
    tight = np.clip(ellipse_boxes(*columns(truth)), 0, [900, 700, 900, 700])
    np.testing.assert_allclose(truth.boxes, tight, atol=1e-3)
    areas = ellipse_area(*columns(truth)[2:4])
    whole = (truth.boxes > 2).all(axis=1) & (truth.boxes[:, 2:] < [898, 698]).all(axis=1)
    assert whole.sum() > 30
    for mask, area in zip(np.array(truth.masks, object)[whole], areas[whole], strict=True):
        assert mask.area_px == pytest.approx(area, rel=0.02, abs=0.6)


@pytest.mark.parametrize("sizes", ["stem", "in-situ"])
def test_every_labelled_loop_is_visible_and_no_faint_one_is_labelled(sizes: str) -> None:
    _, truth, parameters = drawn((700, 900), sizes=sizes, count=80, faint=0.5,
                                      texture_window_px=64, visible_from=2.0)  # fmt: skip
    fates = [loop["label"] for loop in parameters["loops"]]
    assert fates.count("labelled") == len(truth) > 60
    assert fates.count("faint") > 20
    assert (truth.measurements["contrast"] >= 2.0).all()
    faint = [loop for loop in parameters["loops"] if loop["label"] == "faint"]
    assert all(min(loop["shown_contrast"], loop["contrast"]) < 2.0 for loop in faint)
    # Painted all the same: they darken the canvas where they lie.
    assert all(loop["shown_contrast"] > 0 for loop in faint)


def test_doubtful_loops_are_in_the_truth_as_neither_hit_nor_miss() -> None:
    look = {"sizes": "in-situ", "count": 80, "faint": 0.8, "visible_from": 2.5}
    pixels, plain, _ = drawn((700, 900), **look)
    same, truth, parameters = drawn((700, 900), doubtful_from=1.2, **look)
    np.testing.assert_array_equal(pixels, same)
    fates = [loop["label"] for loop in parameters["loops"]]
    assert fates.count("doubtful") == np.count_nonzero(truth.ignore) > 20
    np.testing.assert_array_equal(truth[~truth.ignore].boxes, plain.boxes)
    contrast = truth.measurements["contrast"]
    assert (contrast[truth.ignore] >= 1.2).all()
    assert (contrast[~truth.ignore] >= 2.5).all()
    faint = [loop for loop in parameters["loops"] if loop["label"] == "faint"]
    assert all(min(loop["shown_contrast"], loop["contrast"]) < 1.2 for loop in faint)


def test_contrast_is_in_multiples_of_the_local_texture() -> None:
    rng = np.random.default_rng(5)
    canvas = np.full((400, 800), 0.6, np.float32)
    canvas[:, :400] += rng.normal(0, 0.01, (400, 400)).astype(np.float32)
    canvas[:, 400:] += rng.normal(0, 0.04, (400, 400)).astype(np.float32)
    before = canvas.copy()
    one = generator(
        count=40, mixture={"dislocation-loop": 1}, contrast_low=4, contrast_high=4,
        one_sided=0, tails=0, **BARE,
    )  # fmt: skip
    truth = one.draw(canvas, rng)
    x = truth.measurements["x"]
    depths = np.array(
        [(before - canvas)[m.y + m.bitmap.shape[0] // 2, m.x + m.bitmap.shape[1] // 2]
         for m in truth.masks]
    )  # fmt: skip
    # Away from the border between both halves, where the window sees both.
    smooth, rough = x < 340, x > 460
    assert smooth.sum() > 5
    assert rough.sum() > 5
    # Bands across a loop lighten its middle by up to a third.
    assert 0.02 < np.median(depths[smooth]) < 0.044
    assert 0.09 < np.median(depths[rough]) < 0.18


def test_boxes_alone_move_with_the_inset() -> None:
    _, plain, _ = drawn(count=30, **BARE)
    _, inset, _ = drawn(count=30, label_inset_px=1.0, **BARE)
    assert len(plain) == len(inset) > 20
    for a, b in zip(columns(plain), columns(inset), strict=True):
        np.testing.assert_array_equal(a, b)
    assert all((a.bitmap == b.bitmap).all() for a, b in zip(plain.masks, inset.masks, strict=True))
    whole = (plain.boxes > 1).all(axis=1) & (plain.boxes[:, 2:] < [399, 299]).all(axis=1)
    sides = plain.boxes[:, 2:] - plain.boxes[:, :2]
    expected = np.minimum(1.0, sides / 4)
    np.testing.assert_allclose((inset.boxes - plain.boxes)[whole, :2], expected[whole], atol=1e-3)
    np.testing.assert_allclose((inset.boxes - plain.boxes)[whole, 2:], -expected[whole], atol=1e-3)


def test_loops_cut_by_the_rim_have_clipped_boxes_and_those_beyond_none() -> None:
    _, truth, parameters = drawn((200, 300), count=60, size=1.2, cut_by_rim=1.0, seed=3,
                                 lines_probability=0)  # fmt: skip
    x, y = columns(truth)[:2]
    assert ((x >= 0) & (x < 300) & (y >= 0) & (y < 200)).all()
    assert truth.boxes.min() >= 0
    assert (truth.boxes <= [300, 200, 300, 200]).all()
    assert (np.isclose(truth.boxes, 0) | np.isclose(truth.boxes, [300, 200, 300, 200])).any()
    beyond = [loop for loop in parameters["loops"] if loop["label"] == "outside"]
    assert beyond
    assert all(not (0 <= b["x"] < 300 and 0 <= b["y"] < 200) for b in beyond)


def test_touching_pairs_touch_and_the_others_keep_apart() -> None:
    def nearest_gap(touching: float) -> np.ndarray:
        _, truth, _ = drawn((900, 900), count=60, touching=touching, major_low_px=20,
                            major_high_px=20, aspect_low=1, aspect_high=1, **BARE)  # fmt: skip
        centres = np.stack(columns(truth)[:2], axis=1)
        distances = np.linalg.norm(centres[:, None] - centres, axis=2) + 1e9 * np.eye(len(centres))
        return distances.min(axis=1) - 20

    apart, paired = nearest_gap(0.0), nearest_gap(0.8)
    # Places are told apart on a grid of 3 px.
    assert apart.min() > -4
    assert paired.min() > -4
    assert (np.abs(paired) < 3).mean() > 0.5 > 0.2 > (np.abs(apart) < 3).mean()


def test_mixture_directions_and_uniform_sizes_are_as_asked() -> None:
    _, truth, _ = drawn(
        (1500, 1500), count=300, mixture={"black dot": 3, "a<100> loop": 1}, major_low_px=10,
        major_high_px=30, aspect_low=0.4, aspect_high=0.6, direction_deg=60,
        direction_spread_deg=5, **BARE,
    )  # fmt: skip
    _, _, major, minor, angle = columns(truth)
    assert set(truth.defect_types) == {"black dot", "a<100> loop"}
    assert (truth.defect_types == "black dot").mean() == pytest.approx(0.75, abs=0.08)
    assert ((major >= 10) & (major <= 30)).all()
    assert major.mean() == pytest.approx(20, abs=1.5)
    assert (minor / major).mean() == pytest.approx(0.5, abs=0.02)
    assert angle.mean() == pytest.approx(60, abs=1)
    assert angle.std() == pytest.approx(5, abs=1)


def test_a_count_is_that_of_loops_to_be_seen() -> None:
    _, truth, parameters = drawn((1200, 1200), count=80, visible_from=5.0, **BARE)
    assert all(loop["contrast"] >= 5 for loop in parameters["loops"])
    assert len(truth) >= 70
    # From densities, as many are drawn as there are, to be seen or not.
    _, _, parameters = drawn((1200, 1200), density=2, visible_from=5.0, **BARE)
    assert any(loop["contrast"] < 5 for loop in parameters["loops"])


def test_densities_and_sizes_follow_a_file(tmp_path: Path) -> None:
    sizes = LoopSizes(types={
        "black dot": TypeSizes(major_px=(8, 12), aspect=(1,), per_megapixel=(200, 200)),
    })  # fmt: skip
    sizes.save(tmp_path / "dots.toml")
    counts, majors = [], []
    for seed in range(5):
        _, truth, parameters = drawn((500, 1000), seed, sizes=str(tmp_path / "dots.toml"), **BARE)
        assert set(truth.defect_types) == {"black dot"}
        counts.append(len(truth))
        majors.append(truth.measurements["major_px"])
    assert np.mean(counts) == pytest.approx(100, rel=0.1)
    assert np.quantile(np.concatenate(majors), [0, 0.5, 1]) == pytest.approx([8, 10, 12], abs=0.3)
    assert parameters["sizes"] == sizes.model_dump(mode="json")


def test_the_seed_decides_and_everything_drawn_is_recorded() -> None:
    everything = {
        f"{name}_probability": 1.0
        for name in ("lines", "bend_contour", "scale_bar", "text", "pointer")
    }
    results = [drawn(seed=seed, count=20, **everything) for seed in (1, 1, 2)]
    digests = [hashlib.sha256(pixels.tobytes()).hexdigest() for pixels, _, _ in results]
    assert digests[0] == digests[1] != digests[2]
    np.testing.assert_array_equal(results[0][1].boxes, results[1][1].boxes)
    recorded = [json.dumps(parameters, allow_nan=False) for *_, parameters in results]
    assert recorded[0] == recorded[1] != recorded[2]
    parameters = json.loads(recorded[0])
    assert len(parameters["bend_contours"]) == 1
    assert 1 <= len(parameters["lines"]) <= 10
    assert {parameters["text"]["font"], parameters["scale_bar"]["font"]} <= set(FONTS)
    assert set(parameters["pointer"]) == {"x", "y", "scale", "bright"}
    assert {"x", "y", "contrast", "edge_px", "harmonics", "label"} <= set(parameters["loops"][0])


def test_what_a_caption_hides_is_not_labelled() -> None:
    hidden = 0
    for seed in range(8):
        _, truth, parameters = drawn((150, 150), seed, count=60, sizes="in-situ", size=0.5,
                                     scale_bar_probability=1.0, text_probability=1.0)  # fmt: skip
        fates = [loop["label"] for loop in parameters["loops"]]
        assert fates.count("labelled") == len(truth)
        hidden += fates.count("covered")
    assert hidden > 0


@pytest.mark.parametrize("shape", [(16, 16), (1, 1), (5, 300), (4096, 4096)])
def test_any_canvas_works(shape: tuple[int, int]) -> None:
    canvas = np.full(shape, 0.6, np.float32)
    everything = {
        f"{name}_probability": 1.0
        for name in ("lines", "bend_contour", "scale_bar", "text", "pointer")
    }
    truth = generator(count=20, **everything).draw(canvas, np.random.default_rng(0))
    assert truth.image_shape == shape
    assert canvas.dtype == np.float32
    assert canvas.min() >= 0
    assert canvas.max() <= 1
    assert len(truth) <= 20


def test_loops_larger_than_the_canvas_work() -> None:
    _, truth, parameters = drawn((60, 50), count=5, size=1000, sizes="in-situ", **BARE)
    # The first leaves no room for another.
    assert parameters["no_room_for"] == 4
    np.testing.assert_allclose(truth.boxes, [[0, 0, 50, 60]])


def test_no_loops() -> None:
    canvas, truth, parameters = drawn(count=0, **BARE)
    np.testing.assert_array_equal(canvas, textured((300, 400)))
    assert len(truth) == 0
    assert parameters["loops"] == []
    assert parameters["no_room_for"] == 0


def test_where_there_is_no_room_loops_are_left_out_and_counted() -> None:
    _, truth, parameters = drawn((200, 200), count=10_000, **BARE)
    assert 20 < len(truth) < 300
    assert parameters["no_room_for"] + len(parameters["loops"]) == 10_000
    assert parameters["left_out"] == parameters["no_room_for"]


def test_only_loops_that_were_asked_for_are_missed() -> None:
    crowd = {**BARE, "faint": 1.0, "cut_by_rim": 1.0}
    _, _, parameters = drawn((200, 200), count=200, **crowd)
    assert 0 < parameters["left_out"] < parameters["no_room_for"]
    inside = [loop for loop in parameters["loops"] if loop["contrast"] >= 2
              and 0 < loop["x"] < 200 and 0 < loop["y"] < 200]  # fmt: skip
    assert len(inside) + parameters["left_out"] == 200
    _, _, parameters = drawn((200, 200), density=100, **crowd)
    assert parameters["no_room_for"] > parameters["left_out"] == 0


def test_a_black_canvas_has_no_visible_loops() -> None:
    canvas = np.zeros((100, 100), np.float32)
    assert len(generator(count=20, **BARE).draw(canvas, np.random.default_rng(0))) == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mixture": {"void": 1}}, "loops draws a/2<111> loop, .*, not void"),
        ({"mixture": {"black dot": 0}}, "one of the numbers must be above 0"),
        ({"contrast_low": 9.5}, "contrast_low must not exceed contrast_high"),
        ({"major_low_px": 9}, "major_low_px and major_high_px must be given together"),
        ({"lines_low": 20, "lines_high": 3}, "lines_low must not exceed lines_high"),
        ({"visible_from": 9.5}, "contrast_high must not be below visible_from"),
        ({"doubtful_from": 2.1}, "doubtful_from must not exceed visible_from"),
        ({"count": -1}, "greater than or equal to 0"),
        ({"mixture": {"black dot": np.inf}}, "less than or equal to 1000000000"),
        ({"major_low_px": 9, "major_high_px": np.inf}, "less than or equal to 100000"),
        ({"direction_deg": np.nan}, "direction_deg = nan .* finite"),
        ({"direction_deg": -np.inf}, "direction_deg = -inf .* finite"),
        ({"count": 9, "density": 2}, "density changes nothing beside count"),
        ({"crystal": 1, "direction_deg": 30}, "direction_deg changes nothing beside crystal=1"),
        ({"direction_spread_deg": 5}, "direction_spread_deg changes nothing without direction_deg"),
    ],
)
def test_impossible_options_are_refused(options: dict, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        generator(**options)


def test_a_file_of_sizes_is_checked_when_the_work_begins(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot read loop sizes from"):
        generator(sizes=str(tmp_path / "none.toml")).open()
    line = TypeSizes(major_px=(8,), aspect=(1,), per_megapixel=(1,))
    LoopSizes(types={"void": line}).save(tmp_path / "voids.json")
    with pytest.raises(OptionError, match="not void; take what is something else out"):
        generator(sizes=str(tmp_path / "voids.json")).open()


def test_a_type_that_the_sizes_lack_gets_shipped_ones() -> None:
    _, truth, _ = drawn((600, 600), count=20, sizes="stem", mixture={"dislocation-loop": 1}, **BARE)
    assert set(truth.defect_types) == {"dislocation-loop"}


def test_it_draws_stills_only() -> None:
    with pytest.raises(TypeError, match="stills only"):
        generator().sequence(textured((50, 50)), np.random.default_rng(0), 3)


def test_magnification_enlarges_loops_and_thins_them_out() -> None:
    plain = {**BARE, "sizes": "stem-published"}
    _, small, low = drawn((900, 900), magnification_low=0.5, magnification_high=0.5, **plain)
    _, large, high = drawn((900, 900), magnification_low=1.5, magnification_high=1.5, **plain)
    assert (low["magnification"], high["magnification"]) == (0.5, 1.5)
    assert len(small) > 4 * len(large)
    medians = [np.median(truth.measurements["major_px"]) for truth in (small, large)]
    assert medians[1] > 1.7 * medians[0]


@pytest.mark.parametrize(
    "factor", [{"size": 2}, {"magnification_low": 2, "magnification_high": 2},
               {"size": 4, "magnification_low": 0.5, "magnification_high": 0.5}],
)  # fmt: skip
def test_every_factor_on_axes_holds_for_a_range_of_axes(factor: dict) -> None:
    _, truth, _ = drawn(
        (900, 900), count=40, aspect_low=1, aspect_high=1, major_low_px=10, major_high_px=12,
        touching=0, **factor, **BARE,
    )  # fmt: skip
    major = truth.measurements["major_px"]
    assert len(major) > 20
    assert major.min() >= 20
    assert major.max() <= 24


def test_more_loops_than_can_be_drawn_are_refused() -> None:
    with pytest.raises(OptionError, match=r"density = 1000 give .*, at most 100000 can be"):
        drawn((3000, 3000), density=1000)


def test_what_captions_cover_is_told() -> None:
    bare = {**BARE, "count": 0}
    for probability in (0.0, 1.0):
        canvas = textured((200, 200))
        with generator(**{**bare, "text_probability": probability}) as one:
            one.draw(canvas, np.random.default_rng(0))
        changed = np.abs(canvas - textured((200, 200))) > 0.2
        assert one.covered.any() == bool(probability)
        assert (one.covered | ~changed).mean() > 0.99


def test_no_line_is_without_a_label_where_others_have_one() -> None:
    for labelled, lines in (({"dislocation"}, False), (set(LOOP_TYPES), True)):
        with generator(lines_probability=1.0) as one:
            one.labelled_types = frozenset(labelled)
            one.draw(textured((200, 200)), np.random.default_rng(0))
        assert bool(one.last_parameters["lines"]) == lines


def test_a_range_of_magnifications_is_drawn_from() -> None:
    found = {
        drawn(seed=k, magnification_low=0.5, magnification_high=2.0)[2]["magnification"]
        for k in range(6)
    }
    assert len(found) == 6
    assert all(0.5 <= value <= 2.0 for value in found)


def test_loops_edge_on_are_as_wide_as_asked_and_stay_bars() -> None:
    _, truth, _ = drawn((900, 900), count=60, mixture={"a<100> loop": 1}, bar_low_px=8.0,
                        sizes="stem-published", **BARE)  # fmt: skip
    major, minor = (truth.measurements[name] for name in ("major_px", "minor_px"))
    bars = minor < 0.5 * major
    assert bars.sum() > 15
    assert (minor[bars] >= np.minimum(8.0, 0.45 * major[bars]) - 1e-6).all()


@pytest.mark.parametrize("softness", [0.05, 0.2, 0.25, 0.5])
def test_filled_loops_are_no_softer_than_asked(softness: float) -> None:
    look = {"sizes": "in-situ", "count": 60, "softness": softness}
    loops = drawn((900, 900), **look, **BARE)[2]["loops"]
    relative = np.array([loop["edge_px"] / loop["minor_px"] for loop in loops])
    assert relative.max() <= softness + 1e-9
    assert relative.max() > 0.8 * softness


def test_which_loops_are_bars_follows_the_aspects_asked_for() -> None:
    look = {"mixture": {"a<100> loop": 1}, "sizes": "stem-published", "bar_low_px": 8.0}
    for low, high, bars in ((0.2, 0.2, True), (0.9, 0.9, False)):
        _, truth, _ = drawn((900, 900), count=40, major_low_px=24, major_high_px=24,
                            aspect_low=low, aspect_high=high, **look, **BARE)  # fmt: skip
        minor = truth.measurements["minor_px"]
        assert minor == pytest.approx(8.0 if bars else 24 * high)


def test_inner_rings_are_left_out_on_demand() -> None:
    look = {"mixture": {"a<100> loop": 1}, "count": 40, "aspect_low": 0.9, "aspect_high": 1.0}
    for share, shown in ((0.0, {False}), (0.5, {False, True}), (1.0, {True})):
        loops = drawn((900, 900), double_rings=share, **look, **BARE)[2]["loops"]
        assert {loop["inner"] > 0 for loop in loops} == shown


def test_in_a_grain_near_a_cube_axis_bars_lie_along_two_directions_and_loops_between() -> None:
    _, _, parameters = drawn(
        (500, 500), seed=4, sizes="stem-published", crystal=1, count=60, magnification_low=0.4,
        magnification_high=0.4, **{k: v for k, v in BARE.items() if k != "sizes"},
    )  # fmt: skip
    bars, inclined = [], []
    for one in parameters["loops"]:
        edge_on = one["look"] == "edge-on"
        if edge_on or one["defect_type"] == "a/2<111> loop":
            (bars if edge_on else inclined).append(one["angle_deg"])
    assert min(len(bars), len(inclined)) >= 5
    # Four-fold means: angles a quarter turn apart are the same direction.
    means = [np.exp(4j * np.deg2rad(angles)).mean() for angles in (bars, inclined)]
    assert abs(means[0]) > 0.8
    assert abs(means[1]) > 0.4
    apart = np.rad2deg(np.angle(means[0] / means[1])) / 4
    assert abs(apart) == pytest.approx(45, abs=10)


def test_bars_have_blunt_ends_where_asked_for() -> None:
    _, _, parameters = drawn((500, 500), sizes="stem-published", bar_exponent=5, count=40)
    shapes = {one["look"]: [] for one in parameters["loops"]}
    for one in parameters["loops"]:
        shapes[one["look"]].append(one["exponent"])
    assert max(shapes["edge-on"]) > 3
    assert {n for look, all_of in shapes.items() if look != "edge-on" for n in all_of} == {2.0}
