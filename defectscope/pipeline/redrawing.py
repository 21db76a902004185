"""One sample of a dataset drawn again from its parameters file."""

from __future__ import annotations

import tempfile
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from defectscope.core.errors import FormatError, OutputError
from defectscope.pipeline.generation import DatasetWriter
from defectscope.pipeline.labels import save_dataset
from defectscope.pipeline.samples import SampleMaker, read_parameters

if TYPE_CHECKING:
    from defectscope.core.datasets import Dataset
    from defectscope.plugins.host import PluginHost

__all__ = ["draw_again"]

ANNOTATIONS = "annotations.json"


def draw_again(source: Path, out: Path, host: PluginHost, *, masks: bool = False) -> Dataset:
    """Draw the sample of a parameters file, and write it where it comes out the same.

    Parameters
    ----------
    source
        ``parameters/NUMBER.json`` of a dataset.
    out
        Dataset folder to write; nothing is left there where the pixels differ.
    host
        Where components are looked up.
    masks
        Also write a PNG mask of every instance.

    Raises
    ------
    FormatError
        The parameters cannot be read, or give other pixels here.
    OutputError
        There is something at `out`.
    """
    plan, number, digest = read_parameters(source)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise OutputError(f"{out} exists; choose another --out")
    made = not out.exists()
    try:
        out.mkdir(parents=True, exist_ok=True)
        # The digest is known after the last frame, when all of them are on disk.
        with tempfile.TemporaryDirectory(prefix=".", dir=out) as name, SampleMaker(plan, host) as m:
            scratch = Path(name)
            sample = m.sample(number)
            dataset = DatasetWriter(scratch, masks).write(sample)
            if sample.parameters["pixels_sha256"] != digest:
                raise FormatError(
                    f"the sample of {source} comes out with other pixels here; other versions of "
                    "numpy, OpenCV or a plugin are installed"
                )
            save_dataset(dataset, scratch / ANNOTATIONS, "coco", host)
            # The truth comes last, and says that the rest is there.
            folders = ("images", "masks", "parameters") if masks else ("images", "parameters")
            for part in (*folders, ANNOTATIONS):
                (scratch / part).rename(out / part)
    except OSError as error:
        raise OutputError(f"cannot write {out}: {error.strerror or error}") from error
    finally:
        if made:
            with suppress(OSError):
                out.rmdir()
    return replace(dataset, folder=out)
