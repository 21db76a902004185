"""Precision and recall that a user gives."""

from __future__ import annotations

import pytest

from defectscope.analysis.detector_scores import DetectorScoreOptions, detector_note
from defectscope.core.errors import OptionError
from defectscope.core.options import validate_options


@pytest.mark.parametrize("name", ["precision", "recall"])
def test_an_error_of_nothing_is_refused(name):
    with pytest.raises(OptionError, match=f"{name}_error is that of {name}, which is not given"):
        validate_options(DetectorScoreOptions, {f"{name}_error": 0.1}, "density")
    given = validate_options(DetectorScoreOptions, {name: 0.5, f"{name}_error": 0.1}, "density")
    assert given.scores({}) == {name: 0.5, f"{name}_error": 0.1}


@pytest.mark.parametrize(
    ("errors", "text"),
    [
        ({}, "(by its card; errors not known)"),
        ({"precision_error": 0.0}, "(by its card; error of recall not known)"),
        ({"precision_error": 0.02, "recall_error": 0.0}, "(by its card)"),
    ],
)
def test_errors_that_nobody_knows_are_said(errors, text):
    scores = {"precision": 0.8, "recall": 0.9, **errors}
    assert text in detector_note(scores, "by its card")
    assert "(by its card)" in detector_note(scores, "by its card", for_counts=False)
