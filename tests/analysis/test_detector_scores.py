"""Precision and recall that a user gives."""

from __future__ import annotations

import pytest

from defectscope.analysis.detector_scores import DetectorScoreOptions
from defectscope.core.errors import OptionError
from defectscope.core.options import validate_options


@pytest.mark.parametrize("name", ["precision", "recall"])
def test_an_error_of_nothing_is_refused(name):
    with pytest.raises(OptionError, match=f"{name}_error is that of {name}, which is not given"):
        validate_options(DetectorScoreOptions, {f"{name}_error": 0.1}, "density")
    given = validate_options(DetectorScoreOptions, {name: 0.5, f"{name}_error": 0.1}, "density")
    assert given.scores({}) == {name: 0.5, f"{name}_error": 0.1}
