from __future__ import annotations

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from defectscope.core.instances import Instances
from defectscope.core.masks import Mask

SHAPE = (100, 120)


def boxes(n):
    x = np.arange(n, dtype=np.float32)
    return np.stack([x, x + 1, x + 5, x + 7], axis=1)


def full(n=3, shape=SHAPE, start=0):
    """Instances with everything they can have, told apart by `start`."""
    number = np.arange(start, start + n)
    return Instances(
        shape,
        boxes(n) + start,
        scores=(number + 1) / 100,
        defect_types=[f"type {k}" for k in number],
        ignore=number % 2 == 1,
        masks=[Mask(int(k), int(k), np.ones((2, 2), bool)) for k in number],
        lines=[[[k, k], [k + 3, k + 4]] for k in number],
        measurements={"x": number + 0.5, "y": number + 0.25, "track_id": number},
        units={"x": "px", "y": "px"},
    )


def numbers(instances):
    return instances.measurements["track_id"].tolist()


def assert_consistent(instances):
    """Everything of an instance carries the number it was made with."""
    ids = instances.measurements["track_id"]
    assert instances.defect_types.tolist() == [f"type {k}" for k in ids]
    assert instances.ignore.tolist() == [k % 2 == 1 for k in ids]
    assert np.allclose(instances.scores, (ids + 1) / 100)
    assert np.array_equal(instances.measurements["x"], ids + 0.5)
    assert [mask.x for mask in instances.masks] == ids.tolist()
    assert [line[0, 0] for line in instances.lines] == ids.tolist()


class TestConstruction:
    def test_types_of_the_fields(self):
        found = full()
        assert len(found) == 3
        assert found.image_shape == SHAPE
        assert found.boxes.dtype == found.scores.dtype == np.float32
        assert found.ignore.dtype == bool
        assert found.defect_types.dtype.kind == "U"
        assert isinstance(found.masks, tuple)
        assert found.lines[0].shape == (2, 2)
        assert found.measurements["track_id"].dtype.kind == "i"
        assert found.units == {"x": "px", "y": "px", "track_id": ""}

    def test_defaults(self):
        found = Instances(SHAPE, [[0, 0, 2, 3]], defect_types="black dot")
        assert found.scores.tolist() == [1]
        assert found.ignore.tolist() == [False]
        assert found.defect_types.tolist() == ["black dot"]
        assert found.masks is None
        assert found.lines is None
        assert found.measurements == {}

    def test_one_name_holds_for_all(self):
        assert Instances(SHAPE, boxes(3), defect_types="loop").defect_types.tolist() == ["loop"] * 3

    @pytest.mark.parametrize("nothing", [[], np.zeros((0, 4)), np.zeros((0,))])
    def test_nothing_found(self, nothing):
        for found in (Instances(SHAPE, nothing), Instances.empty(SHAPE)):
            assert len(found) == 0
            assert found.boxes.shape == (0, 4)
            assert found.boxes.dtype == found.scores.dtype == np.float32
            assert found.defect_types.dtype.kind == "U"

    def test_nothing_found_with_every_field_given(self):
        found = Instances(SHAPE, [], [], [], [], [], [], {"area_px": []}, {"area_px": "px2"})
        assert len(found) == 0
        assert found.masks == found.lines == ()
        assert found.measurements["area_px"].shape == (0,)

    @pytest.mark.parametrize(
        ("given", "message"),
        [
            ({"boxes": np.zeros((2, 5))}, r"boxes: expected shape \(n, 4\), found \(2, 5\)"),
            ({"boxes": [1, 2, 3, 4]}, r"boxes: expected shape \(n, 4\), found \(4,\)"),
            ({"boxes": [[0, 0, np.nan, 3]]}, "boxes: every coordinate must be finite"),
            ({"boxes": [[0, 0, np.inf, 3]]}, "boxes: every coordinate must be finite"),
            (
                {"boxes": [[0, 0, 2, 3], [5, 0, 5, 3]]},
                r"x_max must exceed x_min .*, found \[5.0, 0.0, 5.0, 3.0\] at position 1",
            ),
            ({"boxes": [[0, 3, 2, 1]]}, "y_max must exceed y_min"),
            ({"scores": [0.5]}, r"scores: expected shape \(2,\), found \(1,\)"),
            ({"scores": 0.5}, r"scores: expected shape \(2,\), found \(\)"),
            ({"scores": [0.5, np.nan]}, "scores: every value must be finite"),
            ({"ignore": [True] * 3}, r"ignore: expected shape \(2,\), found \(3,\)"),
            ({"defect_types": None}, "defect_types: expected 2 names, found none"),
            ({"defect_types": []}, r"defect_types: expected 2 names, found shape \(0,\)"),
            ({"defect_types": ["a"] * 3}, r"defect_types: expected 2 names, found shape \(3,\)"),
            ({"defect_types": ["a", ""]}, "defect_types: every entry must be a non-empty name"),
            ({"defect_types": ["a", None]}, "defect_types: every entry must be a non-empty name"),
            ({"defect_types": [1, 2]}, "defect_types: every entry must be a non-empty name"),
            ({"defect_types": [b"a", b"b"]}, "defect_types: every entry must be a non-empty name"),
            ({"masks": []}, "masks: expected 2, found 0"),
            ({"lines": [[[0, 0]]]}, "lines: expected 2, found 1"),
            (
                {"lines": [[[0, 0]], [[1, 2, 3]]]},
                r"lines: expected points of shape \(k, 2\), found \(1, 3\)",
            ),
            (
                {"measurements": {"area_px": [1, 2, 3]}},
                r"measurement 'area_px': expected shape \(2,\), found \(3,\)",
            ),
            ({"image_shape": (100, 120, 3)}, r"image_shape: expected \(height, width\), found"),
            ({"image_shape": (-1, 5)}, r"image_shape: expected \(height, width\), found"),
        ],
    )
    def test_messages_name_expected_and_actual(self, given, message):
        fitting = {"image_shape": SHAPE, "boxes": boxes(2), "defect_types": ["a", "b"]}
        with pytest.raises(ValueError, match=message):
            Instances(**{**fitting, **given})

    def test_masks_must_be_masks(self):
        with pytest.raises(TypeError, match="masks must be Mask objects, found ndarray"):
            Instances(SHAPE, boxes(1), defect_types="a", masks=[np.ones((2, 2), bool)])

    def test_no_names_are_needed_for_nothing_but_too_many_are_refused(self):
        with pytest.raises(ValueError, match=r"expected 0 names, found shape \(1,\)"):
            Instances(SHAPE, [], defect_types=["a"])

    def test_instances_cannot_be_changed(self):
        with pytest.raises(AttributeError):
            full().scores = np.zeros(3)

    def test_what_was_given_may_change_later(self):
        given = {
            "boxes": np.array([[0, 0, 4, 4]], np.float32),
            "scores": np.ones(1, np.float32),
            "defect_types": np.array(["black dot"]),
            "ignore": np.zeros(1, bool),
            "lines": [np.zeros((2, 2))],
            "measurements": {"x": np.zeros(1)},
        }
        found = Instances((8, 8), **given)
        for name in ("boxes", "scores", "ignore"):
            given[name][:] = 9
        given["defect_types"][:] = "x"
        given["lines"][0][:] = 9
        given["measurements"]["x"][:] = 9
        assert found.boxes.tolist() == [[0, 0, 4, 4]]
        assert (found.scores[0], found.ignore[0], found.measurements["x"][0]) == (1, False, 0)
        assert found.defect_types[0] == "black dot"
        assert found.lines[0].sum() == 0

    def test_one_line_shows_what_there_is(self):
        assert repr(full()) == (
            f"<Instances: 3 in {SHAPE[1]} x {SHAPE[0]} px; 1 type 0, 1 type 1, 1 type 2; "
            "with masks, lines, x, y, track_id>"
        )
        assert repr(Instances.empty((8, 9))) == "<Instances: 0 in 9 x 8 px>"

    def test_more_than_a_hundred(self):
        assert len(Instances(SHAPE, boxes(1000), defect_types="loop")[:]) == 1000


class TestSelection:
    @pytest.mark.parametrize(
        ("item", "expected"),
        [
            (slice(1, None), [1, 2]),
            (slice(None, None, -1), [2, 1, 0]),
            ([2, 0], [2, 0]),
            ([1, 1], [1, 1]),
            (np.array([-1]), [2]),
            ([True, False, True], [0, 2]),
            (np.zeros(3, bool), []),
            ([], []),
            (np.array([], np.int64), []),
            (slice(0, 0), []),
            (1, [1]),
            (-1, [2]),
            (np.int64(2), [2]),
        ],
    )
    def test_by_mask_slice_positions_or_position(self, item, expected):
        found = full()[item]
        assert numbers(found) == expected
        assert found.units == full().units
        assert found.image_shape == SHAPE
        assert_consistent(found)

    @pytest.mark.parametrize("item", [3, [0, 5], [True, False], np.ones(4, bool)])
    def test_what_does_not_fit_is_refused(self, item):
        with pytest.raises(IndexError):
            full()[item]

    def test_out_of_nothing(self):
        nothing = Instances.empty(SHAPE)
        for item in ([], slice(None), np.zeros(0, bool)):
            assert len(nothing[item]) == 0

    def test_one_after_the_other(self):
        assert [numbers(one) for one in full()] == [[0], [1], [2]]

    def test_a_selection_shares_no_memory(self):
        found = full()
        part = found[:2]
        part.boxes[:] = 0
        assert found.boxes[0, 2] == 5


class TestConcatenate:
    @given(st.lists(st.integers(0, 4), min_size=1, max_size=5))
    def test_everything_stays_in_order(self, sizes):
        starts = np.cumsum([0, *sizes])[:-1].tolist()
        parts = [full(n, start=s) if n else Instances.empty(SHAPE) for n, s in zip(sizes, starts)]  # noqa: B905
        joined = Instances.concatenate(parts)
        assert len(joined) == sum(sizes)
        if sum(sizes):
            assert numbers(joined) == list(range(sum(sizes)))
            assert joined.measurements["track_id"].dtype.kind == "i"
            assert joined.units == full().units
            assert_consistent(joined)

    def test_nothing_with_nothing(self):
        joined = Instances.concatenate([Instances.empty(SHAPE)] * 2)
        assert len(joined) == 0
        assert joined.image_shape == SHAPE

    def test_columns_of_empty_parts_are_kept(self):
        nothing = full(0)
        assert set(Instances.concatenate([nothing, Instances.empty(SHAPE)]).measurements) == {
            "x", "y", "track_id"
        }  # fmt: skip
        plain = Instances(SHAPE, boxes(1), defect_types="loop")
        joined = Instances.concatenate([nothing, plain])
        assert np.isnan(joined.measurements["x"]).all()
        assert joined.units["x"] == "px"

    def test_absent_measurements_become_nan(self):
        plain = Instances(SHAPE, boxes(1), defect_types="loop", measurements={"area_px": [9]})
        joined = Instances.concatenate([full(2), plain])
        assert joined.measurements["track_id"].tolist()[:2] == [0, 1]
        assert np.isnan(joined.measurements["track_id"][2])
        assert np.isnan(joined.measurements["area_px"][:2]).all()
        assert joined.measurements["area_px"][2] == 9

    def test_absent_masks_and_lines_become_empty(self):
        loops = Instances(
            SHAPE, boxes(2), defect_types="loop", masks=[Mask(1, 1, np.ones((2, 2), bool))] * 2
        )
        dislocations = Instances(
            SHAPE, boxes(1), defect_types="dislocation", lines=[[[0, 0], [5, 5]]]
        )
        joined = Instances.concatenate([loops, Instances.empty(SHAPE), dislocations])
        assert [mask.area_px for mask in joined.masks] == [4, 4, 0]
        assert [line.shape for line in joined.lines] == [(0, 2), (0, 2), (2, 2)]

    def test_what_no_part_has_stays_absent(self):
        plain = Instances(SHAPE, boxes(1), defect_types="loop")
        joined = Instances.concatenate([plain, plain])
        assert joined.masks is None
        assert joined.lines is None

    def test_frames_of_different_shapes_are_refused(self):
        with pytest.raises(ValueError, match=r"different shapes: \[\(50, 50\), \(100, 120\)\]"):
            Instances.concatenate([full(), Instances.empty((50, 50))])

    def test_nothing_at_all_is_refused(self):
        with pytest.raises(ValueError, match="at least one"):
            Instances.concatenate([])


class TestChanges:
    def test_moving_moves_every_position(self):
        found = full()
        moved = found.moved(10, -0.75, (200, 300))
        assert moved.image_shape == (200, 300)
        assert np.allclose(moved.boxes - found.boxes, [10, -0.75, 10, -0.75])
        assert [(m.x, m.y) for m in moved.masks] == [(10, -1), (11, 0), (12, 1)]
        assert np.allclose(moved.lines[1] - found.lines[1], [10, -0.75])
        assert np.allclose(moved.measurements["x"], found.measurements["x"] + 10)
        assert np.allclose(moved.measurements["y"], found.measurements["y"] - 0.75)
        assert numbers(moved) == numbers(found)
        assert found.boxes[0, 0] == 0

    def test_moving_there_and_back(self):
        back = full().moved(7, 9, SHAPE).moved(-7, -9, SHAPE)
        assert np.array_equal(back.boxes, full().boxes)
        assert_consistent(back)

    def test_moving_what_has_boxes_only(self):
        assert Instances(SHAPE, [[1, 2, 3, 4]], defect_types="a").moved(
            1, 1, SHAPE
        ).boxes.tolist() == [[2, 3, 4, 5]]
        assert len(Instances.empty(SHAPE).moved(1, 1, SHAPE)) == 0

    def test_measurements_are_added_and_replaced(self):
        found = full(2)
        changed = found.with_measurements(
            {"area_px": [4, 5], "x": [7, 8], "track_id": [7, 8]}, {"area_px": "px2", "x": "px"}
        )
        assert changed.measurements["area_px"].tolist() == [4, 5]
        assert changed.measurements["x"].tolist() == [7, 8]
        assert changed.units == {"x": "px", "y": "px", "track_id": "", "area_px": "px2"}
        assert "area_px" not in found.measurements
        assert found.measurements["x"].tolist() == [0.5, 1.5]

    def test_measurements_of_another_length_are_refused(self):
        with pytest.raises(ValueError, match=r"'area_px': expected shape \(2,\), found \(1,\)"):
            full(2).with_measurements({"area_px": [4]}, {})

    def test_instances_pickle(self):
        found = full()
        back = pickle.loads(pickle.dumps(found))
        assert np.array_equal(back.boxes, found.boxes)
        assert back.units == found.units
        assert_consistent(back)
        assert numbers(back[1:]) == [1, 2]


def test_all_positions_move_with_the_frame():
    given = Instances(
        (9, 9), [[0, 0, 1, 1]], defect_types=["dislocation"],
        measurements={"start_x_px": [5.0], "end_y_px": [2.0], "length_px": [4.0]},
        units={"start_x_px": "px", "end_y_px": "px", "length_px": "px"},
    )  # fmt: skip
    moved = given.moved(10, 20, (99, 99)).measurements
    assert [float(moved[n][0]) for n in ("start_x_px", "end_y_px", "length_px")] == [15, 22, 4]
