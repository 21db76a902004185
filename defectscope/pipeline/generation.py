"""Writing a synthetic dataset: in parallel, resumable, every sample whole or not at all."""

from __future__ import annotations

import json
import multiprocessing
import shutil
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from defectscope.core.datasets import Dataset, LabelledImage
from defectscope.core.errors import OutputError, UsageError
from defectscope.core.files import atomic_path, write_json
from defectscope.pipeline.labels import open_dataset, save_dataset
from defectscope.pipeline.samples import DrawnFrame, SampleMaker, SamplePlan
from defectscope.plugins.host import default_host

if TYPE_CHECKING:
    from defectscope.plugins.host import PluginHost

__all__ = ["DatasetWriter", "generate_dataset"]

PLAN = "dataset.json"
# Truth of single samples, until all of them are there.
TRUTH = ".truth"
# Level 1 is three times as fast as the default, for files that are hardly larger.
PNG_LEVEL = 1


@dataclass(frozen=True)
class DatasetWriter:
    """Writes samples into a dataset folder.

    Parameters
    ----------
    folder
        The dataset's.
    masks
        Also write a PNG mask of every instance, and one of all together (P1).
    """

    folder: Path
    masks: bool = False

    def write(self, frames: list[DrawnFrame], parameters: dict[str, Any]) -> Dataset:
        """Write images and parameters of one sample, and return its truth."""
        number = int(parameters["number"])
        for frame in frames:
            _write_png(self.folder / "images" / f"{frame.name}.png", frame.pixels)
            if self.masks:
                self._write_masks(frame)
        write_json(self.folder / "parameters" / f"{number:06d}.json", parameters)
        images = [
            LabelledImage(f"images/{frame.name}.png", frame.truth, frame.frame) for frame in frames
        ]
        return Dataset(images, self.folder)

    def write_with_truth(
        self, frames: list[DrawnFrame], parameters: dict[str, Any], host: PluginHost
    ) -> None:
        """Write one sample; its truth comes last, and says that the rest is there."""
        dataset = self.write(frames, parameters)
        target = self.truth(int(parameters["number"]))
        target.parent.mkdir(parents=True, exist_ok=True)
        save_dataset(dataset, target, "coco", host)

    def _write_masks(self, frame: DrawnFrame) -> None:
        together = np.zeros(frame.pixels.shape, np.uint8)
        for position, mask in enumerate(frame.truth.masks or ()):
            dense = mask.to_dense(frame.pixels.shape).astype(np.uint8) * 255
            _write_png(self.folder / "masks" / frame.name / f"{position:03d}.png", dense)
            together |= dense
        _write_png(self.folder / "masks" / frame.name / "all.png", together)

    def truth(self, number: int) -> Path:
        """Path of the truth of one sample, while the others are not there yet."""
        return self.folder / TRUTH / f"{number:06d}.json"


def _write_png(path: Path, pixels: Any) -> None:
    with atomic_path(path) as temporary:
        encoded = cv2.imencode(".png", pixels, [cv2.IMWRITE_PNG_COMPRESSION, PNG_LEVEL])[1]
        temporary.write_bytes(encoded.tobytes())


def generate_dataset(
    plan: SamplePlan,
    count: int,
    folder: Path,
    host: PluginHost | None = None,
    *,
    workers: int = 1,
    masks: bool = False,
    resume: bool = False,
    overwrite: bool = False,
    progress: Callable[[str, int, int], None] = lambda stage, done, total: None,
) -> Dataset:
    """Write `count` samples and their truth, and return them.

    Parameters
    ----------
    plan
        What to draw.
    count
        Number of samples.
    folder
        Dataset folder (``images/``, ``parameters/``, ``annotations.json``).
    host
        Plugins to use; the installed ones by default. Worker processes use the installed ones.
    workers
        Processes; the pixels and the truth do not depend on it.
    masks
        Also write a PNG mask of every instance.
    resume, overwrite
        Go on with an interrupted dataset of the same plan, or replace it.
    progress
        Called with (stage, done, total).

    Raises
    ------
    OutputError
        The folder holds something else.
    UsageError
        The dataset there has another plan.
    """
    host = host or default_host()
    maker = SampleMaker(plan, host)
    writer = DatasetWriter(folder, masks)
    _prepare(folder, {**plan.as_dict(), "masks": masks}, resume, overwrite)
    missing = [number for number in range(count) if not writer.truth(number).is_file()]
    progress("generate", count - len(missing), count)
    for done, _ in enumerate(_written(maker, writer, missing, host, workers), start=1):
        progress("generate", count - len(missing) + done, count)
    images = [
        image
        for number in range(count)
        for image in open_dataset(writer.truth(number), host, "coco").images
    ]
    types = dict.fromkeys(str(n) for i in images for n in i.instances.defect_types)
    dataset = Dataset(images, folder, tuple(types))
    save_dataset(dataset, folder / "annotations.json", "coco", host)
    shutil.rmtree(folder / TRUTH)
    return dataset


def _prepare(folder: Path, plan: dict[str, Any], resume: bool, overwrite: bool) -> None:
    record = folder / PLAN
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        if not record.is_file():
            raise OutputError(f"{folder} exists and holds something else; choose another --out")
        if resume and not (folder / "annotations.json").is_file():
            if json.loads(record.read_text(encoding="utf-8")) != plan:
                raise UsageError(
                    f"the dataset in {folder} was begun with other generators, options, size or "
                    "seed; use the same command, or --overwrite"
                )
            return
        if not overwrite:
            raise OutputError(
                f"{folder} holds a dataset; choose another --out, give --overwrite to replace it, "
                "or --resume to go on with an interrupted one"
            )
        for name in ("images", "masks", "parameters", TRUTH):
            shutil.rmtree(folder / name, ignore_errors=True)
        (folder / "annotations.json").unlink(missing_ok=True)
    write_json(record, plan)


def _written(
    maker: SampleMaker, writer: DatasetWriter, numbers: list[int], host: PluginHost, workers: int
) -> Iterator[int]:
    if workers == 1:
        with maker:
            for number in numbers:
                writer.write_with_truth(*maker.make(number), host)
                yield number
        return
    pool = ProcessPoolExecutor(
        workers,
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_start_worker,
        initargs=(maker.plan, writer),
    )
    try:
        yield from pool.map(_write_one, numbers, chunksize=4)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


_worker: dict[str, Any] = {}


def _start_worker(plan: SamplePlan, writer: DatasetWriter) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    cv2.setNumThreads(1)
    # Open until the process ends.
    _worker["maker"] = SampleMaker(plan, default_host()).__enter__()
    _worker["writer"] = writer


def _write_one(number: int) -> int:
    frames, parameters = _worker["maker"].make(number)
    _worker["writer"].write_with_truth(frames, parameters, default_host())
    return number
