"""Times and doses by a table of frames, in place of a straight line."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from defectscope.core.calibration import Calibration
from defectscope.core.errors import OptionError
from defectscope.core.frame_times import FrameTimes

__all__ = ["DOSE_RATE", "outside_table", "overruled", "with_doses"]

DOSE_RATE = "dose_rate_dpa_per_s"
# What a table of frames says of each of its quantities in place of these.
REPLACED = {"time_s": ("frame_interval_s",), "dose_dpa": ("dose_start_dpa", "dose_per_frame_dpa")}


def overruled(own: Calibration, given: Mapping[str, Any], with_rate: bool = False) -> Calibration:
    """Return a calibration overruled by fields of another: a table and a law exclude each other.

    Parameters
    ----------
    own
        What is known so far; may hold a table.
    given
        What overrules it; None leaves a value as it is.
    with_rate
        Whether a dose rate is given, too.

    Raises
    ------
    OptionError
        Both are given for one quantity.
    """
    merged = own.updated(**given)
    new, old = (None if given.get("frame_times") is None else merged.frame_times), own.frame_times
    changes: dict[str, Any] = {}
    for quantity, laws in REPLACED.items():
        by_law = [name for name in laws if given.get(name) is not None]
        if new is not None and getattr(new, quantity) is not None:
            if with_rate and quantity == "dose_dpa":
                by_law.append(DOSE_RATE)
            if by_law:
                raise OptionError(
                    f"the table of frame times has {quantity}, so that {by_law[0]} means nothing; "
                    "leave out one of the two"
                )
            changes |= dict.fromkeys(laws)
            old = None if old is None else old.without(quantity)
        elif by_law:
            old = None if old is None else old.without(quantity)
    table = _together(new, old)
    if "frame_interval_s" in changes and table is not None:
        changes["frame_interval_s"] = table.step("time_s")
    return merged.model_copy(update={**changes, "frame_times": table})


def _together(new: FrameTimes | None, old: FrameTimes | None) -> FrameTimes | None:
    """Return a table of both: times and doses may come from two, which know other frames.

    Where one of them ends, both do: beside a table nothing is known.
    """
    if new is None or old is None:
        return new or old
    low, high = max(new.frame[0], old.frame[0]), min(new.frame[-1], old.frame[-1])
    frames = sorted(k for k in {*new.frame, *old.frame} if low <= k <= high)
    if not frames:
        raise OptionError(
            f"the table of frame times knows frames {new.frame[0]} to {new.frame[-1]}, and that of "
            f"the run {old.frame[0]} to {old.frame[-1]}; give one table of both times and doses"
        )
    values = {
        quantity: tuple(table.at(quantity, frame) for frame in frames)
        for quantity in REPLACED
        for table in (old, new)
        if getattr(table, quantity) is not None
    }
    return FrameTimes.model_validate({"frame": tuple(frames), **values})


def with_doses(calibration: Calibration, rate: float) -> Calibration:
    """Return a calibration whose table has doses by its times and a dose rate, dpa/s."""
    table, start = calibration.frame_times, calibration.dose_start_dpa
    if start is None:
        raise OptionError(
            "--dose-rate with a table of times needs the dose at time 0; give --dose-start too"
        )
    assert table is not None
    assert table.time_s is not None
    doses = tuple(start + rate * time for time in table.time_s)
    # A law would tell other doses; where it starts is kept, for another rate.
    changes = {"frame_times": table.model_copy(update={"dose_dpa": doses}),
               "dose_per_frame_dpa": None}  # fmt: skip
    return calibration.model_copy(update=changes)


def outside_table(calibration: Calibration, frames: Collection[int]) -> list[str]:
    """Return a warning where frames lie beside the table of times and doses, if there is one."""
    table = calibration.frame_times
    if table is None:
        return []
    beside = sum(not table.frame[0] <= frame <= table.frame[-1] for frame in frames)
    if not beside:
        return []
    told = " and ".join(name for name in REPLACED if getattr(table, name) is not None)
    return [
        f"the table of frame times goes from frame {table.frame[0]} to {table.frame[-1]}: {beside} "
        f"of {len(frames)} frames lie beside it and have no {told}"
    ]
