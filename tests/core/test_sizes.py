from __future__ import annotations

import numpy as np
import pytest

from defectscope.core.defect_types import DefectType
from defectscope.core.instances import Instances
from defectscope.core.sizes import count_error, size_errors, statistics_by_type

SHAPE = (400, 4000)
LOOP, DOT, SQUARE = "a/2<111> loop", "black dot", "a<100> loop"
TYPES = {
    LOOP: DefectType(LOOP, "loop", "ellipse"),
    SQUARE: DefectType(SQUARE, "loop", "ellipse"),
    DOT: DefectType(DOT, "dot", "ellipse", size_definition="equivalent-diameter"),
}


def frame(n, ignore=None):
    x = np.arange(n) * 3.0
    return Instances(
        SHAPE, np.stack([x, x, x + 2, x + 2], 1), defect_types=["loop"] * n, ignore=ignore
    )


def sized(widths, heights, ignore=None):
    x = np.arange(len(widths)) * 100.0
    boxes = np.stack([x, 0 * x, x + widths, np.array(heights, float)], 1)
    return Instances(SHAPE, boxes, defect_types=[LOOP] * len(widths), ignore=ignore)


def measured(names, major, minor):
    n = len(names)
    x = np.arange(n) * 50.0
    return Instances(
        SHAPE,
        np.stack([x, 0 * x, x + 30, 0 * x + 30], 1),
        defect_types=names,
        measurements={"major_px": major, "minor_px": minor},
        units={"major_px": "px", "minor_px": "px"},
    )


class TestCountError:
    def test_by_hand(self):
        found = count_error(
            [(frame(9), frame(10)), (frame(6), frame(4)), (frame(2), frame(0))], 0.15
        )
        assert found["predicted_count"] == 17
        assert found["true_count"] == 14
        assert found["count_error"] == pytest.approx(3 / 14)
        assert found["mean_absolute_count_error_per_frame"] == pytest.approx((0.1 + 0.5) / 2)
        assert found["largest_absolute_count_error_per_frame"] == pytest.approx(0.5)

    def test_ignored_truth_is_not_counted(self):
        found = count_error([(frame(2), frame(4, [True, False, False, True]))], 0.15)
        assert found["true_count"] == 2
        # The first prediction lies on ignored truth: neither right nor wrong.
        assert found["predicted_count"] == 1
        assert found["count_error"] == pytest.approx(-0.5)

    def test_what_is_not_known_without_truth(self):
        found = count_error([(frame(3), frame(0))], 0.15)
        assert found["predicted_count"] == 3
        assert found["count_error"] is None
        assert found["mean_absolute_count_error_per_frame"] is None
        assert count_error([], 0.15)["count_error"] is None

    @pytest.mark.parametrize(
        ("true", "predicted", "percent"), [(177, 221, 24.9), (341, 498, 46.0), (132, 179, 35.6)]
    )
    def test_p3_table_3(self, true, predicted, percent):
        """Areal densities in 1e12 per m2 are numbers in one field of view."""
        error = count_error([(frame(predicted), frame(true))], 0.15)["count_error"]
        assert round(100 * error, 1) == percent


class TestSizeErrors:
    def test_the_median_of_the_longer_side_frame_by_frame(self):
        first = (sized([10, 20, 33], [5, 22, 5]), sized([10, 20, 30], [5, 5, 5]))
        second = (sized([8], [4]), sized([4, 10], [10, 4]))
        found = size_errors([first, second], 0.15, TYPES)
        assert found["median_side_error_per_frame"] == pytest.approx((0.1 + 0.2) / 2)
        assert found["largest_median_side_error"] == pytest.approx(0.2)
        assert found["diameter_by_type"] == {}

    def test_ignored_truth_does_not_enter_the_median(self):
        found = size_errors([(sized([10], [5]), sized([10, 90], [5, 5], [False, True]))], 0.15, {})
        assert found["median_side_error_per_frame"] == 0

    def test_the_smallest_that_is_found_is_one_that_is_there(self):
        found = size_errors([(sized([9, 4], [5, 80]), sized([10, 7], [5, 5]))], 0.15, TYPES)
        assert (found["smallest_found_side_px"], found["smallest_true_side_px"]) == (9, 7)

    def test_frames_without_truth_or_prediction_have_no_median(self):
        nothing = Instances.empty(SHAPE)
        pairs = [(nothing, sized([10], [5])), (sized([10], [5]), nothing), (nothing, nothing)]
        assert size_errors(pairs, 0.15, TYPES) == {
            "median_side_error_per_frame": None,
            "largest_median_side_error": None,
            "smallest_found_side_px": None,
            "smallest_true_side_px": 10,
            "diameter_by_type": {},
        }

    def test_p3_table_3(self):
        """Diameters by each type's own definition give the printed relative errors."""
        # A dot of 16.4 x 4.1 px has the diameter sqrt(16.4 * 4.1) = 8.2 px, a loop its major axis.
        true = measured([LOOP, DOT, SQUARE], [22.4, 16.4, 20.3], [3, 4.1, 3])
        predicted = measured([LOOP, DOT, SQUARE], [23.1, 9.1, 22.4], [8, 9.1, 8])
        by_type = size_errors([(predicted, true)], 0.4, TYPES)["diameter_by_type"]
        percent = {name: 100 * values["relative_error"] for name, values in by_type.items()}
        # Printed: 3.1, 10.9, 10.3 %; the second is cut off rather than rounded.
        assert percent == pytest.approx({LOOP: 3.1, DOT: 10.95, SQUARE: 10.3}, abs=0.05)
        assert by_type[DOT]["true_mean_diameter_px"] == pytest.approx(8.2)
        assert by_type[DOT]["predicted_mean_diameter_px"] == pytest.approx(9.1)

    def test_only_matched_instances_with_known_axes_on_both_sides(self):
        true = measured([DOT] * 4, [8, 8, np.nan, 8], [8, 8, 8, 8])
        predicted = measured([DOT] * 3, [10, np.nan, 10], [10, 10, 10])
        by_type = size_errors([(predicted, true)], 0.4, TYPES)["diameter_by_type"]
        assert by_type[DOT]["matched"] == 1
        assert by_type[DOT]["relative_error"] == pytest.approx(0.25)

    def test_frames_are_pooled(self):
        pairs = [
            (measured([LOOP], [12], [5]), measured([LOOP], [10], [5])),
            (measured([LOOP], [20], [5]), measured([LOOP], [22], [5])),
        ]
        found = size_errors(pairs, 0.4, TYPES)["diameter_by_type"][LOOP]
        assert found["matched"] == 2
        assert found["relative_error"] == pytest.approx(0)

    @pytest.mark.parametrize(("name", "taken_for", "size"), [(LOOP, DOT, 20), (DOT, LOOP, 10)])
    def test_a_wrong_type_is_listed_under_the_true_one_and_is_no_wrong_size(
        self, name, taken_for, size
    ):
        pair = (measured([taken_for], [20], [5]), measured([name], [20], [5]))
        by_type = size_errors([pair], 0.4, TYPES)["diameter_by_type"]
        assert list(by_type) == [name]
        assert by_type[name]["predicted_mean_diameter_px"] == pytest.approx(size)
        assert by_type[name]["relative_error"] == pytest.approx(0)


def test_populations_by_type_are_compared_whether_matched_or_not():
    true = measured([LOOP, LOOP, DOT], [20.0, 30.0, 8.0], [10.0, 10.0, 2.0])
    found = measured([LOOP, DOT, DOT], [22.0, 9.0, 4.0], [10.0, 4.0, 4.0])
    table = statistics_by_type([(found, true)], 0.4, TYPES)
    loop, dot = table[LOOP], table[DOT]
    assert (loop["predicted_count"], loop["true_count"], loop["density_error"]) == (1, 2, -0.5)
    assert loop["true_mean_diameter_px"] == 25
    # Of 20 and 30: a standard deviation of 50 ** 0.5, over 2 ** 0.5.
    assert loop["true_diameter_error_px"] == pytest.approx(5)
    assert loop["predicted_diameter_error_px"] is None
    assert loop["mean_diameter_error"] == pytest.approx(22 / 25 - 1)
    assert loop["true_area_fraction"] == pytest.approx(np.pi / 4 * 500 / (400 * 4000))
    # Of a dot, the diameter is that of a circle of its area.
    assert dot["true_mean_diameter_px"] == pytest.approx(4)
    assert dot["predicted_mean_diameter_px"] == pytest.approx(5)
    assert dot["density_error"] == 1


def test_those_of_unknown_axes_cover_as_much_as_the_others():
    true = measured([LOOP] * 4, [20.0, 20.0, 40.0, 40.0], [10.0] * 4)
    found = measured([LOOP] * 4, [20.0, np.nan, 40.0, np.nan], [10.0, np.nan, 10.0, np.nan])
    row = statistics_by_type([(found, true), (sized([30], [30]), frame(0))], 0.4, TYPES)[LOOP]
    assert row["predicted_count"] == 5
    area = np.pi / 4 * 300
    assert row["true_area_fraction"] == pytest.approx(4 * area / (2 * 400 * 4000))
    assert row["predicted_area_fraction"] == pytest.approx(5 * area / (2 * 400 * 4000))


def test_ignored_truth_and_unknown_axes_do_not_count():
    true = sized([20, 30], [10, 10], ignore=[False, True])
    table = statistics_by_type([(true, true)], 0.4, TYPES)
    assert table[LOOP]["true_count"] == table[LOOP]["predicted_count"] == 1
    assert table[LOOP]["true_mean_diameter_px"] is None
    assert table[LOOP]["mean_diameter_error"] is None
    assert statistics_by_type([], 0.4, TYPES) == {}
