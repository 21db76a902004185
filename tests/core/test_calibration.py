from __future__ import annotations

import pickle

import numpy as np
import pytest
from pydantic import ValidationError

from defectscope.core.calibration import Calibration
from defectscope.core.errors import FormatError, OptionError
from defectscope.core.frames import Frame

# P2, eq. 1: dpa = 0.8534 + frame * 1.6466 / 1175; 1.75 s a frame, 2.6884 px/nm, 75 nm, 4/7 seen.
SHEN = Calibration(
    pixel_size_nm=1 / 2.6884,
    frame_interval_s=1.75,
    dose_start_dpa=0.8534,
    dose_per_frame_dpa=1.6466 / 1175,
    thickness_nm=75,
    visible_fraction={"dislocation-loop": 4 / 7},
)


@pytest.mark.parametrize(
    ("frame", "dose"), [(0, 0.8534), (480, 1.526054), (1175, 2.5), (126, 1.029972)]
)
def test_the_dose_law_of_the_video(frame, dose):
    assert SHEN.dose_dpa(frame) == pytest.approx(dose, abs=1e-6)


def test_the_dose_a_frame_rounds_to_the_printed_one():
    assert round(SHEN.dose_dpa(1) - SHEN.dose_dpa(0), 5) == 0.00140


def test_the_time_is_that_of_the_frame_index():
    assert SHEN.time_s(0) == 0
    assert SHEN.time_s(480) == 840


def test_what_is_unknown_stays_unknown():
    unknown = Calibration()
    assert unknown.pixel_size_nm is None
    assert unknown.time_s(5) is None
    assert unknown.dose_dpa(5) is None


@pytest.mark.parametrize("half", [{"dose_start_dpa": 0.8534}, {"dose_per_frame_dpa": 0.0014}])
def test_half_a_dose_law_is_none(half):
    assert Calibration(**half).dose_dpa(0) is None
    assert Calibration(**half).dose_dpa(10) is None


def test_a_dose_that_starts_at_zero_is_known():
    assert Calibration(dose_start_dpa=0, dose_per_frame_dpa=0.5).dose_dpa(3) == 1.5


def test_visible_fraction_by_type_by_star_and_by_default():
    assert SHEN.visible("dislocation-loop") == 4 / 7
    assert SHEN.visible("black dot") == 1
    rest = Calibration(visible_fraction={"black dot": 0.5, "*": 0.25})
    assert (rest.visible("black dot"), rest.visible("anything")) == (0.5, 0.25)


@pytest.mark.parametrize("number", [1, 0.5])
def test_one_visible_fraction_holds_for_every_type(number):
    assert Calibration(visible_fraction=number).visible("anything") == number


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("pixel_size_nm", 0),
        ("pixel_size_nm", -0.3),
        ("pixel_size_nm", float("nan")),
        ("pixel_size_nm", float("inf")),
        ("frame_interval_s", 0),
        ("dose_start_dpa", -0.1),
        ("dose_per_frame_dpa", -0.1),
        ("dose_per_frame_dpa", float("inf")),
        ("thickness_nm", 0),
        ("visible_fraction", 0),
        ("visible_fraction", 1.01),
        ("visible_fraction", {"black dot": -0.5}),
        ("visible_fraction", float("nan")),
    ],
)
def test_values_outside_their_limits_are_refused(name, value):
    with pytest.raises(OptionError, match=f"^calibration: {name}.* = .* is not possible: input"):
        Calibration(**{name: value})
    with pytest.raises(OptionError, match=f"^calibration: {name}.* = .* is not possible: input"):
        Calibration().updated(**{name: value})


@pytest.mark.parametrize(
    ("name", "value"),
    [("dose_start_dpa", 0), ("dose_per_frame_dpa", 0), ("visible_fraction", {"*": 1})],
)
def test_values_at_their_limits_are_taken(name, value):
    assert getattr(Calibration(**{name: value}), name) == value


def test_updated_leaves_what_is_none_and_changes_a_copy():
    changed = SHEN.updated(pixel_size_nm=0.5, thickness_nm=None)
    assert changed.pixel_size_nm == 0.5
    assert changed.thickness_nm == 75
    assert changed.dose_dpa(480) == SHEN.dose_dpa(480)
    assert SHEN.pixel_size_nm == pytest.approx(0.37197, abs=1e-5)


def test_unknown_fields_are_refused_by_name():
    with pytest.raises(OptionError, match="pixelsize"):
        Calibration().updated(pixelsize=1.0)
    with pytest.raises(OptionError, match=r"no 'pixel_size' \(did you mean 'pixel_size_nm'\?\)"):
        Calibration(pixel_size=1)


def test_a_mapping_of_fields_is_a_calibration():
    assert Calibration.of({"pixel_size_nm": 0.3}) == Calibration(pixel_size_nm=0.3)
    assert Calibration.of(SHEN) is SHEN
    assert Frame(np.eye(8, dtype=np.uint8), calibration={"thickness_nm": 75}).calibration == (
        Calibration(thickness_nm=75)
    )
    with pytest.raises(OptionError, match="pixel_size_nm = -1 is not possible"):
        Calibration.of({"pixel_size_nm": -1})
    with pytest.raises(OptionError, match=r"the path of a TOML file; found float"):
        Calibration.of(0.3)


def test_a_calibration_cannot_be_changed():
    with pytest.raises(ValidationError, match="frozen"):
        SHEN.pixel_size_nm = 1.0


def test_calibrations_pickle_and_compare():
    assert pickle.loads(pickle.dumps(SHEN)) == SHEN


def test_a_calibration_file(tmp_path):
    file = tmp_path / "shen.toml"
    file.write_text(
        "pixel_size_nm = 0.37197\nframe_interval_s = 1.75\n"
        "dose_start_dpa = 0.8534\ndose_per_frame_dpa = 0.0014013617\n"
        '[visible_fraction]\n"a/2<111> loop" = 0.5714\n"*" = 0.9\n',
        encoding="utf-8",
    )
    read = Calibration.from_toml(file)
    assert read.pixel_size_nm == 0.37197
    assert read.thickness_nm is None
    assert read.dose_dpa(480) == pytest.approx(1.52605, abs=1e-5)
    assert (read.visible("a/2<111> loop"), read.visible("black dot")) == (0.5714, 0.9)


def test_a_calibration_file_of_one_fraction(tmp_path):
    file = tmp_path / "c.toml"
    file.write_text("visible_fraction = 0.5714", encoding="utf-8")
    assert Calibration.from_toml(file).visible("anything") == 0.5714


def test_a_calibration_file_of_the_windows_notepad(tmp_path):
    file = tmp_path / "c.toml"
    file.write_text("pixel_size_nm = 0.5\n", encoding="utf-8-sig")
    assert Calibration.from_toml(file).pixel_size_nm == 0.5


@pytest.mark.parametrize("content", [b"pixel_size_nm =", b"\xff\xfe\x00", None])
def test_a_file_that_cannot_be_read_is_named(tmp_path, content):
    file = tmp_path / "c.toml"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(FormatError, match=r"the calibration file .*c\.toml cannot be read: "):
        Calibration.from_toml(file)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("pixel_size_nm = -1", "pixel_size_nm = -1 is not possible: input should be greater"),
        ('thickness_nm = "thin"', "thickness_nm = 'thin' is not possible: input should be"),
        (
            "pixel_size = 1",
            r"the calibration has no 'pixel_size' \(did you mean 'pixel_size_nm'\?\); known are: "
            "pixel_size_nm, frame_interval_s, .*, visible_fraction$",
        ),
    ],
)
def test_a_file_with_impossible_values_says_which(tmp_path, line, message):
    file = tmp_path / "c.toml"
    file.write_text(line, encoding="utf-8")
    with pytest.raises(OptionError, match=message):
        Calibration.from_toml(file)
