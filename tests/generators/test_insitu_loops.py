"""In-situ loops: the picture, the truth and the laws of growth and motion agree."""

from __future__ import annotations

import hashlib
import itertools
import math

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from defectscope.core.errors import OptionError
from defectscope.core.geometry.ellipses import ellipse_from_moments
from defectscope.core.options import validate_options
from defectscope.generators.insitu_loops import InSituLoops, InSituLoopsOptions
from defectscope.generators.texture import Texture
from defectscope.plugins.testing import GeneratorConformance

LEVEL, DEPTH, EDGE = 0.9, 0.5, 1.3
# Nothing random but where a loop is and what it looks like, and no look but a soft edge.
STILL = {
    "flicker": 0.0, "diffusion_px2_per_frame": 0.0, "drift_px_per_frame": 0.0, "noise": 0.0,
    "depth_low": DEPTH, "depth_high": DEPTH, "nucleated": 1.0, "shrinking": 0.0,
    "coalescence": 0.0, "edge_low_px": EDGE, "edge_high_px": EDGE, "one_sided": 0.0,
    "lumps": 0.0, "tails": 0.0,
}  # fmt: skip


class TestInSituLoops(GeneratorConformance):
    component = InSituLoops


def generator(**options):
    return InSituLoops(InSituLoopsOptions(**options))


def flat(shape=(96, 96)):
    return np.full(shape, LEVEL, np.float32)


def sequence(length, shape=(96, 96), seed=0, canvas=None, **options):
    canvas = flat(shape) if canvas is None else canvas
    return list(generator(**options).sequence(canvas, np.random.default_rng(seed), length))


def lone_loop(seed, **options):
    """Return a picture with one whole loop, and its truth."""
    rng = np.random.default_rng(seed)
    while True:
        canvas = flat()
        truth = generator(count=1, **{**STILL, **options}).draw(canvas, rng)
        if len(truth) and truth.boxes.min() > 8 and truth.boxes.max() < 88:
            return canvas.astype(float), truth


def column(truth, name):
    return np.asarray(truth.measurements[name], float)


def by_track(frames, *names):
    """Return {track_id: (k, 1 + len(names)) rows of frame and values}."""
    tracks: dict[int, list[list[float]]] = {}
    for time, (_, truth) in enumerate(frames):
        for k, track in enumerate(column(truth, "track_id").astype(int).tolist()):
            row = [time, *(column(truth, name)[k] for name in names)]
            tracks.setdefault(track, []).append(row)
    return {track: np.array(rows) for track, rows in tracks.items()}


def shade(pixels):
    """Return the part of its contrast that a loop takes in every pixel."""
    return (LEVEL - pixels) / (LEVEL * DEPTH)


def edge_of(minor, wanted=EDGE):
    """Return the softness of an edge: that of large loops is larger, that of small ones less."""
    return min(max(wanted, 0.13 * minor), minor / 4)


@pytest.mark.parametrize("seed", range(8))
def test_the_painted_area_is_that_of_the_ellipse(seed):
    pixels, truth = lone_loop(seed, smallest_px=16, largest_px=40)
    major, minor = column(truth, "major_px")[0], column(truth, "minor_px")[0]
    area = np.pi / 4 * major * minor
    # A Gaussian edge adds pi sigma^2 to what a hard edge encloses, on a circle.
    expected = area + np.pi * edge_of(minor) ** 2
    assert shade(pixels).sum() == pytest.approx(expected, rel=0.02)
    assert abs(truth.masks[0].area_px - area) <= 0.5 + 1e-9


@pytest.mark.parametrize("seed", range(8))
def test_the_mask_is_where_it_is_darker_than_half(seed):
    pixels, truth = lone_loop(seed, smallest_px=12, largest_px=40)
    level = shade(pixels)
    # The mask has the ellipse's area to half a pixel, for which one on the rim may have to go.
    sure = np.abs(level - 0.5) > 0.1
    mask = truth.masks[0].to_dense(pixels.shape)
    np.testing.assert_array_equal(mask[sure], (level > 0.5)[sure])
    np.testing.assert_allclose(truth.masks[0].box, truth.boxes[0], atol=1)


def test_looks_change_the_inside_and_not_the_truth():
    plain, truth = lone_loop(3, smallest_px=24, largest_px=40)
    look = {"one_sided": 1.0, "lumps": 1.0, "tails": 1.0}
    varied, same = lone_loop(3, smallest_px=24, largest_px=40, **look)
    for name, values in truth.measurements.items():
        np.testing.assert_array_equal(values, same.measurements[name])
    np.testing.assert_array_equal(truth.masks[0].bitmap, same.masks[0].bitmap)
    assert np.abs(plain - varied).max() > 0.05
    # A tail stays below half of the contrast, so that it is not part of the loop.
    outside = ~truth.masks[0].to_dense(plain.shape)
    assert shade(varied)[outside].max() < 0.56


@pytest.mark.parametrize("seed", range(8))
def test_position_axes_and_angle_are_those_of_the_picture(seed):
    pixels, truth = lone_loop(seed, smallest_px=20, largest_px=40, aspect_low=0.5)
    x, y, *_ = ellipse_from_moments(shade(pixels))
    assert x == pytest.approx(column(truth, "x")[0], abs=0.02)
    assert y == pytest.approx(column(truth, "y")[0], abs=0.02)
    mask = truth.masks[0].to_dense(pixels.shape).astype(float)
    _, _, major, minor, angle = ellipse_from_moments(mask)
    assert major == pytest.approx(column(truth, "major_px")[0], rel=0.03)
    assert minor == pytest.approx(column(truth, "minor_px")[0], rel=0.03)
    if minor < 0.85 * major:
        turn = (angle - column(truth, "angle_deg")[0] + 90) % 180 - 90
        assert abs(turn) < 5


@pytest.mark.parametrize("seed", range(6))
def test_the_edge_is_as_soft_along_both_axes(seed):
    pixels, truth = lone_loop(
        seed, smallest_px=40, largest_px=44, aspect_low=0.5, edge_low_px=4.0, edge_high_px=4.0
    )
    edge = edge_of(column(truth, "minor_px")[0], 4.0)
    angle = math.radians(column(truth, "angle_deg")[0])
    along = np.array([math.cos(angle), -math.sin(angle)])
    across = np.array([math.sin(angle), math.cos(angle)])
    middle = np.array([column(truth, "x")[0], column(truth, "y")[0]])
    for direction, axis in ((along, "major_px"), (across, "minor_px")):
        for steps in (-0.5, 0.5):
            place = middle + direction * (column(truth, axis)[0] / 2 + steps * edge)
            expected = 0.5 * math.erfc(steps / math.sqrt(2))
            assert bilinear(shade(pixels), place) == pytest.approx(expected, abs=0.04)


def bilinear(pixels, place):
    x, y = place - 0.5
    x0, y0 = math.floor(x), math.floor(y)
    rows = pixels[y0 : y0 + 2, x0] * (x0 + 1 - x) + pixels[y0 : y0 + 2, x0 + 1] * (x - x0)
    return float(rows[0] * (y0 + 1 - y) + rows[1] * (y - y0))


def test_depth_flicker_and_noise_are_what_the_options_say():
    frames = sequence(80, (64, 64), **{**STILL, "flicker": 0.1}, count=1, smallest_px=30,
                      largest_px=30, aspect_low=0.9, seed=3)  # fmt: skip
    depths = [1 - float(pixels.min()) / LEVEL for pixels, _ in frames]
    assert np.mean(depths) == pytest.approx(DEPTH, abs=0.02)
    assert np.std(depths) / DEPTH == pytest.approx(0.1, abs=0.03)
    for smooth in (0.0, 0.8, 3.0):
        (pixels, _), *_ = sequence(1, (400, 400), count=0, noise=0.02, noise_px=smooth)
        assert pixels.std() == pytest.approx(0.02, rel=0.08)


@pytest.mark.parametrize("resolution", [0.0, 1.2, 3.0])
def test_loops_near_the_resolution_fade(resolution):
    strength = []
    for size in (1.5, 3.0, 6.0, 12.0):
        frames = sequence(
            1, (64, 64), **STILL, count=1, seed=3, visible_from_px=1.0, resolution_px=resolution,
            growth_law="linear", smallest_px=size, largest_px=size, aspect_low=1.0,
        )  # fmt: skip
        strength.append(float(shade(frames[0][0].astype(float)).max()))
    assert strength == sorted(strength)
    if resolution:
        # The middle of a disc under a Gaussian blur, with what the sampling of small ones takes.
        expected = [1 - math.exp(-((s / 2) ** 2) / (2 * resolution**2)) for s in (6.0, 12.0)]
        assert strength[2:] == pytest.approx(expected, abs=0.1)
        assert strength[0] < 0.35
    else:
        assert min(strength) > 0.6


def test_flicker_never_turns_a_loop_bright():
    for pixels, _ in sequence(20, **{**STILL, "flicker": 1.0}, count=10):
        assert pixels.max() <= np.float32(LEVEL)


def test_loops_are_there_from_their_nucleation_on():
    still = {**STILL, "visible_from_px": 0.0}
    numbers = {
        share: [len(truth) for _, truth in sequence(30, count=40, **{**still, "nucleated": share})]
        for share in (0.0, 1.0)
    }
    assert numbers[1.0] == [40] * 30
    assert numbers[0.0][0] == 0
    assert numbers[0.0] == sorted(numbers[0.0])
    assert numbers[0.0][-1] == 40


def test_a_still_image_holds_all_loops():
    canvas = flat((400, 400))
    truth = generator(count=60, visible_from_px=0).draw(canvas, np.random.default_rng(0))
    assert len(truth) == 60
    assert (column(truth, "major_px") > 0.6 * 9).all()


def test_the_least_visible_size_decides_what_is_labelled_not_what_is_painted():
    options = {**STILL, "nucleated": 0.3}
    every = sequence(12, (200, 200), count=40, visible_from_px=0, **options)
    some = sequence(12, (200, 200), count=40, visible_from_px=10, **options)
    for (pixels, truth), (same, fewer) in zip(every, some, strict=True):
        np.testing.assert_array_equal(pixels, same)
        large = column(truth, "major_px") >= 10
        np.testing.assert_array_equal(column(truth, "track_id")[large], column(fewer, "track_id"))
    assert len(some[0][1]) < len(every[0][1])


def test_what_black_background_hides_is_not_labelled():
    # The left half is black, and loops can make nothing darker there.
    canvas = flat((128, 256))
    canvas[:, :128] = 0.001
    everything, seen = (
        generator(count=24, visible_from=limit).draw(canvas.copy(), np.random.default_rng(3))
        for limit in (0, 0.5)
    )
    assert (column(everything, "x") < 100).sum() > 5
    assert len(seen) > 5
    assert column(seen, "x").min() > 120


def test_flicker_does_not_decide_what_is_labelled():
    plain = {**STILL, "noise": 0.03, "visible_from": 7, "depth_low": 0.2}
    steady, flickering = (
        sequence(8, (200, 200), count=24, **{**plain, "flicker": flicker}) for flicker in (0, 0.3)
    )
    assert 3 < len(steady[0][1]) < 21
    for (_, one), (_, other) in zip(steady, flickering, strict=True):
        np.testing.assert_array_equal(column(one, "track_id"), column(other, "track_id"))
        assert not other.ignore.any()


def test_a_track_has_no_hole_where_its_loop_is_faint():
    # Loops drift over stripes on which they can hardly be seen.
    canvas = flat((128, 256))
    canvas[:, 96:128] = canvas[:, 192:] = 0.001
    moving = {**STILL, "drift_px_per_frame": 3.0, "diffusion_px2_per_frame": 9.0}
    frames, every = (
        sequence(24, canvas=canvas, count=60, visible_from=limit, **moving) for limit in (0.5, 0)
    )
    hidden, known = 0, set()
    for (pixels, truth), (same, all_of_them) in zip(frames, every, strict=True):
        np.testing.assert_array_equal(pixels, same)
        there = set(column(truth, "track_id").tolist())
        known |= there
        assert there == known & set(column(all_of_them, "track_id").tolist())
        hidden += truth.ignore.sum()
        assert not all_of_them.ignore.any()
    assert hidden


def test_texture_and_noise_hide_loops_together():
    grain = 0.05 * np.random.default_rng(5).standard_normal((256, 256))
    canvas = (flat((256, 256)) + grain).astype(np.float32)
    counts = [
        len(generator(count=60, visible_from=6, noise=noise).draw(
            canvas.copy(), np.random.default_rng(3)))
        for noise in (0.0, 0.045)
    ]  # fmt: skip
    assert counts[1] < counts[0] - 3


def test_every_loop_keeps_its_identity():
    one = generator(count=30, diffusion_px2_per_frame=0.5, drift_px_per_frame=1.0)
    frames = list(one.sequence(flat((200, 200)), np.random.default_rng(0), 15))
    for rows in by_track(frames, "angle_deg", "major_px", "minor_px").values():
        _, angle, major, minor = rows.T
        assert np.ptp(angle) == 0
        assert np.ptp(minor / major) < 1e-9
    for _, truth in frames:
        ids = column(truth, "track_id").astype(int).tolist()
        assert len(set(ids)) == len(ids)
        assert set(ids) <= {loop["track_id"] for loop in one.last_parameters["loops"]}


def steps_of(frames):
    """Return the displacements (k, 2) of every loop from frame to frame, and their frames."""
    steps, times = [], []
    for rows in by_track(frames, "x", "y").values():
        # A loop that leaves the frame for a while makes no step.
        next_frame = np.diff(rows[:, 0]) == 1
        steps.append(np.diff(rows[:, 1:], axis=0)[next_frame])
        times.append(rows[:-1, 0][next_frame])
    return np.concatenate(steps), np.concatenate(times)


@pytest.mark.parametrize("speed", [0.15, 2.0])
def test_the_stage_drifts_at_its_speed_in_one_direction(speed):
    frames = sequence(20, (200, 200), **{**STILL, "drift_px_per_frame": speed}, count=30)
    steps, _ = steps_of(frames)
    assert np.ptp(steps, axis=0).max() < 1e-9
    assert np.hypot(*steps[0]) == pytest.approx(speed)


@pytest.mark.parametrize("seed", range(3))
def test_the_background_moves_with_the_loops(seed):
    y, x = np.mgrid[:120, :140] + 0.5

    def pattern(dx, dy):
        return 0.5 + 0.2 * np.sin((x - dx) / 7) * np.cos((y - dy) / 9)

    # Loops too faint to see, so that only the background is compared.
    faint = {**STILL, "drift_px_per_frame": 0.8, "depth_low": 1e-9, "depth_high": 1e-9,
             "visible_from": 0}  # fmt: skip
    frames = sequence(9, canvas=pattern(0, 0).astype(np.float32), seed=seed, count=4, **faint)
    steps, _ = steps_of(frames)
    inner = np.s_[10:-10, 10:-10]
    for time, (pixels, _) in enumerate(frames):
        # The middle of the sequence is where the canvas lies.
        expected = pattern(*(steps[0] * (time - 4)))
        np.testing.assert_allclose(pixels[inner], expected[inner], rtol=0, atol=1e-6)


def test_nothing_is_labelled_whose_centre_is_outside():
    frames = sequence(
        40, (64, 80), count=40, drift_px_per_frame=3.0, diffusion_px2_per_frame=4.0, seed=2
    )
    ids = [set(column(truth, "track_id").tolist()) for _, truth in frames]
    assert len(set.union(*ids)) > len(ids[-1])
    for _, truth in frames:
        assert ((column(truth, "x") > 0) & (column(truth, "x") < 80)).all()
        assert ((column(truth, "y") > 0) & (column(truth, "y") < 64)).all()
        assert truth.boxes.min(initial=0) >= 0
        assert (truth.boxes <= [80, 64, 80, 64]).all()


def digest(frames):
    return [hashlib.sha256(pixels.tobytes()).hexdigest() for pixels, _ in frames]


def test_the_seed_decides_and_the_canvas_stays():
    canvas, _ = Texture().render((80, 90), np.random.default_rng(0))
    before = canvas.copy()
    canvas.flags.writeable = False
    first, again, other = (sequence(4, canvas=canvas, seed=seed, count=8) for seed in (1, 1, 2))
    np.testing.assert_array_equal(canvas, before)
    assert digest(first) == digest(again)
    assert not set(digest(first)) & set(digest(other))
    assert len(set(digest(first))) == 4
    for (_, one), (_, two) in zip(first, again, strict=True):
        np.testing.assert_array_equal(one.boxes, two.boxes)


def test_frames_do_not_share_memory():
    for (one, _), (two, _) in itertools.pairwise(sequence(3, count=2)):
        assert not np.shares_memory(one, two)


def test_a_canvas_is_drawn_on_in_place():
    canvas = flat()
    truth = generator(count=5, noise=0).draw(canvas, np.random.default_rng(0))
    assert canvas.min() < LEVEL - 0.15
    assert len(truth)


def test_no_loops_and_no_frames():
    (pixels, truth), *rest = sequence(2, count=0, noise=0)
    np.testing.assert_allclose(pixels, flat(), rtol=1e-6)
    assert len(truth) == 0
    assert truth.masks == ()
    assert len(rest) == 1
    assert sequence(0) == []


def test_many_loops_fit_into_one_frame():
    canvas = flat((256, 256))
    truth = generator(count=800, visible_from_px=1).draw(canvas, np.random.default_rng(0))
    assert len(truth) == 800
    assert canvas.min() >= 0


@settings(max_examples=40)
@example(
    shape=(16, 18), length=1, seed=0, sizes=(1.0, 3.0),
    options={"count": 12, "visible_from_px": 0.0, "aspect_low": 0.0625},
)  # fmt: skip
@given(
    shape=st.tuples(st.integers(16, 40), st.integers(16, 40)),
    length=st.integers(1, 6),
    seed=st.integers(0, 99),
    sizes=st.tuples(st.floats(0.1, 60), st.floats(0.1, 60)),
    options=st.fixed_dictionaries(
        {},
        optional={
            "count": st.integers(0, 12),
            "nucleated": st.floats(0, 1),
            "aspect_low": st.floats(0.001, 1),
            "growth_law": st.sampled_from(["saturating", "linear", "parabolic"]),
            "shrinkage_law": st.sampled_from(["linear", "parabolic"]),
            "shrinking": st.floats(0, 1),
            "coalescence": st.floats(0, 1),
            "capture_px": st.floats(0, 1000),
            "vacancy": st.floats(0, 1),
            "annihilation": st.floats(0, 1),
            "diffusion_exponent": st.floats(0, 3),
            "jump_probability": st.floats(0, 1),
            "noise_px": st.floats(0, 20),
            "resolution_px": st.floats(0, 20),
            "one_sided": st.floats(0, 1),
            "tails": st.floats(0, 1),
            "flicker": st.floats(0, 1),
            "diffusion_px2_per_frame": st.floats(0, 100),
            "drift_px_per_frame": st.floats(0, 50),
            "noise": st.floats(0, 1),
            "visible_from_px": st.floats(0, 20),
        },
    ),
)
def test_any_options_on_small_frames_give_a_valid_truth(shape, length, seed, sizes, options):
    smallest, largest = sorted(sizes)
    frames = sequence(length, shape, seed, smallest_px=smallest, largest_px=largest, **options)
    assert len(frames) == length
    for pixels, truth in frames:
        assert pixels.shape == truth.image_shape == shape
        assert pixels.dtype == np.float32
        assert pixels.min() >= 0
        assert pixels.max() <= 1
        assert all(mask.area_px > 0 for mask in truth.masks)
        for mask, box in zip(truth.masks, truth.boxes, strict=True):
            assert mask.clipped(shape).area_px == mask.area_px
            assert (np.array(mask.box)[:2] >= np.floor(box[:2])).all()
            assert (np.array(mask.box)[2:] <= np.ceil(box[2:])).all()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"smallest_px": 33}, "smallest_px must not exceed largest_px"),
        ({"depth_low": 0.96}, "depth_low must not exceed depth_high"),
        ({"count": -1}, "greater than or equal to 0"),
        ({"largest_px": float("inf")}, "less than or equal to 10000"),
        ({"aspect_low": 0}, "greater than 0"),
        ({"aspect_low": 0.9, "aspect_high": 0.8}, "aspect_low must not exceed aspect_high"),
        ({"edge_low_px": 3.5}, "edge_low_px must not exceed edge_high_px"),
        ({"jump_low_px": 20}, "jump_low_px must not exceed jump_high_px"),
        ({"diffusion_px2_per_frame": 2, "diffusion_high_px2_per_frame": 1},
         "diffusion_px2_per_frame must not exceed diffusion_high_px2_per_frame"),
        ({"coalescence": 1.1}, "less than or equal to 1"),
        ({"growth_law": "cubic"}, "'saturating', 'linear' or 'parabolic'"),
        ({"dose_per_frame_dpa": -1}, "greater than or equal to 0"),
        ({"dose_start_dpa": float("inf")}, "finite number"),
        ({"visible_from_px": float("inf")}, "finite number"),
        ({"pixel_size_nm": 0}, "greater than 0"),
        ({"colour": 1}, "has no option 'colour'"),
    ],
)  # fmt: skip
def test_impossible_options_are_refused(values, message):
    with pytest.raises(OptionError, match=message):
        validate_options(InSituLoopsOptions, values, "in-situ-loops")
