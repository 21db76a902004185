"""The images of a run found again, for its report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from defectscope.core.errors import DefectscopeError, UsageError
from defectscope.pipeline.inputs import open_inputs

if TYPE_CHECKING:
    import pandas as pd

    from defectscope.core.frames import FrameSequence
    from defectscope.pipeline.results import Result
    from defectscope.plugins.host import PluginHost

__all__ = ["ReportImages", "report_images"]


@dataclass(frozen=True)
class ReportImages:
    """Images under what was found in them.

    Parameters
    ----------
    note
        What is to be said of those that are missing.
    sequence
        The images, or None.
    places
        At which position among them each frame lies, by its index.
    """

    note: str = ""
    sequence: FrameSequence | None = None
    places: Mapping[int, int] = field(default_factory=dict)

    def close(self) -> None:
        """Close what is open."""
        if self.sequence is not None:
            self.sequence.close()


def report_images(result: Result, host: PluginHost, images: Sequence[Path]) -> ReportImages:
    """Return the images of a run.

    Parameters
    ----------
    result
        The run.
    host
        Where readers are looked up.
    images
        Where they are; where it is empty, they are where the run found them.

    Raises
    ------
    UsageError
        One of `images` is not there.
    """
    paths = list(images) or [Path(p) for p in result.info.get("input_paths", [])]
    present = [path for path in paths if path.exists()]
    if images and len(present) < len(paths):
        missing = next(path for path in paths if not path.exists())
        raise UsageError(f"there are no images at {missing}")
    if not present:
        return ReportImages("The frames themselves were not found; name them with --images.")
    try:
        sequence = open_inputs(present, host, options=result.reader_options)
    except DefectscopeError as error:
        return ReportImages(f"The frames themselves cannot be read: {error}")
    places = _by_name(sequence, result.frames)
    if len(present) < len(paths):
        gone = f"{len(paths) - len(present)} of {len(paths)} inputs"
        return ReportImages(f"{gone} were not found; name all with --images.", sequence, places)
    if places:
        return ReportImages("", sequence, places)
    if len(sequence) == len(result.frames):
        # Such as files that were renamed.
        by_index = {index: position for position, index in enumerate(sequence.indices)}
        return ReportImages("", sequence, by_index)
    note = (
        f"The {len(sequence)} images are not those of the {len(result.frames)} frames: their names "
        "are others; name the right ones with --images."
    )
    return ReportImages(note, sequence)


def _by_name(images: FrameSequence, frames: pd.DataFrame) -> dict[int, int]:
    # A folder may hold more than the run looked at, and count its frames otherwise.
    named = {name: position for position, name in enumerate(images.names)}
    return {
        int(index): named[source]
        for index, source in zip(frames["frame"], frames["source"], strict=True)
        if source in named
    }
