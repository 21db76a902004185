"""The strip with what is known of a frame, and its scale bar."""

from __future__ import annotations

import numpy as np
import pytest

from defectscope.pipeline.caption import (
    scale_bar,
)
from defectscope.pipeline.strip import ROW_PX, Part, ScaleBar, draw_strip, rows_needed


def test_a_strip_has_the_rows_that_its_parts_need():
    words = [Part("frame 7"), Part("n = 84"), Part("0.000 dpa")]
    colours = [Part("Loop", (255, 0, 0)), Part("Line", (0, 255, 0))]
    bar = ScaleBar(40.0, "20 nm")
    widths = (600, 150, 90)
    needed = [rows_needed([words, colours], bar, width) for width in widths]
    assert needed[0] == 2
    assert needed == sorted(needed)
    for width, rows in zip(widths, needed, strict=True):
        strip = draw_strip([words, colours], bar, width, rows)
        assert strip.shape == (rows * ROW_PX, width, 3)
        for _, colour in colours:
            assert (strip == colour).all(axis=2).sum() == 100
        assert (strip == 255).all(axis=2).sum(axis=1).max() >= 40
        # Nothing is cut by the right edge.
        assert strip[:, -1].max() == 0
    assert rows_needed([], None, 90) == 1


def test_what_does_not_fit_is_left_out_whole():
    words = [Part("frame 7"), Part("0.000 dpa")]
    whole = draw_strip([words], None, 200, 1)
    end = int(np.nonzero(whole.any(axis=(0, 2)))[0].max())
    narrow = draw_strip([words], None, end - 10, 1)
    np.testing.assert_array_equal(narrow, draw_strip([words[:1]], None, end - 10, 1))
    assert not draw_strip([words], ScaleBar(9.0, "20 nm"), 20, 2).any()


@pytest.mark.parametrize(
    ("width", "nm", "text"),
    [(1120, 0.37197, "50 nm"), (1024, 0.5, "100 nm"), (100, 0.01, "0.2 nm"), (2048, 5, "2 µm")],
)
def test_a_scale_bar_has_a_round_length_of_a_tenth_to_a_fifth_of_the_frame(width, nm, text):
    bar = scale_bar(width, nm)
    assert bar.text == text
    assert 0.07 * width < bar.length_px <= 0.2 * width
    number, unit = text.split()
    assert bar.length_px * nm == pytest.approx(float(number) * (1000 if unit == "µm" else 1))
