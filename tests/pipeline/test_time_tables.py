"""Tables of frame times, laws and dose rates put together."""

from __future__ import annotations

import pandas as pd
import pytest

import defectscope as ds
from defectscope.core.errors import OptionError
from defectscope.core.findings import Tables
from defectscope.core.frame_times import FrameTimes
from defectscope.core.particles import particle_table
from defectscope.core.recalibration import recalibrated
from defectscope.pipeline.calibrating import merged_calibration, without_laws
from defectscope.pipeline.time_tables import outside_table

TIMES = FrameTimes(frame=(0, 10, 11, 20), time_s=(0, 20, 100, 118))
DOSES = FrameTimes(frame=(0, 20), dose_dpa=(1, 3))
LAWS = ds.Calibration(frame_interval_s=2.0, dose_start_dpa=0.5, dose_per_frame_dpa=0.1)


def merged(own: ds.Calibration, of_run: bool = True, **values: object):
    said: list[str] = []
    return merged_calibration(own, None, values, said, of_run=of_run), said


def test_a_table_replaces_the_laws_of_its_quantities_alone():
    known, said = merged(LAWS, frame_times=DOSES)
    assert (known.dose_dpa(10), known.time_s(10)) == (2, 20)
    assert known.dose_per_frame_dpa is known.dose_start_dpa is None
    assert said == [
        "the run has 0.5 dpa at frame index 0, but a table of frames was given and is used",
        "the run has 0.1 dpa a frame, but a table of frames was given and is used",
    ]
    known, _ = merged(LAWS, frame_times=TIMES)
    assert (known.dose_dpa(10), known.time_s(11), known.frame_interval_s) == (1.5, 100, None)


def test_even_times_are_an_interval_too():
    even = FrameTimes(frame=(0, 4), time_s=(3, 5))
    known, said = merged(ds.Calibration(), frame_times=even)
    assert (known.frame_interval_s, known.time_s(0)) == (0.5, 3)
    assert said == []


def test_times_and_doses_may_come_from_two_tables():
    known, _ = merged(ds.Calibration(frame_times=TIMES), frame_times=DOSES)
    assert (known.time_s(11), known.dose_dpa(10), known.dose_dpa(20)) == (100, 2, 3)
    assert known.frame_times.frame == (0, 10, 11, 20)
    later = FrameTimes(frame=(30, 40), dose_dpa=(1, 2))
    with pytest.raises(OptionError, match="knows frames 30 to 40, and that of the run 0 to 20"):
        merged(ds.Calibration(frame_times=TIMES), frame_times=later)


def test_a_law_replaces_the_table_of_a_run():
    both = TIMES.model_copy(update={"dose_dpa": (1.0, 2.0, 2.0, 3.0)})
    known, said = merged(ds.Calibration(frame_times=both), frame_interval_s=1.0)
    assert (known.time_s(11), known.dose_dpa(11)) == (11, 2)
    assert said == [
        "the run has a table of frame times, but other times or doses were given and are used"
    ]


@pytest.mark.parametrize(
    ("table", "law"),
    [
        (TIMES, {"frame_interval_s": 1.0}),
        (DOSES, {"dose_per_frame_dpa": 1.0}),
        (DOSES, {"dose_rate_dpa_per_s": 1.0, "frame_interval_s": 1.0}),
    ],
)
def test_both_for_one_quantity_are_refused(table, law):
    with pytest.raises(OptionError, match=f"so that {next(iter(law))} means nothing; leave out"):
        merged(ds.Calibration(), frame_times=table, **law)


def test_a_dose_rate_makes_doses_of_the_times():
    values = {"frame_times": TIMES, "dose_rate_dpa_per_s": 0.01}
    known, said = merged(ds.Calibration(), dose_start_dpa=0.2, **values)
    assert known.dose_dpa(11) == pytest.approx(1.2)
    assert said == []
    # ... also of those of a run.
    again, _ = merged(known, dose_rate_dpa_per_s=0.02)
    assert again.dose_dpa(11) == pytest.approx(2.2)
    with pytest.raises(OptionError, match="needs the dose at time 0; give --dose-start too"):
        merged(ds.Calibration(), **values)


def test_a_rate_over_a_table_leaves_no_law_of_a_run():
    known, _ = merged(LAWS, frame_times=TIMES, dose_rate_dpa_per_s=0.01)
    assert (known.dose_start_dpa, known.dose_per_frame_dpa) == (0.5, None)
    assert known.dose_dpa(11) == pytest.approx(1.5)


def test_doses_that_go_on_through_a_pause_are_said():
    said = merged(LAWS, frame_times=TIMES)[1]
    assert said[-1].startswith("the dose of a frame stays 0.1 dpa; give --dose-rate or")
    with_doses = TIMES.model_copy(update={"dose_dpa": (1.0, 2.0, 2.0, 3.0)})
    assert not any("stays" in text for text in merged(LAWS, frame_times=with_doses)[1])
    assert not any("stays" in text for text in merged(LAWS, frame_times=DOSES)[1])


def test_frames_beside_the_table_are_counted():
    known = ds.Calibration(frame_times=TIMES)
    assert outside_table(known, range(21)) == outside_table(LAWS, range(99)) == []
    assert outside_table(known, range(25)) == [
        "the table of frame times goes from frame 0 to 20: 4 of 25 frames lie beside it and have "
        "no time_s"
    ]


def test_unrelated_images_have_no_table():
    said: list[str] = []
    left = without_laws(ds.Calibration(frame_times=TIMES, dose_start_dpa=1), said)
    assert (left.frame_times, left.dose_start_dpa) == (None, 1)
    assert "have no time by their numbers; leave out --frame-times, also" in said[0]


def test_tables_of_a_run_under_a_table_of_times():
    frames = pd.DataFrame({"frame": [0, 11, 25], "time_s": [0.0, 22.0, 50.0], "dose_dpa": 1.0})
    tables = Tables(frames, frames[["frame"]].assign(time_s=1.0), None, None, LAWS, "x")
    found = recalibrated(tables, replace_laws())
    assert found.frames["time_s"].tolist()[:2] == [0, 100]
    assert found.frames["time_s"].isna().tolist() == [False, False, True]


def replace_laws() -> ds.Calibration:
    return LAWS.model_copy(update={"frame_times": TIMES, "frame_interval_s": None})


def test_lives_count_the_pause_between_their_ends():
    tracks = pd.DataFrame(
        {"particle": [0, 0, 1, 1, 2], "frame": [2, 9, 10, 11, 20], "x": 0.0, "y": 0.0,
         "interpolated": False, "origin": "d"}
    )  # fmt: skip
    lives = particle_table(tracks, ds.Calibration(frame_times=TIMES))["lifetime_s"]
    # Even frames: 8 frames of 2 s. Over the pause: 80 s and half a step at each end.
    assert lives.tolist() == [16, 82, 2]
    # An even table has an interval, and knows no life of what lies beside it.
    even = FrameTimes(frame=(2, 11), time_s=(0, 18))
    known = ds.Calibration(frame_times=even, frame_interval_s=2.0)
    lives = particle_table(tracks, known)["lifetime_s"]
    assert (lives[0], lives[1]) == (16, 4)
    assert lives.isna().tolist() == [False, False, True]
