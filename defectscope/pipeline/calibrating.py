"""Calibrations put together: what files or a run say, a calibration file, and single values."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from defectscope.core.calibration import UNSURE_SIZE, Calibration
from defectscope.core.errors import OptionError, did_you_mean
from defectscope.pipeline.plausibility import implausible
from defectscope.pipeline.time_tables import DOSE_RATE, overruled, with_doses

__all__ = [
    "HALF_A_LAW",
    "given_calibration",
    "merged_calibration",
    "unknown_fractions",
    "without_laws",
]

TOLERANCE = 0.01
HALF_A_LAW = (
    "the dose needs both dose_start_dpa (at frame index 0) and dose_per_frame_dpa; only one is "
    "given, so that doses are left empty"
)
# As they stand in contradictions.
NAMES = {
    "pixel_size_nm": "{:g} nm/px",
    "frame_interval_s": "{:g} s between frames",
    "dose_start_dpa": "{:g} dpa at frame index 0",
    "dose_per_frame_dpa": "{:g} dpa a frame",
    "thickness_nm": "a thickness of {:g} nm",
}
# Options that say what unrelated images cannot have.
GIVEN_BY = {"time": "--frame-interval", "dose": "--dose-per-frame"}
GIVEN_BY_TABLE = "--frame-times"
OF_FILES = ("pixel_size_nm", "frame_interval_s")


def merged_calibration(
    own: Calibration,
    calibration: Calibration | Mapping[str, Any] | Path | str | None,
    values: Mapping[str, Any],
    warnings: list[str],
    *,
    of_run: bool = False,
) -> Calibration:
    """Return a calibration, overruled by another, and this by single values.

    Parameters
    ----------
    own
        What is known without anybody's help.
    calibration
        A calibration, its fields by name, or a TOML file with one.
    values
        Fields of a calibration, and ``dose_rate_dpa_per_s`` in place of ``dose_per_frame_dpa``
        where the frame interval is known; None leaves a value as it is.
    warnings
        Where to say what was overruled, by more than 1 %, what is only half known, and what is
        hardly meant. That the pixel size of the files is unsure is dropped where one is given.
    of_run
        Whether `own` is that of a run, in which nothing is overruled without a word. Of files only
        pixel size and frame interval are.

    Raises
    ------
    OptionError, FormatError
        A value is no field or outside its limits; the file cannot be read.
    """
    calibration = None if calibration is None else Calibration.of(calibration)
    merged = given_calibration(own, calibration, values)
    for name, text in NAMES.items():
        if not (of_run or name in OF_FILES):
            continue
        before, after = getattr(own, name), getattr(merged, name)
        if before is None or (after is not None and abs(after - before) <= TOLERANCE * before):
            continue
        said, used = (
            text.format(before),
            "a table of frames" if after is None else text.format(after),
        )
        speaker = "the run has" if of_run else "the files say"
        warnings.append(f"{speaker} {said}, but {used} was given and is used")
    if of_run:
        warnings += _other_fractions(own, merged)
        if own.frame_times not in (None, merged.frame_times):
            warnings.append("the run has a table of frame times, but other times or doses were "
                            "given and are used")  # fmt: skip
    given = calibration.model_fields_set if calibration else set()
    given = given | {name for name, value in values.items() if value is not None}
    if of_run and not given & {"dose_per_frame_dpa", DOSE_RATE}:
        warnings += _dose_stays(own, merged)
    sizes = (calibration and calibration.pixel_size_nm, values.get("pixel_size_nm"))
    if sizes != (None, None):
        warnings[:] = [text for text in warnings if not text.endswith(UNSURE_SIZE)]
    half = (merged.dose_start_dpa is None) != (merged.dose_per_frame_dpa is None)
    if half and not merged.knows_doses:
        warnings.append(HALF_A_LAW)
    warnings += implausible(merged)
    return merged


def unknown_fractions(calibration: Calibration, known: Collection[str]) -> list[str]:
    """Return warnings about visible fractions of what is no known defect type.

    Parameters
    ----------
    calibration
        May hold a fraction under ``"*"``, which stands for every type that is not named.
    known
        Names of defect types that are registered, or were found.
    """
    return [
        f"visible_fraction names {name!r}, which is no known defect type"
        f"{did_you_mean(name, known)}; it counts for detections of exactly that name only"
        for name in calibration.visible_fraction
        if name != "*" and name not in known
    ]


def given_calibration(
    own: Calibration,
    calibration: Calibration | Mapping[str, Any] | Path | str | None,
    values: Mapping[str, Any],
) -> Calibration:
    """Return the same as :func:`merged_calibration`, without a word about contradictions."""
    known = [*Calibration.model_fields, DOSE_RATE]
    unknown = [name for name in values if name not in known]
    if unknown:
        raise OptionError(f"{unknown[0]!r} is no calibration value; known are: {', '.join(known)}")
    fields = (
        {} if calibration is None else Calibration.of(calibration).model_dump(exclude_unset=True)
    )
    single = {name: value for name, value in values.items() if value is not None}
    rate = single.pop(DOSE_RATE, None)
    merged = overruled(overruled(own, fields), single, with_rate=rate is not None)
    if rate is None:
        return merged
    if "dose_per_frame_dpa" in single:
        raise OptionError(
            "the dose of a frame follows from the dose rate; give --dose-rate or "
            "--dose-per-frame, not both"
        )
    if not (math.isfinite(rate) and rate >= 0):
        raise OptionError(f"--dose-rate must be a number of dpa/s from 0 up, found {rate:g}")
    if merged.frame_times is not None and merged.frame_times.time_s is not None:
        return with_doses(merged, rate)
    return merged.updated(dose_per_frame_dpa=_dose_per_frame(rate, merged.frame_interval_s))


def _other_fractions(own: Calibration, merged: Calibration) -> list[str]:
    """Return which visible fractions of a run are overruled; of one that has none, none is."""
    if not own.visible_fraction:
        return []
    # What stands for every other type is said last.
    names = sorted({*own.visible_fraction, *merged.visible_fraction}, key=lambda n: (n == "*", n))
    said = []
    for name in names:
        before, after = own.visible(name), merged.visible(name)
        if abs(after - before) > TOLERANCE * before:
            of = f" of {name!r}" if name != "*" else " of other types" if len(names) > 1 else ""
            said.append(
                f"the run has a visible fraction of {before:g}{of}, but {after:g} was given and "
                "is used"
            )
    return said


def _dose_stays(own: Calibration, merged: Calibration) -> list[str]:
    """Return what to say where times change: a run knows its doses, and no rate behind them."""
    before, after = own.frame_interval_s, merged.frame_interval_s
    other = before is not None and after is not None and abs(after - before) > TOLERANCE * before
    if merged.frame_times != own.frame_times:
        other = merged.frame_times is not None and merged.frame_times.time_s is not None
    if not merged.dose_per_frame_dpa or not other:
        return []
    return [
        f"the dose of a frame stays {own.dose_per_frame_dpa:g} dpa; give --dose-rate or "
        "--dose-per-frame where it changes with the time between frames"
    ]


def _dose_per_frame(rate: float, interval_s: float | None) -> float:
    if interval_s is None:
        raise OptionError(
            "--dose-rate needs the time between frames, which is unknown; give --frame-interval "
            "or --frame-times too, or the dose of a frame with --dose-per-frame"
        )
    return rate * interval_s


def without_laws(
    calibration: Calibration, warnings: list[str], *, of_run: bool = False
) -> Calibration:
    """Return the calibration of unrelated images, whose numbers are no times.

    Parameters
    ----------
    calibration
        Of the series. A dose that is the same for all images stays.
    warnings
        Where to say what is left out.
    of_run
        Whether the images are those of a finished run, which stays one on unrelated images.
    """
    lost, options = {}, []
    if calibration.knows_times:
        lost["time"] = ["frame_interval_s"]
    if calibration.dose_per_frame_dpa or (calibration.frame_times and calibration.knows_doses):
        lost["dose"] = ["dose_start_dpa", "dose_per_frame_dpa"]
    if not lost:
        return calibration
    for name, (law, *_) in lost.items():
        if getattr(calibration, law) is not None:
            options.append(GIVEN_BY[name])
    if calibration.frame_times is not None:
        options.append(GIVEN_BY_TABLE)
    warnings.append(
        f"unrelated images (--mixed-sizes) have no {' and no '.join(lost)} by their numbers; "
        f"leave out {' and '.join(options)}, also of the calibration file"
        f"{'' if of_run else ', or --mixed-sizes'}"
    )
    names = ["frame_times", *(name for names in lost.values() for name in names)]
    return calibration.model_copy(update=dict.fromkeys(names))
