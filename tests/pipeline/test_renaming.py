"""New names for defect types."""

from __future__ import annotations

import pytest

from defectscope import OptionError
from defectscope.pipeline.renaming import check_renames


def test_the_uncertain_cannot_be_made_sure_by_a_name():
    there = ["loop", "uncertain"]
    check_renames({"loop": "uncertain", "uncertain": "uncertain"}, there)
    with pytest.raises(OptionError, match=r"'uncertain' are ignored, .* the name 'loop'; where"):
        check_renames({"uncertain": "loop"}, there)
    with pytest.raises(OptionError, match="there is no defect type 'uncertain'; there are: loop"):
        check_renames({"uncertain": "loop"}, ["loop"])
