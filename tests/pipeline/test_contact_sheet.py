"""Sheets of small pictures of labelled images, whatever the size of these."""

from __future__ import annotations

import numpy as np
import pytest

from defectscope.core.instances import Instances
from defectscope.pipeline.contact_sheet import contact_sheet


@pytest.mark.parametrize(
    ("shape", "height", "width"),
    [((64, 64), 100, 100), ((50, 200), 25, 100), ((16, 16384), 1, 100), ((16384, 16), 100, 1)],
)
def test_the_longer_side_of_pictures_is_as_asked(shape, height, width):
    truth = Instances(shape, [[4, 3, 12, 9]], defect_types="black dot")
    sheet = contact_sheet([(np.full(shape, 90, np.uint8), truth)], 2, 100)
    assert sheet.shape == (height, 2 * width, 3)
