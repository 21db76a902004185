"""Which trainings are the same, and can be gone on with."""

from __future__ import annotations

import json

import pytest

from defectscope.core.errors import OptionError
from defectscope.detectors.learning.plans import expect_same

RECIPE = {"title": "loops", "seed": 0}


@pytest.fixture
def noted(tmp_path):
    """Return a function that notes a plan."""

    def note(plan):
        (tmp_path / "plan.json").write_text(json.dumps(plan))
        return tmp_path / "plan.json"

    return note


def test_random_streams_are_not_mixed(noted):
    before, now = {"data": RECIPE}, {"data": RECIPE | {"streams": 2}}
    with pytest.raises(OptionError, match=r"data\.streams was 1, now it is 2; use its values"):
        expect_same(noted(before), now)
    with pytest.raises(OptionError, match=r"data\.streams was 2, now it is 1; use its values"):
        expect_same(noted(now), before)
    for plan in (before, now):
        expect_same(noted(plan), plan)
