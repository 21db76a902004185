"""Whether two runs would give the same numbers."""

from __future__ import annotations

import pytest

from defectscope.pipeline.plans import plan_difference


def plan(**depends_on):
    component = {"family": "detectors", "alias": "fine", "name": "heatmap", "distribution": "d",
                 "version": "1", "options": {"weights": "mine.safetensors"}}  # fmt: skip
    return {"components": [component | ({"depends_on": depends_on} if depends_on else {})],
            "inputs": {"a.png": "00"}}  # fmt: skip


def test_other_weights_under_the_same_name_are_told():
    one, other = plan(weights_sha256="aa"), plan(weights_sha256="bb")
    assert plan_difference(one, one) is None
    assert "fine depends on has changed" in (plan_difference(one, other) or "")


@pytest.mark.parametrize(
    ("key", "former", "now", "said"),
    [
        (
            "calibration",
            {"pixel_size_nm": None, "visible_fraction": {}},
            {"pixel_size_nm": 1.0, "visible_fraction": {}},
            "its calibration was none, now it is pixel_size_nm=1.0",
        ),
        ("roi", [0, 0, 9, 9], None, "its roi was [0, 0, 9, 9], now it is none"),
        ("vote", None, "3/5", "its vote was none, now it is 3/5"),
        ("readers", {}, {"tiff": {"a": 1}}, "its readers were none, now they are tiff={'a': 1}"),
        ("frames", [3, 0, 2], [2, 0, 1], "its frames were 3 (0 to 2), now they are 2 (0 to 1)"),
    ],
)
def test_what_was_not_given_is_none(key, former, now, said):
    assert plan_difference(plan() | {key: former}, plan() | {key: now}) == said


def test_an_option_that_is_not_set_is_none():
    one, other = plan(), plan()
    other["components"] = [other["components"][0] | {"options": {"weights": None}}]
    assert plan_difference(one, other) == "fine.weights was 'mine.safetensors', now it is none"


def test_plans_of_earlier_versions_say_nothing_of_weights():
    now = plan(weights_sha256="aa")
    assert plan_difference(plan(), now) is None
    # ... and what follows is looked at all the same.
    assert "input files have changed" in (
        plan_difference(plan() | {"inputs": {"a.png": "11"}}, now) or ""
    )


def test_analyses_decide_about_no_table():
    one, other = plan(), plan()
    analysis = {"family": "analyses", "alias": "sizes", "name": "sizes", "distribution": "d",
                "version": "1", "options": {}}  # fmt: skip
    one["components"] = [*one["components"], analysis]
    assert plan_difference(one, other) is None
    assert plan_difference(other, one) is None
    other["components"] = [*other["components"], analysis | {"version": "2"}]
    assert plan_difference(one, other) is None
    other["components"][0] = other["components"][0] | {"version": "2"}
    assert "fine had the version 1" in (plan_difference(one, other) or "")


def test_digests_that_are_not_known_differ_from_none():
    former, now = (plan(weights_sha256=digest, threshold=0.5) for digest in (None, "aa"))
    assert plan_difference(former, now) is None
    assert plan_difference(now, former) is None
    changed = plan(weights_sha256="aa", threshold=0.4)
    assert "fine depends on has changed" in (plan_difference(former, changed) or "")
    gone = plan(threshold=0.5)
    assert "fine depends on has changed" in (plan_difference(now, gone) or "")


def test_readers_of_another_version_may_give_other_pixels():
    now = plan() | {"read_by": {"lab/nrrd": "2.0"}}
    assert plan_difference(now, now) is None
    assert plan_difference(plan() | {"read_by": {"lab/nrrd": "1.0"}}, now) == (
        "the reader lab/nrrd had the version 1.0, now 2.0"
    )
    assert plan_difference(plan() | {"read_by": {"defectscope/tiff": "2.0"}}, now) == (
        "its files were read by defectscope/tiff, now by lab/nrrd"
    )
    # Plans of earlier versions say nothing of readers; a watched folder gains some.
    assert plan_difference(plan(), now) is None
    more = now | {"read_by": {"lab/nrrd": "2.0", "lab/ser": "2.0"}}
    assert plan_difference(now, more) is None
    assert plan_difference(more, now) is None


def test_files_are_the_same_from_wherever_the_program_was_started():
    former = plan() | {"inputs": {"a/1.tif": "aa", "b/1.tif": "bb", "2.tif": "cc"}}
    now = plan() | {"inputs": {"/data/b/1.tif": "bb", "/data/a/1.tif": "aa", "2.tif": "cc"}}
    assert plan_difference(former, now) is None
    for name in now["inputs"]:
        other = now | {"inputs": now["inputs"] | {name: "dd"}}
        assert "input files have changed" in (plan_difference(former, other) or "")
