"""Events of in-situ sequences: what the tables say is what the truth shows."""

from __future__ import annotations

import collections
import functools
import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from defectscope.core.errors import OptionError
from defectscope.generators.insitu_events import Evolution
from defectscope.generators.insitu_kinetics import Growth, Segment
from defectscope.generators.insitu_loops import InSituLoops, InSituLoopsOptions
from defectscope.generators.insitu_population import draw_population
from defectscope.generators.insitu_stage import move_stage

ENDS = {"vanishing": "shrinkage", "coalescence": "coalescence", "annihilation": "annihilation"}
QUIET = {"noise": 0.0, "one_sided": 0.0, "lumps": 0.0, "tails": 0.0, "flicker": 0.0}
# Everything happens, and often.
BUSY = {
    "shrinking": 0.4, "coalescence": 1.0, "vacancy": 0.3, "annihilation": 0.01,
    "diffusion_px2_per_frame": 0.3, "jump_probability": 0.2, "count": 60, "visible_from_px": 1.0,
}  # fmt: skip


@functools.cache
def made(length=20, shape=(130, 130), seed=0, **options):
    """Return the truths of a sequence and its parameters."""
    one = InSituLoops(InSituLoopsOptions(**{**QUIET, **options}))
    canvas = np.full(shape, 0.8, np.float32)
    truths = [truth for _, truth in one.sequence(canvas, np.random.default_rng(seed), length)]
    return truths, one.last_parameters


def evolved(length, shape=(300, 300), seed=0, **options):
    """Yield frame, evolution and (n, 2) steps since the frame before, without any painting."""
    chosen, rng = InSituLoopsOptions(**options), np.random.default_rng(seed)
    stage = move_stage(chosen, length, rng)
    loops = draw_population(chosen, shape, stage, rng)
    evolution = Evolution(loops, chosen, float(shape[0] * shape[1]))
    for frame in range(1, length):
        before = loops.position.copy()
        evolution.advance(frame, stage.offsets[frame], rng)
        yield frame, evolution, loops.position - before


def column(truth, name):
    return np.asarray(truth.measurements[name], float)


def size_at(loop, time):
    """Return the major axis of a loop by its recorded laws."""
    law = [s for s in loop["growth"] if s["start_frame"] <= time][-1]
    age, first = time - law["start_frame"], law["start_px"]
    if law["law"] == "saturating":
        return law["final_px"] - (law["final_px"] - first) * math.exp(-age / law["tau_frames"])
    if law["law"] == "linear":
        return max(first + law["rate_px_per_frame"] * age, 0)
    return max(first**2 + law["rate_px2_per_frame"] * age, 0) ** 0.5


@pytest.fixture(scope="module")
def busy():
    return made(seed=0, **BUSY)


@pytest.mark.parametrize("law", ["saturating", "linear", "parabolic"])
def test_sizes_follow_the_recorded_laws(law):
    truths, parameters = made(**BUSY, growth_law=law, shrinkage_law="parabolic")
    loops = parameters["loops"]
    assert {"parabolic", law} <= {s["law"] for loop in loops for s in loop["growth"]}
    seen = 0
    for frame, truth in enumerate(truths):
        ids, major = column(truth, "track_id").astype(int), column(truth, "major_px")
        expected = [size_at(loops[k], frame) for k in ids]
        assert major == pytest.approx(np.array(expected), rel=1e-9)
        aspects = [loops[k]["aspect"] for k in ids]
        assert column(truth, "minor_px") / major == pytest.approx(np.array(aspects), rel=1e-12)
        np.testing.assert_array_equal(
            column(truth, "angle_deg"), [loops[k]["angle_deg"] for k in ids]
        )
        seen += len(ids)
    assert seen > 300


def test_linear_and_parabolic_loops_reach_their_final_size_at_the_end():
    for law in ("linear", "parabolic"):
        still = {"shrinking": 0.0, "coalescence": 0.0, "drift_px_per_frame": 0.0}
        _, parameters = made(
            30, (64, 64), count=20, growth_law=law, smallest_px=11, largest_px=11, **still
        )
        sizes = [size_at(loop, 29) for loop in parameters["loops"]]
        assert sizes == pytest.approx([11.0] * len(sizes))


def test_loops_are_seen_from_birth_to_death_and_never_after(busy):
    truths, parameters = busy
    loops = parameters["loops"]
    assert {loop["death_cause"] for loop in loops} == {None, *ENDS.values()}
    for frame, truth in enumerate(truths):
        for k in column(truth, "track_id").astype(int):
            assert loops[k]["birth_frame"] <= frame
            assert loops[k]["death_frame"] is None or frame < loops[k]["death_frame"]
        # Who is in the frame, large enough and alive is labelled.
        alive = {
            loop["track_id"] for loop in loops
            if loop["birth_frame"] <= frame and frame < (loop["death_frame"] or math.inf)
            and size_at(loop, frame) >= 1
        }  # fmt: skip
        assert set(column(truth, "track_id").astype(int)) <= alive


def test_events_and_loops_tell_the_same(busy):
    _, parameters = busy
    loops, events = parameters["loops"], parameters["events"]
    assert [e["frame"] for e in events] == sorted(e["frame"] for e in events)
    kinds = collections.Counter(e["kind"] for e in events)
    assert set(kinds) == {"nucleation", "shrinkage", "jump", *ENDS}
    ended = {k: e for e in events for k in e.get("ended", ())}
    for loop in loops:
        end = ended.get(loop["track_id"])
        assert (end is None) == (loop["death_frame"] is None)
        if end:
            assert (end["frame"], ENDS[end["kind"]]) == (loop["death_frame"], loop["death_cause"])
    born = {e["track_ids"][0]: e for e in events if e["kind"] == "nucleation"}
    assert set(born) == {x["track_id"] for x in loops if x["birth_frame"] > 0}
    for k, event in born.items():
        assert event["frame"] == math.ceil(loops[k]["birth_frame"])
        assert event["time_frames"] == loops[k]["birth_frame"]
        offset = np.array(parameters["frames"]["offset_px"][event["frame"]])
        expected = np.array(loops[k]["specimen_px"]) + offset
        assert [event["x"], event["y"]] == pytest.approx(expected.tolist())
    for event in (e for e in events if e["kind"] == "vanishing"):
        assert event["frame"] - 1 < event["time_frames"] <= event["frame"]
        before = size_at(loops[event["track_ids"][0]], event["time_frames"] - 1e-6)
        assert before == pytest.approx(0, abs=1e-2)


def meetings(parameters, kind, **more):
    return [
        e for e in parameters["events"]
        if e["kind"] == kind and all(e.get(k) == v for k, v in more.items())
    ]  # fmt: skip


def area(loop, time):
    return math.pi / 4 * loop["aspect"] * size_at(loop, time) ** 2


@pytest.mark.parametrize("seed", range(3))
def test_area_is_conserved_when_loops_coalesce(seed):
    _, parameters = made(seed=seed, **BUSY)
    loops, found = parameters["loops"], meetings(parameters, "coalescence")
    assert len(found) > 3
    for event in found:
        (stays, goes), (first, second, both) = event["track_ids"], event["area_px2"]
        assert event["ended"] == [goes]
        assert first >= second
        assert both == pytest.approx(first + second, rel=1e-12)
        assert area(loops[stays], event["frame"]) == pytest.approx(both, rel=1e-9)
        # Until then it was smaller by what it took in.
        assert area(loops[goes], event["frame"]) == pytest.approx(second, rel=1e-9)
        assert loops[stays]["kind"] == loops[goes]["kind"]
        assert 0.35 <= event["depth"] <= 0.95


@pytest.mark.parametrize("seed", range(3))
def test_opposite_loops_annihilate_to_their_difference(seed):
    _, parameters = made(seed=seed, **BUSY)
    loops, found = parameters["loops"], meetings(parameters, "annihilation", sink="loop")
    assert found
    for event in found:
        (stays, goes), (first, second, left) = event["track_ids"], event["area_px2"]
        assert loops[stays]["kind"] != loops[goes]["kind"]
        if stays in event["ended"]:
            assert left == 0
            assert first - second < math.pi / 4
        else:
            assert left == pytest.approx(first - second)
            assert area(loops[stays], event["frame"]) == pytest.approx(left, rel=1e-9)


def test_the_content_of_the_foil_changes_by_nothing_but_events():
    options = {"nucleated": 1.0, "shrinking": 0.0, "vacancy": 0.4, "coalescence": 1.0,
               "diffusion_px2_per_frame": 3.0, "count": 60}  # fmt: skip
    contents, lost = [], 0.0
    for frame, evolution, _ in evolved(60, (150, 150), **options):
        loops = evolution.loops
        if frame == 1:
            # From here on nothing grows.
            sizes = loops.growth.major(1).tolist()
            loops.growth = Growth([Segment("linear", 1.0, d, rate=0.0) for d in sizes])
        alive = loops.alive(frame)
        sign = np.where(loops.vacancy, -1.0, 1.0)
        areas = math.pi / 4 * loops.aspect * loops.growth.major(frame) ** 2
        for event in evolution.events:
            if event["frame"] == frame > 1 and len(event["ended"]) == 2:
                lost += float((sign * areas)[event["ended"]].sum())
        contents.append(float((sign * areas)[alive].sum()) + lost)
    kinds = collections.Counter(e["kind"] for e in evolution.events)
    assert min(kinds["coalescence"], kinds["annihilation"]) > 5
    assert contents == pytest.approx([contents[0]] * len(contents))


def test_merged_loops_lie_at_their_centre_of_gravity():
    options = {"vacancy": 0.0, "coalescence": 1.0, "diffusion_px2_per_frame": 1.0, "count": 60}
    moved = 0
    for frame, evolution, steps in evolved(25, (150, 150), **options, shrinking=0.0):
        loops = evolution.loops
        for event in (e for e in evolution.events if e["frame"] == frame and "moved_px" in e):
            stays, goes = event["track_ids"]
            # The one that is gone stays where it was.
            way = loops.position[goes] - (loops.position[stays] - event["moved_px"])
            share = event["area_px2"][1] / event["area_px2"][2]
            assert event["moved_px"] == pytest.approx((share * way).tolist())
            assert np.hypot(*(steps[stays] - event["moved_px"])) < 8
            moved += 1
    assert moved > 3


def test_nothing_meets_unless_asked():
    options = {**BUSY, "coalescence": 0.0, "annihilation": 0.0, "shrinking": 0.0}
    _, parameters = made(15, **options)
    assert {e["kind"] for e in parameters["events"]} == {"nucleation", "jump"}
    assert all(len(loop["growth"]) == 1 for loop in parameters["loops"])


def test_loops_are_lost_to_the_surface_at_their_rate():
    options = {"coalescence": 0.0, "shrinking": 0.0, "nucleated": 1.0, "count": 2000}
    *_, (frame, evolution, _) = evolved(21, **options, annihilation=0.03)
    left = len(evolution.loops.alive(frame))
    assert left / 2000 == pytest.approx(0.97**20, abs=0.04)
    assert all(e["sink"] == "surface" for e in evolution.events)


def test_the_part_that_shrinks_is_gone_at_the_end():
    options = {"coalescence": 0.0, "count": 1000, "shrinking": 0.3}
    *_, (_, evolution, _) = evolved(40, **options)
    kinds = collections.Counter(e["kind"] for e in evolution.events)
    assert kinds["shrinkage"] == kinds["vanishing"]
    assert kinds["vanishing"] / 1000 == pytest.approx(0.3, abs=0.05)


@pytest.mark.parametrize("coefficient", [0.02, 0.4])
def test_the_truth_diffuses_with_the_recorded_coefficient(coefficient):
    options = {"drift_px_per_frame": 0.7, "jump_probability": 0.3, "shrinking": 0.0, "count": 80,
               "coalescence": 0.0, "nucleated": 1.0, "smallest_px": 3.0, "largest_px": 3.0,
               "visible_from_px": 1.0}  # fmt: skip
    truths, parameters = made(17, (200, 200), **options, diffusion_px2_per_frame=coefficient)
    assert {x["diffusion_px2_per_frame"] for x in parameters["loops"]} == {coefficient}
    places = np.full((17, len(parameters["loops"]), 2), np.nan)
    for frame, truth in enumerate(truths):
        ids = column(truth, "track_id").astype(int)
        here = np.stack([column(truth, "x"), column(truth, "y")], axis=1)
        places[frame, ids] = here - parameters["frames"]["offset_px"][frame]
    for lag in (1, 2, 4):
        # In two dimensions <r^2> = 4 D tau; independent steps only.
        square = (np.diff(places[::lag], axis=0) ** 2).sum(axis=2)
        square = square[np.isfinite(square)]
        error = 1 / math.sqrt(len(square))
        assert square.mean() / lag / 4 == pytest.approx(coefficient, rel=4 * error)
    first = np.array([x["specimen_px"] for x in parameters["loops"]])
    seen = np.isfinite(places[0, :, 0])
    assert places[0][seen] == pytest.approx(first[seen])


@pytest.mark.parametrize("exponent", [0.0, 1.0, 2.5])
def test_every_loop_has_its_own_coefficient(exponent):
    options = {
        "count": 300, "coalescence": 0.0, "shrinking": 0.0, "nucleated": 1.0, "diffusion_exponent":
        exponent, "diffusion_px2_per_frame": 0.01, "diffusion_high_px2_per_frame": 0.5,
        "diffusion_size_px": 12.0,
    }  # fmt: skip
    scaled = []
    for frame, evolution, steps in evolved(60, (600, 600), **options):
        loops = evolution.loops
        relative = loops.growth.major(frame - 1) / 12.0
        expected = loops.diffusion * relative**-exponent
        scaled.append((steps**2).sum(axis=1) / (4 * expected))
    assert np.mean(scaled) == pytest.approx(1, abs=0.03)
    # Each loop's own mean of 59 steps, too: 1 with a standard deviation of 1/sqrt(59).
    own = np.mean(scaled, axis=0)
    assert own.std() == pytest.approx(1 / math.sqrt(59), rel=0.2)
    assert loops.diffusion.min() < 0.05
    assert loops.diffusion.max() > 0.45


def test_loops_that_are_not_born_do_not_move():
    for frame, evolution, steps in evolved(20, nucleated=0.0, diffusion_px2_per_frame=1.0):
        unborn = evolution.loops.birth > frame - 1
        assert not steps[unborn].any()


def test_jumps_are_recorded_where_the_truth_makes_them():
    still = {"diffusion_px2_per_frame": 0.0, "coalescence": 0.0, "shrinking": 0.0, "nucleated": 1.0}
    truths, parameters = made(30, **still, count=15, jump_probability=0.3, drift_px_per_frame=0.2)
    frames = parameters["frames"]
    jumping = {e["frame"] for e in parameters["events"] if e["kind"] == "jump"}
    assert len(jumping) > 3
    for frame in range(1, 30):
        here, before = (
            {int(k): np.array([x, y]) for k, x, y in zip(*(column(t, n) for n in
             ("track_id", "x", "y")), strict=True)} for t in (truths[frame], truths[frame - 1])
        )  # fmt: skip
        step = np.array(frames["jump_px"][frame]) + parameters["drift_px_per_frame"]
        for k in set(here) & set(before):
            assert (here[k] - before[k]).tolist() == pytest.approx(step.tolist(), abs=1e-9)
        assert (frame in jumping) == bool(np.any(frames["jump_px"][frame]))


def test_loops_come_in_from_beyond_the_rim():
    # The view moves over two thirds of its own width.
    truths, parameters = made(21, (100, 100), seed=1, count=40, drift_px_per_frame=3.2,
                              coalescence=0.0, shrinking=0.0, nucleated=1.0)  # fmt: skip
    assert len(parameters["loops"]) > 60
    numbers = [len(truth) for truth in truths]
    assert min(numbers) > 20


def test_the_dose_axis():
    one = InSituLoops(InSituLoopsOptions(dose_start_dpa=0.85, dose_per_frame_dpa=0.0014))
    for _ in one.sequence(np.full((32, 32), 0.5, np.float32), np.random.default_rng(0), 7):
        pass
    doses = one.last_parameters["frames"]["dose_dpa"]
    assert doses == pytest.approx([0.85 + 0.0014 * k for k in range(7)])
    assert one.calibration.dose_dpa(6) == doses[6]
    assert one.calibration.pixel_size_nm is None
    assert InSituLoops(InSituLoopsOptions(pixel_size_nm=0.4)).calibration.pixel_size_nm == 0.4


def test_the_seed_decides_about_everything_and_it_is_plain():
    (one, first), (two, second) = (made.__wrapped__(12, seed=3, **BUSY) for _ in range(2))
    assert json.dumps(first, allow_nan=False) == json.dumps(second)
    for a, b in zip(one, two, strict=True):
        np.testing.assert_array_equal(a.boxes, b.boxes)
    _, other = made(12, seed=4, **BUSY)
    assert first != other


def test_what_is_seen_changes_nothing_that_happens():
    _, plain = made(12, **BUSY)
    _, other = made(12, **{**BUSY, "visible_from_px": 15.0, "noise": 0.1, "tails": 1.0})
    assert plain == other


def test_a_broken_off_sequence_leaves_no_parameters_of_another():
    one = InSituLoops(InSituLoopsOptions(count=3))
    canvas = np.full((32, 32), 0.5, np.float32)
    list(one.sequence(canvas, np.random.default_rng(0), 2))
    assert one.last_parameters
    next(one.sequence(canvas, np.random.default_rng(0), 2))
    assert one.last_parameters == {}


def test_crowds_that_cannot_be_followed_are_refused():
    with pytest.raises(
        OptionError, match=r"60000 loops .* lie too densely .* set coalescence to 0"
    ):
        made(3, (16, 16), count=60_000, drift_px_per_frame=0.0)
    with pytest.raises(
        OptionError, match=r"the stage moves over .* at most 100000 can be followed"
    ):
        made(500, (16, 16), count=1000, drift_px_per_frame=50.0)


@settings(max_examples=30)
@given(
    seed=st.integers(0, 999), length=st.integers(1, 25), shrinking=st.floats(0, 1),
    coalescence=st.floats(0, 1), vacancy=st.floats(0, 1), annihilation=st.floats(0, 0.2),
    capture=st.floats(0, 5), growth=st.sampled_from(["saturating", "linear", "parabolic"]),
    shrinkage=st.sampled_from(["linear", "parabolic"]),
)  # fmt: skip
def test_no_one_dies_twice_or_acts_after_death(
    seed, length, shrinking, coalescence, vacancy, annihilation, capture, growth, shrinkage
):
    options = {
        "count": 40, "shrinking": shrinking, "coalescence": coalescence, "vacancy": vacancy,
        "annihilation": annihilation, "capture_px": capture, "growth_law": growth,
        "shrinkage_law": shrinkage, "diffusion_px2_per_frame": 1.0,
    }  # fmt: skip
    evolution = None
    for frame, evolution, _ in evolved(length, (90, 90), seed, **options):
        major = evolution.loops.growth.major(frame, evolution.loops.alive(frame))
        assert np.isfinite(major).all()
        assert np.isfinite(evolution.loops.position).all()
    gone: set[int] = set()
    for event in evolution.events if evolution else ():
        assert not gone & set(event["track_ids"])
        assert set(event["ended"]) <= set(event["track_ids"])
        gone |= set(event["ended"])
