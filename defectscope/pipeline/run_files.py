"""What in run folders is the run's own, and must not be written over by anything else."""

from __future__ import annotations

from pathlib import Path

from defectscope.core.errors import OutputError
from defectscope.pipeline.run_labels import is_run
from defectscope.pipeline.runfolder import OWN_FILES

__all__ = ["refuse_file_of_run", "refuse_run_folder"]


def refuse_run_folder(folder: Path, inside: str) -> None:
    """Refuse to write among the files of a run.

    Parameters
    ----------
    folder
        Where something is to be written.
    inside
        Name of a folder in it that would do.

    Raises
    ------
    OutputError
        It is a run folder.
    """
    if is_run(folder):
        raise OutputError(
            f"{folder} is a run folder, whose files must stay as they are; choose another folder, "
            f"such as {folder / inside}"
        )


def refuse_file_of_run(path: Path, instead: str) -> None:
    """Refuse to write a file in place of one of a run, whether the run has that one or not.

    Parameters
    ----------
    path
        What is to be written.
    instead
        What else can be done, as a clause.

    Raises
    ------
    OutputError
        It has the name of a run's own file, and lies in a run folder.
    """
    if path.name in OWN_FILES and is_run(path.resolve().parent):
        raise OutputError(f"{path} is a file of the run itself, and must stay as it is; {instead}")
