from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from defectscope.core.calibration import Calibration
from defectscope.core.defect_types import DefectType
from defectscope.core.frames import Frame
from defectscope.core.instances import Instances
from defectscope.core.tables import (
    DETECTION_COLUMNS,
    FRAME_COLUMNS,
    GEOMETRY_COLUMNS,
    calibrated,
    detection_table,
    diameters,
    empty_table,
    geometry_columns,
    taken_names,
    unit_twin,
)

PIXELS = np.arange(400, dtype=np.uint8).reshape(20, 20) // 2
KNOWN = Calibration(
    pixel_size_nm=0.5, frame_interval_s=1.75, dose_start_dpa=0.8534, dose_per_frame_dpa=0.0014
)
TYPES = {
    "loop": DefectType("loop", "Loop", "ellipse"),
    "dot": DefectType("dot", "Dot", "ellipse", size_definition="equivalent-diameter"),
    "dislocation": DefectType("dislocation", "Line", "line"),
}


def frame(calibration=KNOWN, index=480):
    return Frame(PIXELS, index, calibration, f"Frame{index}.jpg")


def found():
    nan = np.nan
    return Instances(
        (20, 20),
        [[0, 0, 10, 4], [2, 2, 10, 10], [5, 1, 6, 9]],
        scores=np.array([0.7, 0.1, 1], np.float32),
        defect_types=["loop", "dot", "dislocation"],
        measurements={
            "x": [4.5, nan, nan],
            "y": [2.5, nan, 7.0],
            "major_px": [10.0, 8.0, nan],
            "minor_px": [4.0, 2.0, nan],
            "area_px": [31.0, 12.0, nan],
            "angle_deg": [10.0, 170.0, nan],
            "length_px": [nan, nan, 8.0],
            "curvature_per_px": [nan, nan, 0.25],
            "fit": [1.0, 0.0, nan],
        },
        units={
            "x": "px",
            "y": "px",
            "major_px": "px",
            "minor_px": "px",
            "area_px": "px2",
            "angle_deg": "deg",
            "length_px": "px",
            "curvature_per_px": "1/px",
        },
    )


def kinds(table):
    return {name: str(dtype) for name, dtype in table.dtypes.items()}


def expected(columns):
    return kinds(empty_table(columns))


class TestUnits:
    @pytest.mark.parametrize(
        ("name", "unit", "twin"),
        [
            ("major_px", "px", ("major_nm", 1)),
            ("area_px", "px2", ("area_nm2", 2)),
            ("curvature_per_px", "1/px", ("curvature_per_nm", -1)),
            ("x", "px", None),
            ("angle_deg", "deg", None),
            ("contrast", "", None),
            ("area_px", "", None),
            ("length_px", "px2", ("length_nm2", 2)),
            ("major_px", "1/px", None),
        ],
    )
    def test_calibrated_names(self, name, unit, twin):
        assert unit_twin(name, unit) == twin

    def test_each_column_is_followed_by_its_twin(self):
        columns = {"major_px": [4, 6], "fit": [1, 0], "area_px": [8.0, 2.0], "k_per_px": [0.1, 0.2]}
        units = {"major_px": "px", "area_px": "px2", "k_per_px": "1/px"}
        result = calibrated(columns, units, 0.5)
        assert list(result) == [
            "major_px", "major_nm", "fit", "area_px", "area_nm2", "k_per_px", "k_per_nm"
        ]  # fmt: skip
        assert result["major_nm"].tolist() == [2, 3]
        assert result["area_nm2"].tolist() == [2, 0.5]
        assert result["k_per_nm"].tolist() == [0.2, 0.4]

    def test_without_a_pixel_size_there_are_no_twins(self):
        assert calibrated({"major_px": [4]}, {"major_px": "px"}, None) == {"major_px": [4]}


class TestDiameters:
    def test_the_major_axis_of_loops_and_the_geometric_mean_of_dots(self):
        major, minor = np.array([10.0, 8.0, 9.0]), np.array([4.0, 2.0, 4.0])
        names = np.array(["loop", "dot", "never heard of"])
        # 2·sqrt(a·b) of the half axes 4 and 1 is 4.
        assert diameters(major, minor, names, TYPES).tolist() == [10, 4, 9]

    def test_of_nothing(self):
        nothing = np.zeros(0)
        assert diameters(nothing, nothing, np.zeros(0, "U1"), TYPES).shape == (0,)


class TestDetectionTable:
    table = detection_table(frame(), found(), TYPES)

    def test_columns_and_their_order(self):
        assert list(self.table) == [
            *DETECTION_COLUMNS,
            "major_px", "major_nm", "minor_px", "minor_nm", "area_px", "area_nm2", "angle_deg",
            "length_px", "length_nm", "curvature_per_px", "curvature_per_nm", "fit",
            "diameter_px", "diameter_nm",
        ]  # fmt: skip

    def test_types_of_the_columns(self):
        assert {k: v for k, v in kinds(self.table).items() if k in DETECTION_COLUMNS} == expected(
            DETECTION_COLUMNS
        )
        others = set(self.table) - set(DETECTION_COLUMNS)
        assert {kinds(self.table)[name] for name in others} == {"float64"}

    def test_frame_time_and_dose(self):
        assert self.table["frame"].tolist() == [480] * 3
        assert self.table["time_s"].tolist() == [840] * 3
        assert self.table["dose_dpa"].tolist() == pytest.approx([1.5254] * 3)
        assert self.table["detection"].tolist() == [0, 1, 2]
        assert self.table["defect_type"].tolist() == ["loop", "dot", "dislocation"]
        assert self.table["origin"].tolist() == ["detector"] * 3

    def test_scores_read_as_they_were_given(self):
        assert self.table["score"].tolist() == [0.7, 0.1, 1]

    def test_the_position_is_the_centroid_or_the_centre_of_the_box(self):
        assert self.table["x"].tolist() == [4.5, 6, 5.5]
        assert self.table["y"].tolist() == [2.5, 6, 7]
        assert self.table["x_max"].tolist() == [10, 10, 6]

    def test_diameters_by_the_types_own_definition(self):
        assert self.table["diameter_px"].tolist()[:2] == [10, 4]
        assert self.table["diameter_nm"].tolist()[:2] == [5, 2]

    def test_what_does_not_apply_is_null(self):
        line, loop = self.table.iloc[2], self.table.iloc[0]
        for name in ("major_px", "major_nm", "area_nm2", "angle_deg", "diameter_nm", "fit"):
            assert pd.isna(line[name])
        for name in ("length_px", "length_nm", "curvature_per_nm"):
            assert pd.isna(loop[name])
        assert (line["length_nm"], line["curvature_per_nm"]) == (4, 0.5)

    def test_what_is_unknown_is_null(self):
        table = detection_table(frame(Calibration()), found(), TYPES)
        assert table["time_s"].isna().all()
        assert table["dose_dpa"].isna().all()
        assert not [name for name in table if "nm" in name]
        assert table["diameter_px"].tolist()[:2] == [10, 4]
        assert kinds(table)["time_s"] == "float64"

    def test_boxes_alone(self):
        plain = Instances((20, 20), [[0, 0, 10, 4]], defect_types="loop")
        table = detection_table(frame(), plain, TYPES)
        assert kinds(table) == expected(DETECTION_COLUMNS)
        assert (table.loc[0, "x"], table.loc[0, "y"]) == (5, 2)

    @pytest.mark.parametrize("nothing", [Instances.empty((20, 20)), found()[[]]])
    def test_a_frame_without_instances_has_no_rows_but_all_columns(self, nothing):
        table = detection_table(frame(), nothing, TYPES)
        assert len(table) == 0
        assert {k: v for k, v in kinds(table).items() if k in DETECTION_COLUMNS} == expected(
            DETECTION_COLUMNS
        )
        assert ("diameter_nm" in table) == ("major_px" in nothing.measurements)

    def test_instances_stay_as_they_were(self):
        given = found()
        detection_table(frame(), given, TYPES)
        assert set(given.measurements) == set(found().measurements)
        assert np.isnan(given.measurements["x"][1])


class TestGeometryColumns:
    def test_one_row_a_vertex(self):
        lines = [[[0, 0], [1, 2]], np.zeros((0, 2)), [[5, 5], [6, 7], [8, 9]]]
        instances = Instances((20, 20), found().boxes, defect_types="loop", lines=lines)
        table = pd.DataFrame(geometry_columns(frame(), instances))
        assert kinds(table) == expected(GEOMETRY_COLUMNS)
        assert table.to_numpy().tolist() == [
            [480, 0, 0, 0, 0],
            [480, 0, 1, 1, 2],
            [480, 2, 0, 5, 5],
            [480, 2, 1, 6, 7],
            [480, 2, 2, 8, 9],
        ]

    @pytest.mark.parametrize("lines", [None, [np.zeros((0, 2))] * 3])
    def test_no_lines_no_rows(self, lines):
        instances = Instances((20, 20), found().boxes, defect_types="loop", lines=lines)
        assert geometry_columns(frame(), instances) is None
        assert geometry_columns(frame(), Instances.empty((20, 20))) is None


@pytest.mark.parametrize(
    ("units", "taken"),
    [
        ({"x": "px", "major_px": "px", "major_nm": "", "area_nm": ""}, ["major_nm"]),
        ({"area_px": "px2", "area_nm2": ""}, ["area_nm2"]),
        ({"diameter_px": "px", "diameter_nm": "", "score": ""}, ["diameter_nm", "score"]),
        ({"diameter_px": "px", "major_px": "px"}, []),
        ({"diameter_nm": "", "major_px": "px", "minor_px": "px"}, ["diameter_nm"]),
        ({"diameter_px": "px", "major_px": "px", "minor_px": "px"}, ["diameter_px"]),
        ({"major_px": "deg", "major_nm": ""}, []),
        # Registration and trackers add these to tracks.
        (
            {"x_corrected": "px", "particle": "", "y_corrected": ""},
            ["particle", "x_corrected", "y_corrected"],
        ),
    ],
)
def test_names_that_would_replace_a_column(units, taken):
    assert taken_names(units) == taken


def test_tables_without_rows_keep_their_types():
    for columns in (FRAME_COLUMNS, DETECTION_COLUMNS, GEOMETRY_COLUMNS):
        table = empty_table(columns)
        assert len(table) == 0
        assert list(table) == list(columns)
    assert str(empty_table(FRAME_COLUMNS)["count"].dtype) == "Int64"
