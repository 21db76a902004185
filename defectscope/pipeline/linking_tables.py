"""What a run left beside its table of detections, for linking them again as the run would."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from defectscope.core.frame_steps import typical_step
from defectscope.pipeline.finishing import linked, linked_in_run
from defectscope.pipeline.parts import expected_whole, read_csv
from defectscope.pipeline.results import Result
from defectscope.pipeline.run_labels import is_run
from defectscope.pipeline.run_status import said_of_incomplete

if TYPE_CHECKING:
    import pandas as pd

    from defectscope.pipeline.named import NamedComponent

__all__ = ["LinkingTables"]


@dataclass(frozen=True)
class LinkingTables:
    """Where tables for linking lie, and how they are linked.

    Parameters
    ----------
    folder
        The run folder; None where a table is of no run.
    """

    folder: Path | None

    @classmethod
    def beside(cls, table: Path) -> LinkingTables:
        """Return those beside a table: of a run, where it is ``detections.*`` of a run folder."""
        folder = table.resolve().parent
        own = table.stem == "detections" and is_run(folder) and (folder / "frames.csv").is_file()
        return cls(folder if own else None)

    @property
    def frame_step(self) -> int | None:
        """How far apart the frames are that the run looked at; None where there is no run."""
        if self.folder is None:
            return None
        return typical_step(self._frames(self.folder)["frame"])

    @property
    def has_geometry(self) -> bool:
        """Whether there are vertices of lines and outlines."""
        if self.folder is None:
            return False
        return any((self.folder / f"geometry.{kind}").exists() for kind in ("parquet", "csv"))

    @property
    def warnings(self) -> list[str]:
        """What is to be said of the run."""
        return [] if self.folder is None else said_of_incomplete(Result(self.folder))

    def linked(
        self, named: NamedComponent, detections: pd.DataFrame, frame_step: int
    ) -> pd.DataFrame:
        """Return what a tracker makes of detections, with all that the run knows.

        Raises
        ------
        ComponentError
            The tracker raised, or returned something else than particles.
        """
        if self.folder is None:
            return linked(named, detections, frame_step=frame_step)
        geometry = named.component.needs_geometry and self.has_geometry
        frames = self._frames(self.folder)
        return linked_in_run(self.folder, named, detections, frames, frame_step, geometry)

    @staticmethod
    def _frames(folder: Path) -> pd.DataFrame:
        with expected_whole(folder / "frames.csv"):
            return read_csv(folder / "frames.csv")
