"""Writing a synthetic dataset: in parallel, resumable, every sample whole or not at all."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable, Container, Iterator
from concurrent.futures import BrokenExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from defectscope.core.coco_text import join_coco_files
from defectscope.core.datasets import Dataset, LabelledImage
from defectscope.core.errors import OutputError, UsageError
from defectscope.core.files import contents, write_bytes, write_json
from defectscope.core.interrupts import ctrl_c_ignored
from defectscope.pipeline.dataset_plans import check_resumed, former_plan, plan_record
from defectscope.pipeline.drawn import DrawnFrame, Sample
from defectscope.pipeline.labels import OWN_FORMAT, open_dataset, save_dataset
from defectscope.pipeline.left_out import left_out_notes
from defectscope.pipeline.mask_files import write_masks
from defectscope.pipeline.png_files import image_png
from defectscope.pipeline.samples import SampleMaker, SamplePlan
from defectscope.pipeline.script_guard import GUARD, expect_guard, expect_no_standard_input
from defectscope.pipeline.worker_pools import worker_pool
from defectscope.plugins.host import default_host

if TYPE_CHECKING:
    from defectscope.plugins.host import PluginHost

__all__ = ["PREVIEW", "DatasetWriter", "generate_dataset", "is_complete"]

PLAN = "dataset.json"
ANNOTATIONS = "annotations.json"
# A contact sheet that the command line writes.
PREVIEW = "preview.png"
# Truth of single samples, until all of them are there.
TRUTH = ".truth"
# The first sample of a dataset that replaces another, until it is there.
FIRST = ".first"
# Stills that a worker takes at once; more gain nothing.
MOST_TOGETHER = 4
PARTS = ("images", "masks", "parameters", TRUTH)


@dataclass(frozen=True)
class DatasetWriter:
    """Writes samples into a dataset folder.

    Parameters
    ----------
    folder
        The dataset's.
    masks
        Also write a PNG mask of every instance, and one of all together (P1).
    whole
        Numbers of the samples whose truth is kept whole in memory, once it is in its file; None
        for all.
    """

    folder: Path
    masks: bool = False
    whole: Container[int] | None = None

    def write(self, sample: Sample, each: Callable[[], None] = lambda: None) -> Dataset:
        """Write images and parameters of one sample as it is drawn, and return its truth.

        Parameters
        ----------
        sample
            What to draw; where that fails, no file of it is left.
        each
            Called after each image.
        """
        names: list[str] = []
        images = []
        try:
            for frame in sample:
                names.append(frame.name)
                self._write_frame(frame)
                images.append(
                    LabelledImage(
                        f"images/{frame.name}.png", frame.truth, frame.frame, frame.pixel_size_nm,
                        frame.dose_dpa,
                    )
                )  # fmt: skip
                each()
            write_json(self.parameters(sample.number), sample.parameters, default=_plain)
        except BaseException:
            for name in names:
                (self.folder / "images" / f"{name}.png").unlink(missing_ok=True)
                shutil.rmtree(self.folder / "masks" / name, ignore_errors=True)
            raise
        return Dataset(images, self.folder)

    def _write_frame(self, frame: DrawnFrame) -> None:
        write_bytes(self.folder / "images" / f"{frame.name}.png", image_png(frame.pixels))
        if self.masks:
            shape = frame.pixels.shape[0], frame.pixels.shape[1]
            write_masks(self.folder / "masks" / frame.name, frame.truth.masks or (), shape)

    def write_with_truth(
        self, sample: Sample, host: PluginHost, each: Callable[[], None] = lambda: None
    ) -> Dataset:
        """Write one sample; its truth comes last, and says that the rest is there."""
        dataset = self.write(sample, each)
        target = self.truth(sample.number)
        target.parent.mkdir(parents=True, exist_ok=True)
        save_dataset(dataset, target, OWN_FORMAT, host)
        return self.kept(sample.number, dataset)

    def kept(self, number: int, dataset: Dataset) -> Dataset:
        """Return what is kept in memory of the truth of one sample: without masks, unless whole."""
        if self.whole is None or number in self.whole:
            return dataset
        bare = [
            replace(image, instances=replace(
                image.instances, masks=None, lines=None, measurements={}, units={}
            ))
            for image in dataset.images
        ]  # fmt: skip
        return replace(dataset, images=bare)

    def parameters(self, number: int) -> Path:
        """Path of what made one sample."""
        return self.folder / "parameters" / f"{number:06d}.json"

    def truth(self, number: int) -> Path:
        """Path of the truth of one sample, while the others are not there yet."""
        return self.folder / TRUTH / f"{number:06d}.json"


def _plain(value: Any) -> Any:
    """Return what a plugin drew as JSON holds it: the parameters are for people to read."""
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else str(value)


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
    whole: Container[int] | None = None,
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
        Plugins to use; the installed ones by default.
    workers
        Processes; the pixels and the truth do not depend on it.
    masks
        Also write a PNG mask of every instance.
    resume, overwrite
        Go on with an interrupted dataset of the same plan, or replace it; nothing is drawn where
        it is complete.
    whole
        Numbers of the samples that are returned whole; of the others only boxes, defect types and
        what is ignored are kept, for the masks of many samples fill the memory. None for all.
    progress
        Called with (stage, images done, images in total).

    Raises
    ------
    OutputError
        The folder holds something else.
    UsageError
        The dataset there has another plan or number of samples.
    """
    expect_guard()
    if workers > 1:
        expect_no_standard_input()
    if resume and overwrite:
        raise UsageError("--resume goes on with a dataset and --overwrite deletes it; choose one")
    host = host or default_host()
    not_closed: list[str] = []
    maker = SampleMaker(plan, host, not_closed)
    writer = DatasetWriter(folder, masks, whole)
    # What the components miss is said before anything is written or replaced.
    with maker:
        record = plan_record(maker, masks)
    replaces = _prepare(folder, record, count, resume, overwrite)
    if is_complete(folder) and not replaces:
        return _complete(folder, host, not_closed)
    parts = {} if replaces else _parts_there(writer, count, host)
    done, total = itertools.count(len(parts) * (plan.length or 1)), count * (plan.length or 1)

    def each() -> None:
        progress("generate", next(done), total)

    each()
    if replaces:
        parts[0] = _replace(maker, writer, record, host, each)
    missing = [number for number in range(count) if number not in parts]
    with _nothing_left_of(folder):
        parts.update(_written(maker, writer, missing, host, workers, each))
    return _joined([parts[number] for number in range(count)], writer, not_closed)


def _parts_there(writer: DatasetWriter, count: int, host: PluginHost) -> dict[int, Dataset]:
    """Return the samples that an interrupted dataset has already, by number."""
    known = [number for number in range(count) if writer.truth(number).is_file()]
    return {n: writer.kept(n, open_dataset(writer.truth(n), host, OWN_FORMAT)) for n in known}


@contextmanager
def _nothing_left_of(folder: Path) -> Iterator[None]:
    """Remove a dataset without any sample, where drawing fails inside."""
    try:
        yield
    except BaseException:
        if not (folder / TRUTH).exists():
            _forget(folder)
        raise


def _joined(parts: list[Dataset], writer: DatasetWriter, warnings: list[str]) -> Dataset:
    """Write the truth of all samples as one file, and return them together."""
    images = [image for part in parts for image in part.images]
    types = dict.fromkeys(str(n) for i in images for n in i.instances.defect_types)
    join_coco_files(map(writer.truth, range(len(parts))), writer.folder / ANNOTATIONS)
    shutil.rmtree(writer.folder / TRUTH)
    notes = left_out_notes([writer.parameters(number) for number in range(len(parts))])
    return Dataset(images, writer.folder, tuple(types), (*notes, *dict.fromkeys(warnings)))


def is_complete(folder: Path) -> bool:
    """Whether all samples of the dataset in a folder, if there is one, are drawn and joined."""
    return (folder / PLAN).is_file() and (folder / ANNOTATIONS).is_file()


def _complete(folder: Path, host: PluginHost, warnings: list[str]) -> Dataset:
    shutil.rmtree(folder / TRUTH, ignore_errors=True)  # a process was killed just before it was
    read = open_dataset(folder / ANNOTATIONS, host, OWN_FORMAT)
    images = [replace(image, file_name=f"images/{image.stem}.png") for image in read.images]
    return replace(
        read, images=images, folder=folder, warnings=(*read.warnings, *dict.fromkeys(warnings))
    )


def _prepare(folder: Path, plan: dict[str, Any], count: int, resume: bool, overwrite: bool) -> bool:
    """Begin a dataset or go on with one, and return whether there is another to replace first."""
    record = folder / PLAN
    if folder.exists() and (not folder.is_dir() or contents(folder)):
        if not record.is_file():
            raise OutputError(f"{folder} exists and holds something else; choose another --out")
        if resume:
            check_resumed(record, plan)
            _check_count(folder, count)
            return False
        if not overwrite:
            raise OutputError(
                f"{folder} holds a dataset; choose another --out, give --overwrite to replace it, "
                "or --resume to go on with an interrupted one"
            )
        former_plan(record)  # others have a file of this name, too
        return True
    write_json(record, plan)
    return False


def _check_count(folder: Path, count: int) -> None:
    drawn = _drawn(folder)
    if drawn > count or (drawn != count and is_complete(folder)):
        state, more = ("is complete with", "") if is_complete(folder) else ("has", " or more")
        raise UsageError(
            f"the dataset in {folder} {state} {drawn} samples, and --count asks for {count}; give "
            f"--count {drawn}{more}, or --overwrite in place of --resume"
        )


def _drawn(folder: Path) -> int:
    """Return how many samples there are, with those that are not whole and any gaps."""
    patterns = ("images/*.png", "parameters/*.json", f"{TRUTH}/*.json")
    stems = (path.stem for pattern in patterns for path in folder.glob(pattern))
    numbers = (stem.partition("-")[0] for stem in stems)
    return max((int(number) + 1 for number in numbers if number.isdecimal()), default=0)


def _replace(
    maker: SampleMaker,
    writer: DatasetWriter,
    plan: dict[str, Any],
    host: PluginHost,
    each: Callable[[], None],
) -> Dataset:
    """Put the first sample in the place of a former dataset, which stays where that fails."""
    folder = writer.folder
    new = replace(writer, folder=folder / FIRST)
    try:
        shutil.rmtree(new.folder, ignore_errors=True)  # of a process that was killed
        with maker:
            dataset = new.write_with_truth(maker.sample(0), host, each)
        # What says that the former dataset is whole goes before anything of it.
        for name in (ANNOTATIONS, PREVIEW):
            (folder / name).unlink(missing_ok=True)
        for name in PARTS:
            shutil.rmtree(folder / name, ignore_errors=True)
        write_json(folder / PLAN, plan)
        # The truth comes last, and says that the rest is there.
        for part in filter(Path.exists, (new.folder / name for name in PARTS)):
            part.rename(folder / part.name)
    except OSError as error:
        raise OutputError(f"cannot write {folder}: {error.strerror or error}") from error
    finally:
        shutil.rmtree(new.folder, ignore_errors=True)
    return dataset


def _forget(folder: Path) -> None:
    """Remove what a dataset without any sample consists of."""
    (folder / PLAN).unlink(missing_ok=True)
    for path in (*(folder / name for name in ("images", "masks", "parameters")), folder):
        with suppress(OSError):  # not empty, or not there
            path.rmdir()


def _written(
    maker: SampleMaker,
    writer: DatasetWriter,
    numbers: list[int],
    host: PluginHost,
    workers: int,
    each: Callable[[], None],
) -> Iterator[tuple[int, Dataset]]:
    if workers == 1:
        with maker:
            for number in numbers:
                yield number, writer.write_with_truth(maker.sample(number), host, each)
        return
    pool = worker_pool(workers, _start_worker, maker, writer, host)
    try:
        together = _together(maker.plan, numbers, workers)
        with ctrl_c_ignored():  # by the processes that are started here
            parts = pool.map(_write_one, numbers, chunksize=together)
        for number, part in zip(numbers, parts, strict=True):
            for _ in part.images:
                each()
            yield number, part
    except BrokenExecutor as error:
        raise OutputError(
            "a worker process died, for want of memory, or because the script that generates runs "
            f"anew in it; {GUARD}, ask for fewer --workers, and go on with --resume"
        ) from error
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _together(plan: SamplePlan, numbers: list[int], workers: int) -> int:
    """Return how many samples a worker takes at once: every worker shall have some."""
    return 1 if plan.length else max(1, min(MOST_TOGETHER, len(numbers) // (4 * workers)))


_worker: dict[str, Any] = {}


def _start_worker(maker: SampleMaker, writer: DatasetWriter, host: PluginHost) -> None:
    cv2.setNumThreads(1)
    # Open until the process ends.
    _worker.update(maker=maker.__enter__(), writer=writer, host=host)


def _write_one(number: int) -> Dataset:
    sample = _worker["maker"].sample(number)
    dataset: Dataset = _worker["writer"].write_with_truth(sample, _worker["host"])
    return dataset
