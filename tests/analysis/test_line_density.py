"""Density of lines whose courses are known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from defectscope import Calibration, Runtime
from defectscope.analysis.line_density import LineDensity
from defectscope.plugins.shipped_types import SHIPPED
from defectscope.plugins.testing import AnalysisConformance

TYPES = Runtime(defect_types={known.name: known for known in SHIPPED})


class TestLineDensity(AnalysisConformance):
    component = LineDensity


class TestDensity:
    FOIL = Calibration(pixel_size_nm=0.5, thickness_nm=100.0)

    @staticmethod
    def table(given, **options):
        (finding,) = LineDensity(LineDensity.Options(**options), TYPES).analyse(given)
        return finding, finding.table

    def test_it_is_the_length_by_volume(self, line_tables, upright):
        finding, table = self.table(
            line_tables({0: [upright(20), upright(60)], 1: [upright(20)]}, self.FOIL)
        )
        assert table["lines"].tolist() == [2, 1]
        np.testing.assert_allclose(table["length_px"], [200, 100])
        np.testing.assert_allclose(table["length_px_error"], [100 * 2**0.5, 100])
        # 200 px of 0.5 nm on 200 nm x 100 nm.
        np.testing.assert_allclose(table["length_per_area_per_m"], [5e6, 2.5e6])
        np.testing.assert_allclose(table["dislocation_density_per_m2"], [5e13, 2.5e13])
        (key,) = finding.numbers
        assert (key.unit, key.value) == ("1/m²", pytest.approx(2.5e13))
        assert key.low < key.value < key.high

    def test_a_line_in_pieces_has_the_same_density(self, line_tables, upright):
        whole = upright(20)
        _, one = self.table(line_tables({0: [whole]}, self.FOIL))
        _, other = self.table(line_tables({0: [whole[:21], whole[20:]]}, self.FOIL))
        assert other["lines"].tolist() == [2]
        np.testing.assert_allclose(one["length_px"], other["length_px"], rtol=1e-6)

    def test_only_what_lies_in_the_field_counts(self, line_tables, upright):
        masked = np.zeros((200, 400), bool)
        masked[50:] = True
        given = replace(line_tables({0: [upright(20)]}, self.FOIL), masked=masked)
        _, table = self.table(given)
        assert table["length_px"].iloc[0] == pytest.approx(50, abs=1.5)
        assert table["area_px"].iloc[0] == 400 * 50

    def test_lines_in_all_directions_are_longer_than_their_image(self, line_tables, upright):
        given = line_tables({0: [upright(20)]}, self.FOIL)
        _, table = self.table(given, projection="random")
        assert table["length_px"].iloc[0] == pytest.approx(400 / np.pi)

    def test_a_frame_without_lines_has_an_upper_limit(self, line_tables, upright):
        given = line_tables({0: [upright(20), upright(60)], 1: []}, self.FOIL)
        _, table = self.table(given)
        last = table.iloc[1]
        assert (last["length_px"], last["length_px_low"]) == (0, 0)
        assert last["length_px_high"] == pytest.approx(3.689 * 100, rel=1e-3)


def test_of_lines_the_part_in_the_region_counts(line_tables, upright):
    given = replace(line_tables({0: [upright(20)]}), roi=(0, 0, 400, 60))
    (finding,) = LineDensity(runtime=TYPES).analyse(given)
    assert finding.table["area_px"][0] == 400 * 60
    assert finding.table["length_px"][0] == pytest.approx(60, abs=1.5)


def test_the_density_is_divided_by_the_visible_fraction_and_the_length_is_not(line_tables, upright):
    seen, true = (
        LineDensity(runtime=TYPES)
        .analyse(
            line_tables(
                {0: [upright(20), upright(60)], 1: []},
                Calibration(pixel_size_nm=0.5, thickness_nm=100, visible_fraction=given),
            )
        )[0]
        .table
        for given in ({}, {"dislocation": 0.5})
    )
    for suffix in ("", "_error", "_low", "_high"):
        name = f"dislocation_density_per_m2{suffix}"
        np.testing.assert_allclose(true[name], 2 * seen[name])
        np.testing.assert_allclose(true[f"length_px{suffix}"], seen[f"length_px{suffix}"])
