"""The files of microscopes as RosettaSciIO loads them.

RosettaSciIO is under the GPL, so it is imported only when such a file is read.
"""

from __future__ import annotations

import contextlib
import importlib
import traceback
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from defectscope import InputError, MissingPackageError
from defectscope.readers.mrc_header import check_byte_order, has_signed_bytes
from defectscope.readers.pixels import warn_once

__all__ = ["SUFFIXES", "load_datasets", "reason_of"]

# Those that hold images. RosettaSciIO reads more: spectra, scans of diffraction patterns.
SUFFIXES = {
    ".dm3": "digitalmicrograph",
    ".dm4": "digitalmicrograph",
    ".mrc": "mrc",
    ".mrcs": "mrc",
    ".rec": "mrc",
    ".st": "mrc",
    ".ali": "mrc",
    ".emd": "emd",
    ".ser": "tia",
    ".hspy": "hspy",
}
OPTIONS: dict[str, dict[str, Any]] = {
    # Else every file with "movie" in its path is taken for one of Direct Electron's.
    "mrc": {"metadata_file": None},
    # Of a file by Velox; its documentation says "image", which it refuses.
    "emd": {"select_type": "images"},
}
# Its lazy array reads the whole file for each image.
LOADED_ONCE = ("tia",)


def load_datasets(path: Path, complaints: list[str]) -> list[dict[str, Any]]:
    """Return what RosettaSciIO reads from a file: datasets with their axes and metadata.

    Parameters
    ----------
    path
        The file; its suffix says the format.
    complaints
        Where to add what RosettaSciIO warns of.

    Raises
    ------
    InputError
        It cannot be read.
    MissingPackageError
        RosettaSciIO, or what it needs for this file, is not installed.
    """
    format_name = SUFFIXES.get(path.suffix.lower())
    if format_name is None:
        raise InputError(
            f"{path.name} has none of the suffixes {', '.join(SUFFIXES)}, "
            "by which microscope formats are told apart"
        )
    module = _module(format_name, path)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            if path.stat().st_size == 0:
                raise InputError(f"{path.name} is empty (0 bytes)")
            datasets = _read(module, path, format_name)
        except InputError:
            raise
        except ModuleNotFoundError as error:
            raise _missing(error, path) from error
        except Exception as error:  # whatever a parser of damaged files may come across
            # It may have left the file open, which its local variables then keep so.
            traceback.clear_frames(error.__traceback__)
            raise InputError(
                f"{path.name} cannot be read as {path.suffix.lower()}; it may be cut off, damaged "
                f"or of another kind ({reason_of(error)})"
            ) from error
    for warning in caught:
        if issubclass(warning.category, UserWarning):
            warn_once(complaints, f"RosettaSciIO says: {' '.join(str(warning.message).split())}")
    return datasets


def _read(module: Any, path: Path, format_name: str) -> list[dict[str, Any]]:
    if format_name == "mrc":
        check_byte_order(path)
    datasets = _read_lazily(module, path, format_name)
    if format_name == "mrc" and has_signed_bytes(path):
        for dataset in datasets:
            dataset["data"] = dataset["data"].view(np.int8)
    return datasets


def _read_lazily(module: Any, path: Path, format_name: str) -> list[dict[str, Any]]:
    options = OPTIONS.get(format_name, {})
    if format_name not in LOADED_ONCE:
        # Not every kind of image can be read lazily (RGB in DM files): then as a whole.
        with contextlib.suppress(ValueError):
            return list(module.file_reader(str(path), lazy=True, **options))
    return list(module.file_reader(str(path), lazy=False, **options))


def _missing(error: ModuleNotFoundError, path: Path) -> MissingPackageError:
    if error.name is None and "'sparse'" in str(error):
        # RosettaSciIO asks for it at spectrum images of Velox, also where only images are wanted.
        return MissingPackageError(
            "sparse",
            "eds-stream",
            f"reading {path.name}, which holds spectra beside its images,",
            distribution="rosettasciio",
        )
    return MissingPackageError(error.name or "rosettasciio", "microscope", f"reading {path.name}")


def _module(format_name: str, path: Path) -> Any:
    try:
        rsciio = importlib.import_module("rsciio")
        module = importlib.import_module(f"rsciio.{format_name}")
    except ModuleNotFoundError as error:
        top = (error.name or "rsciio").partition(".")[0]
        package = "rosettasciio" if top == "rsciio" else top
        raise MissingPackageError(package, "microscope", f"reading {path.name}") from error
    rsciio.set_log_level("ERROR")  # it logs to stderr by itself, about optional speed-ups
    return module


def reason_of(error: Exception) -> str:
    """Return what an error says in one line, or its kind."""
    return " ".join(str(error).split()) or type(error).__name__
