"""Noise on the frames of a benchmark."""

from __future__ import annotations

import json
import pickle

import cv2
import numpy as np
import pytest

import defectscope as ds
from defectscope.core.datasets import Dataset, LabelledImage
from defectscope.core.frames import FrameSequence
from defectscope.pipeline.labels import save_dataset
from defectscope.pipeline.noise_figures import COLUMNS, noise_findings, noise_table
from defectscope.pipeline.noisy_frames import NOISES, Noise, NoisyFrames, noisy
from defectscope.plugins.host import default_host

GREY = np.full((200, 300), 100, np.uint8)


class Plain(FrameSequence):
    """Frames of one grey."""

    def __init__(self):
        self.indices, self.names, self.warnings = (3, 4), ("a3", "a4"), []

    def read(self, position):
        return GREY


def test_gaussian_noise_has_the_deviation_asked_for():
    values = noisy(GREY, Noise("gaussian", 0.05)).astype(float)
    assert values.std() == pytest.approx(0.05 * 255, rel=0.03)
    assert values.mean() == pytest.approx(100, abs=0.5)


def test_poisson_noise_has_the_variance_of_its_counts():
    values = noisy(GREY, Noise("poisson", 64)).astype(float)
    assert values.std() == pytest.approx(255 * np.sqrt(100 / 255 / 64), rel=0.03)


def test_salt_and_pepper_strike_the_part_asked_for():
    values = noisy(GREY, Noise("salt-and-pepper", 0.05))
    assert np.isin(values, [0, 255]).mean() == pytest.approx(0.05, abs=0.005)
    assert (values[~np.isin(values, [0, 255])] == 100).all()


@pytest.mark.parametrize("dtype", [np.uint16, np.float32])
@pytest.mark.parametrize("kind", NOISES)
def test_deep_frames_keep_their_range(dtype, kind):
    deep = np.linspace(500, 4000, 6000).reshape(60, 100).astype(dtype)
    values = noisy(deep, Noise(kind, NOISES[kind][0]))
    assert values.dtype == np.float32
    assert values.min() >= 499
    assert values.max() <= 4001
    assert np.corrcoef(values.ravel(), deep.ravel())[0, 1] > 0.9


@pytest.mark.parametrize("kind", NOISES)
def test_a_hot_pixel_does_not_set_the_range_of_a_deep_frame(kind):
    deep = np.random.default_rng(0).normal(1000, 50, (80, 100)).astype(np.uint16)
    broken = deep.copy()
    broken[5, 7], broken[9, 9] = 65535, 0
    noise = Noise(kind, NOISES[kind][0])
    usual, values = noisy(deep, noise), noisy(broken, noise)
    same = broken == deep
    assert np.corrcoef(values[same], deep[same])[0, 1] > 0.5
    assert values[same].std() < 2.5 * usual[same].std()


def test_a_flat_frame_stays_finite():
    assert np.isfinite(noisy(np.zeros((8, 8), np.float32), Noise("gaussian", 0.1))).all()


def test_noise_repeats_differs_between_frames_and_survives_pickling():
    frames = NoisyFrames(Plain(), Noise("gaussian", 0.1))
    again = pickle.loads(pickle.dumps(frames))
    assert np.array_equal(frames[0].pixels, again[0].pixels)
    assert not np.array_equal(frames[0].pixels, frames[1].pixels)
    assert (frames[1].index, frames[1].source) == (4, "a4")
    assert len(frames[0:1]) == 1
    assert np.array_equal(frames[0:1][0].pixels, frames[0].pixels)


def test_without_noisy_frames_there_is_no_table_and_no_figure():
    table = noise_table([], [{"name": "set", "noise": None}])
    assert list(table.columns) == COLUMNS
    assert not len(table)
    assert noise_findings(table, 0.15, {}) == []


def test_a_benchmark_gives_f1_at_every_level_and_what_is_lost(tmp_path, monkeypatch):
    few = {"gaussian": (0.025, 0.1)}
    for module in ("benchmark_data", "noise_figures"):
        monkeypatch.setattr(f"defectscope.pipeline.{module}.NOISES", few)
    pixels = np.full((96, 96), 180, np.uint8)
    pixels += np.random.default_rng(0).integers(0, 9, pixels.shape, np.uint8)
    cv2.circle(pixels, (30, 30), 9, 60, -1)
    (tmp_path / "set").mkdir()
    cv2.imwrite(str(tmp_path / "set/f0.png"), pixels)
    truth = ds.Instances((96, 96), [[21, 21, 39, 39]], defect_types="dislocation-loop")
    labels = Dataset([LabelledImage("f0.png", truth, 0)])
    save_dataset(labels, tmp_path / "set/annotations.json", "coco", default_host())
    found = ds.benchmark(str(tmp_path / "set"), (), str(tmp_path / "out"), noise=True, worst=1)
    table = found.noise
    assert table["level"].fillna(0).tolist() == [0, 0.025, 0.1]
    clean = table[table["noise"] == ""].iloc[0]
    assert clean["lost"] == 0
    spoilt = table[table["noise"] == "gaussian"].iloc[-1]
    assert spoilt["lost"] == pytest.approx(1 - spoilt["f1"] / clean["f1"])
    assert (tmp_path / "out/figures/f1-over-noise.png").is_file()
    # The other figures and the pictures are of the frames as they are.
    assert (tmp_path / "out/figures/f1-over-iou.csv").read_text().count("gaussian") == 0
    assert len(list((tmp_path / "out/worst").iterdir())) == 1
    info = json.loads((tmp_path / "out/benchmark.json").read_text())
    assert info["datasets"][1]["noise"] == {"kind": "gaussian", "level": 0.025, "of": "set"}
