"""Labelled data of any format from Python, and into any: as ``defectscope convert`` does it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from defectscope.core.datasets import Dataset
from defectscope.core.errors import OptionError, OutputError, UsageError
from defectscope.core.files import contents
from defectscope.pipeline import labels
from defectscope.pipeline.given_values import expected_path
from defectscope.pipeline.results import Result
from defectscope.pipeline.run_files import refuse_file_of_run, refuse_run_folder
from defectscope.pipeline.run_labels import is_run, run_dataset
from defectscope.plugins.host import PluginHost, default_host

__all__ = ["open_dataset", "refuse_existing", "save_dataset"]


def open_dataset(
    path: str | Path | Result,
    format: str | None = None,
    *,
    options: Mapping[str, Any] | None = None,
    host: PluginHost | None = None,
) -> Dataset:
    """Read labelled images, or what a run found.

    Parameters
    ----------
    path
        A file or folder of any format that can be read, a run folder, or what a pipeline returned.
    format
        Its name, where it is not recognised.
    options
        Options of the format.
    host
        Plugins to use; the installed ones by default.

    Returns
    -------
    Dataset
        With what is to be said of the data as ``warnings``.

    Raises
    ------
    InputError, FormatError
        There is nothing, or it is malformed, of no known format, or of several.
    OptionError
        An option is not possible; a run is read without any.
    """
    host = host or default_host()
    # Under a name of its own: a temporary run is deleted with the last reference to its result.
    place = path.own_folder if isinstance(path, Result) else expected_path(path)
    if format is not None or not is_run(place):
        return labels.open_dataset(place, host, format, options)
    if options:
        raise OptionError(f"{place} is a run, which is read without options; leave them out")
    return run_dataset(place, host.defect_types())


def save_dataset(
    dataset: Dataset,
    path: str | Path,
    format: str = labels.OWN_FORMAT,
    *,
    options: Mapping[str, Any] | None = None,
    overwrite: bool = False,
    host: PluginHost | None = None,
) -> list[str]:
    """Write labelled images.

    Parameters
    ----------
    dataset
        Of :func:`open_dataset`, :func:`defectscope.generate`, or your own.
    path
        A file or folder, as the format has it.
    format
        Its name.
    options
        Options of the format, such as ``{"copy_images": True}``.
    overwrite
        Whether files that exist may be replaced.
    host
        Plugins to use; the installed ones by default.

    Returns
    -------
    list of str
        Warnings about what the format cannot hold.

    Raises
    ------
    OutputError
        There is something at `path`, or it cannot be written.
    UsageError
        There is no such format, or it can only be read; what was given is no dataset.
    """
    host = host or default_host()
    host.find("formats", format)
    if not isinstance(dataset, Dataset):
        raise UsageError(
            "expected a dataset, as defectscope.open_dataset returns it of a path, or of what a "
            f"pipeline returned; found something of type {type(dataset).__name__}"
        )
    path = expected_path(path)
    refuse_existing(path, overwrite)
    return labels.save_dataset(dataset, path, format, host, options)


def refuse_existing(target: Path, overwrite: bool) -> None:
    """Refuse to write labels where something would be lost.

    Raises
    ------
    OutputError
        There are files, and `overwrite` does not allow it, or they are those of a run.
    """
    # Formats have files of the names of a run's tables, such as tracks.csv.
    refuse_run_folder(target, "layers")
    refuse_file_of_run(target, "choose another place")
    taken = target.exists() and (not target.is_dir() or contents(target))
    if taken and not overwrite:
        kind = "a folder that is not empty" if target.is_dir() else "a file"
        raise OutputError(
            f"{target} exists and is {kind}; choose another place, or replace it with --overwrite "
            "(overwrite=True)"
        )
