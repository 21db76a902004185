"""How a run is executed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from defectscope.core.calibration import Calibration
from defectscope.core.errors import OptionError, UsageError, did_you_mean
from defectscope.core.registration import RegistrationOptions
from defectscope.core.run_limits import TABLE_FORMATS, one_of, whole_number
from defectscope.core.votes import Vote
from defectscope.pipeline.masking import MaskedParts
from defectscope.pipeline.regions import Roi, check_corners
from defectscope.pipeline.registering import chosen_registration
from defectscope.pipeline.time_tables import DOSE_RATE

__all__ = ["RunSettings"]


@dataclass(frozen=True)
class RunSettings:
    """How a run is executed; `roi`, `masks`, `vote` and `register` alone change numbers in tables.

    Parameters
    ----------
    roi
        x_min, y_min, x_max, y_max in px, half open.
    masks
        Parts of the frames in which detections are dropped.
    vote
        K/N: a detection stays when it is found in K of N neighbouring frames; as text or pair.
    register
        Whether the frames are registered first; or how, as a table of ``batch`` and ``jump_px``.
    workers, dask
        Processes on this machine, 0 for one that others help where frames are many and lie in
        files; or the address of a Dask scheduler, which has its own.
    resume, overwrite, strict
        Go on with an interrupted run; replace a former one; stop at a damaged frame.
    mixed_sizes
        Frames may differ in size (then nothing can be tracked).
    overlay, figures
        Whether to write the overlay video, and the figures with their tables.
    table_format
        ``parquet`` or ``csv``.
    """

    roi: Roi | None = None
    masks: MaskedParts = field(default_factory=MaskedParts)
    vote: Vote | str | Sequence[int] | None = None
    register: RegistrationOptions | Mapping[str, Any] | bool | None = None
    workers: int = 1
    dask: str | None = None
    resume: bool = False
    overwrite: bool = False
    strict: bool = False
    mixed_sizes: bool = False
    overlay: bool = True
    figures: bool = True
    table_format: str = "parquet"

    @classmethod
    def given(cls, settings: Mapping[str, Any], masks: MaskedParts) -> RunSettings:
        """Return settings by name as they were given; OptionError where there is none of a name."""
        known = [setting.name for setting in fields(cls)]
        of_calibration = [*Calibration.model_fields, DOSE_RATE]
        for name in settings:
            if name in of_calibration:
                raise OptionError(
                    f"{name!r} is no setting of a run, but of the calibration, which frames bring "
                    "with them; give it to defectscope.open"
                )
            if name not in known:
                hint = did_you_mean(name, [*known, *of_calibration])
                raise OptionError(
                    f"a run has no setting {name!r}{hint}; its settings are: {', '.join(known)}"
                )
        return cls(**settings, masks=masks)

    def __post_init__(self) -> None:
        if self.roi is not None:
            object.__setattr__(self, "roi", check_corners(self.roi))
        if self.vote is not None:
            object.__setattr__(self, "vote", Vote.parse(self.vote))
        object.__setattr__(self, "register", chosen_registration(self.register))
        object.__setattr__(self, "workers", whole_number("workers", self.workers))
        one_of("table_format", self.table_format, TABLE_FORMATS)

    def check(self, tracked: bool) -> None:
        """Refuse settings that do not go together, before anything is read.

        Parameters
        ----------
        tracked
            Whether there is a tracker.

        Raises
        ------
        UsageError
            They do not.
        """
        if self.mixed_sizes and tracked:
            raise UsageError(
                "frames of different sizes cannot be tracked; "
                "leave out the tracker or --mixed-sizes"
            )
        if self.mixed_sizes and self.vote is not None:
            raise UsageError(
                "frames of different sizes are unrelated images, which cannot vote on each other; "
                "leave out --vote or --mixed-sizes"
            )
        if self.mixed_sizes and self.register is not None:
            raise UsageError(
                "frames of different sizes are unrelated images, which cannot be registered; "
                "leave out --register or --mixed-sizes"
            )
        if self.workers > 1 and self.dask is not None:
            raise UsageError(
                "--dask works with the workers of its cluster; leave out --workers or --dask"
            )
