"""The plugin conforms, and its physics is right."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import defectscope as ds
import numpy as np
import pandas as pd
import pytest
from defectscope.plugins.testing import (
    AnalysisConformance,
    DefectTypeConformance,
    GeneratorConformance,
    PluginConformance,
    PostProcessorConformance,
    isolated_host,
    sample_tables,
)

import defectscope_cavities
from defectscope_cavities.fringe import CavityFringe, CavityFringeOptions
from defectscope_cavities.generator import Cavities, CavitiesOptions
from defectscope_cavities.optics import Microscope, cavity_image
from defectscope_cavities.swelling import Swelling


class TestPlugin(PluginConformance):
    plugin = "defectscope_cavities"
    options: ClassVar = {"cavities": {"count": 4}}


class TestType(DefectTypeConformance):
    defect_type = defectscope_cavities.CAVITY


class TestGenerator(GeneratorConformance):
    component = Cavities
    options: ClassVar = {"count": 4}


class TestFringe(PostProcessorConformance):
    component = CavityFringe


class TestFringeOver(PostProcessorConformance):
    component = CavityFringe
    options: ClassVar = {"focus": "over", "smooth_px": 0.0}


class TestSwelling(AnalysisConformance):
    component = Swelling


def test_constants_of_the_microscope() -> None:
    # Textbook values at 200 kV and 300 kV.
    assert Microscope(200).wavelength_nm == pytest.approx(2.5079e-3, rel=1e-4)
    assert Microscope(300).wavelength_nm == pytest.approx(1.9687e-3, rel=1e-4)
    assert Microscope(200).interaction_per_v_nm == pytest.approx(7.288e-3, rel=1e-3)


def test_contrast_reverses_through_focus() -> None:
    under, focus, over = (cavity_image(4, defocus, 0.4) for defocus in (-600.0, 0.0, 600.0))
    middle = len(under) // 2
    ring = round(4 / 0.4)
    inside, outside = (middle, middle + ring - 2), (middle, middle + ring + 1)
    assert min(under[inside], over[outside]) > 1.1
    assert max(under[outside], over[inside]) < 0.9
    assert np.ptp(focus) < 0.25 * np.ptp(under)
    assert under[0, 0] == pytest.approx(1, abs=0.03)


def test_energy_is_kept_without_absorption() -> None:
    lossless = Microscope(mean_free_path_nm=1e9, convergence_mrad=0)
    assert cavity_image(4, -600, 0.4, microscope=lossless).mean() == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("side", [-1, 1], ids=["under", "over"])
@pytest.mark.parametrize(
    ("radius_nm", "size"),
    [(2, 250), (2, 500), (2, 1000), (4, 250), (4, 1000), (4, 1500), (8, 250), (8, 1500)],
)
def test_the_fringe_tells_the_radius(radius_nm: float, size: float, side: int) -> None:
    size_nm, defocus_nm = 0.4, float(side * size)
    canvas = np.full((160, 160), 0.5)
    image = cavity_image(radius_nm, defocus_nm, size_nm)[:160, :160]
    half = len(image) // 2
    rows = slice(max(80 - half, 0), 80 + half + 1)
    canvas[rows, rows] *= image[: canvas[rows, rows].shape[0], : canvas[rows, rows].shape[1]]
    frame = ds.Frame(np.clip(canvas, 0, 1).astype(np.float32))
    # A box that is off by 1 px and too large, as a detector's may be.
    radius_px = radius_nm / size_nm
    box = [79.5 - radius_px, 80.5 - radius_px, 82.5 + radius_px, 82.5 + radius_px]
    given = ds.Instances((160, 160), [box], defect_types=["cavity"])
    with CavityFringe(CavityFringeOptions(smooth_px=0.3)) as post:
        found = post.process(frame, given)
    assert found.measurements["major_px"][0] == pytest.approx(2 * radius_px, rel=0.07)
    assert found.measurements["x"][0] == pytest.approx(80.5, abs=0.15)
    assert found.measurements["y"][0] == pytest.approx(80.5, abs=0.15)
    assert np.sign(found.measurements["fringe_contrast"][0]) == -np.sign(defocus_nm)


def test_a_cavity_at_the_edge_of_the_frame_is_as_large_as_elsewhere() -> None:
    radius, x, y = 10, 11.5, 80.5
    image = cavity_image(radius * 0.4, 600.0, 0.4)
    half = len(image) // 2
    canvas = np.full((2 * half + 161, 2 * half + 161), 0.5)
    # What lies further left and up than the frame is cut off.
    rows, columns = (slice(int(at), int(at) + 2 * half + 1) for at in (y, x))
    canvas[rows, columns] *= image
    frame = ds.Frame(canvas[half : half + 160, half : half + 160].astype(np.float32))
    box = [x - radius, y - radius, x + radius, y + radius]
    with CavityFringe(CavityFringeOptions(smooth_px=0.3)) as post:
        found = post.process(frame, ds.Instances((160, 160), [box], defect_types=["cavity"]))
    assert found.measurements["major_px"][0] == pytest.approx(2 * radius, rel=0.07)
    assert found.measurements["fringe_contrast"][0] < 0


def test_a_cavity_as_large_as_the_frame_gives_no_warning() -> None:
    pixels = np.random.default_rng(0).normal(0.5, 0.05, (24, 24)).astype(np.float32)
    given = ds.Instances((24, 24), [[-8, -8, 32, 32]], defect_types=["cavity"])
    with CavityFringe() as post:
        found = post.process(ds.Frame(pixels), given)
    assert np.isfinite(found.measurements["major_px"]).all()


def test_without_a_fringe_the_box_is_taken() -> None:
    pixels = np.full((64, 64), 0.5, np.float32)
    pixels[0, 0] = 0.6
    given = ds.Instances((64, 64), [[20, 20, 40, 44]], defect_types=["cavity"])
    with CavityFringe() as post:
        found = post.process(ds.Frame(pixels), given)
    assert found.measurements["major_px"].tolist() == [22]
    assert found.measurements["fringe_contrast"].tolist() == [0]


def test_a_sequence_goes_through_focus() -> None:
    canvas = np.full((128, 128), 0.5, np.float32)
    with Cavities(CavitiesOptions(count=4, defocus_nm=-800, mean_free_path_nm=1e6)) as generator:
        frames = list(generator.sequence(canvas, np.random.default_rng(3), 3))
        assert generator.last_parameters["defocus_nm"] == [-800, 0, 800]
    ignored = [truth.ignore.tolist() for _, truth in frames]
    assert ignored == [[False] * 4, [True] * 4, [False] * 4]
    assert all((truth.boxes == frames[0][1].boxes).all() for _, truth in frames)


def test_swelling_of_known_cavities() -> None:
    tables = sample_tables()
    detections = tables.detections.iloc[[0, 1]].assign(defect_type="cavity", diameter_nm=[10.0, 20])
    frames = tables.frames.iloc[[0]]
    tables = ds.Tables(frames, detections, None, None, tables.calibration)
    with Swelling() as analysis:
        (finding,) = analysis.analyse(tables)
    # 160 x 128 px of 0.5 nm, 75 nm thick, half of the cavities visible.
    volume, cavities = 80 * 64 * 75, 2 * np.pi / 6 * (1000 + 8000)
    row: pd.Series = finding.table.iloc[0]
    assert row["swelling_percent"] == pytest.approx(100 * cavities / (volume - cavities))
    assert 0 < row["swelling_error_percent"] < row["swelling_percent"]


def test_swelling_leaves_out_what_is_masked() -> None:
    tables = sample_tables()
    rows = tables.detections.iloc[[0, 1]].assign(defect_type="cavity", diameter_nm=[10.0, 20.0])
    masked = np.zeros((128, 160), bool)
    masked[:, 40:] = True
    plain = ds.Tables(tables.frames.iloc[[0]], rows, None, None, tables.calibration)
    with Swelling() as analysis:
        (finding,) = analysis.analyse(replace(plain, masked=masked))
    # Of 160 px 40 are left, and of the cavities the one at x = 20.
    volume, cavities = 20 * 64 * 75, 2 * np.pi / 6 * 1000
    row: pd.Series = finding.table.iloc[0]
    assert row["number"] == 1
    assert row["swelling_percent"] == pytest.approx(100 * cavities / (volume - cavities))


def test_swelling_of_registered_frames_is_that_of_what_all_show() -> None:
    tables = sample_tables()
    rows = tables.detections.assign(defect_type="cavity", diameter_nm=10.0)
    frames = tables.frames.assign(drift_x_px=0.0, drift_y_px=0.0)
    frames.loc[1:, "drift_x_px"] = -80.0
    with Swelling() as analysis:
        (finding,) = analysis.analyse(replace(tables, frames=frames, detections=rows))
    # What all show is the right half of the first frame, where only the cavity at x = 100 is.
    volume, cavities = 40 * 64 * 75, 2 * np.pi / 6 * 1000
    row: pd.Series = finding.table.iloc[0]
    assert row["number"] == 1
    assert row["swelling_percent"] == pytest.approx(100 * cavities / (volume - cavities))


def test_names_are_found_by_a_host() -> None:
    host = isolated_host(defectscope_cavities)
    for family, name in (("generators", "cavities"), ("postprocessors", "cavity-fringe")):
        assert host.build(family, name)
    assert host.defect_types()["cavity"].contrast == "bright"
