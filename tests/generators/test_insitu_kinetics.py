"""Laws of growth and shrinkage: exact, continuous, and as they are recorded."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from defectscope.generators.insitu_kinetics import Growth, Segment


def from_record(record, time):
    """Return the major axis by the documented formulas and nothing else."""
    age, first = time - record["start_frame"], record["start_px"]
    if record["law"] == "saturating":
        missing = (record["final_px"] - first) * np.exp(-age / record["tau_frames"])
        return record["final_px"] - missing
    if record["law"] == "linear":
        return max(first + record["rate_px_per_frame"] * age, 0)
    return max(first**2 + record["rate_px2_per_frame"] * age, 0) ** 0.5


def test_hand_computed_sizes():
    growth = Growth(
        [
            Segment("saturating", 0.0, 0.0, final_px=20.0, tau=10.0),
            Segment.reaching("linear", 2.0, 0.0, 12.0, 6.0),
            Segment.reaching("parabolic", -4.0, 0.0, 10.0, 20.0),
            Segment("linear", 1.0, 9.0, rate=-3.0),
        ]
    )
    # 20 (1 - 1/e); 2 px a frame for 3 frames; 5 px^2 a frame for 9 frames; gone after 3 frames.
    assert growth.major(5.0) == pytest.approx([20 * (1 - np.exp(-0.5)), 6.0, 45**0.5, 0.0])
    assert growth.major(3.0, 3) == pytest.approx(3.0)
    assert growth.vanishing_time(3) == pytest.approx(4.0)
    assert growth.major(1.5)[1] == 0.0


@given(
    law=st.sampled_from(["saturating", "linear", "parabolic"]),
    start=st.floats(-50, 50), first=st.floats(0, 30), more=st.floats(0.1, 60),
    span=st.floats(0.5, 80), age=st.floats(0, 100),
)  # fmt: skip
def test_what_is_recorded_gives_the_size(law, start, first, more, span, age):
    if law == "saturating":
        segment = Segment(law, start, first, final_px=first + more, tau=span)
    else:
        segment = Segment.reaching(law, start, first, first + more, span)
        assert Growth([segment]).major(start + span)[0] == pytest.approx(first + more)
    growth = Growth([segment])
    expected = from_record(segment.as_dict(), start + age)
    assert growth.major(start + age)[0] == pytest.approx(expected, rel=1e-9, abs=1e-9)
    assert growth.major(start)[0] == pytest.approx(first)


@given(
    law=st.sampled_from(["saturating", "linear", "parabolic"]), gained=st.floats(-50, 400),
    time=st.floats(1, 40), later=st.floats(0, 40),
)  # fmt: skip
def test_a_change_of_size_keeps_the_law(law, gained, time, later):
    first = (
        Segment(law, 0.0, 8.0, final_px=20.0, tau=12.0) if law == "saturating"
        else Segment.reaching(law, 0.0, 8.0, 20.0, 30.0)
    )  # fmt: skip
    growth, left = Growth([first]), Growth([first])
    before = float(growth.major(time, 0))
    now = (before**2 + gained) ** 0.5
    growth.resize(0, time, now)
    assert growth.major(time, 0) == pytest.approx(now)
    first_record, record = (s.as_dict() for s in growth.history[0])
    assert record["start_frame"] == time
    assert from_record(record, time + later) == pytest.approx(float(growth.major(time + later, 0)))
    for name in ("tau_frames", "rate_px_per_frame", "rate_px2_per_frame"):
        assert record.get(name) == first_record.get(name)
    if law == "saturating":
        assert record["final_px"] ** 2 - 20.0**2 == pytest.approx(gained)
    if law == "parabolic":
        apart = growth.major(time + later, 0) ** 2 - left.major(time + later, 0) ** 2
        assert apart == pytest.approx(gained)


def test_no_loops():
    assert Growth([]).major(3.0).shape == (0,)
