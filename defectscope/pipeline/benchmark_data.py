"""The data of a benchmark: labelled images, each with the frame that it belongs to."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from defectscope.core.datasets import Dataset, LabelledImage, file_of, joining_name
from defectscope.core.errors import InputError, UsageError
from defectscope.core.frames import FrameSelection, FrameSequence, frame_indices, parse_frame_range
from defectscope.core.provenance import input_digests
from defectscope.pipeline.inputs import open_inputs
from defectscope.pipeline.labels import open_dataset
from defectscope.pipeline.noisy_frames import NOISES, Noise, NoisyFrames
from defectscope.pipeline.renaming import check_renames, names_in, renamed_dataset

if TYPE_CHECKING:
    from defectscope.plugins.host import PluginHost

__all__ = ["BenchmarkData", "open_benchmark_data", "with_names", "with_noise"]

ANNOTATIONS = "annotations.json"
NOT_IN_FILE_NAMES = re.compile(r"[^\w.-]+")


@dataclass(frozen=True)
class BenchmarkData:
    """One dataset of a benchmark.

    Parameters
    ----------
    name
        What tables and files call it.
    path
        Where it was read from.
    truth
        The labelled images.
    frames
        One frame for each of them, in the same order.
    noise, source
        What was added to the frames, and the name of the dataset without it.
    rename
        New names of the predictions' defect types; the truth has them already.
    """

    name: str
    path: Path
    truth: Dataset
    frames: FrameSequence
    noise: Noise | None = None
    source: str | None = None
    rename: Mapping[str, str] = field(default_factory=dict)

    @property
    def defects(self) -> int:
        """Number of labelled defects that count."""
        return sum(int((~image.instances.ignore).sum()) for image in self.truth.images)

    def as_dict(self) -> dict[str, Any]:
        """Return what identifies it, as plain values."""
        labels = [path for path in (self.path, self.path / ANNOTATIONS) if path.is_file()]
        return {
            "name": self.name,
            "path": str(self.path),
            "frames": len(self.truth.images),
            "defects": self.defects,
            "noise": None if self.noise is None else {**vars(self.noise), "of": self.source},
            "inputs": input_digests([*labels, *self.frames.paths]),
        }


def open_benchmark_data(
    paths: Sequence[Path], host: PluginHost, frames: str | None = None
) -> list[BenchmarkData]:
    """Open datasets, with names that tell them apart.

    Parameters
    ----------
    paths
        Dataset folders, or files of labels with the images where they say.
    host
        Where formats and readers are looked up.
    frames
        ``FIRST:STOP:STEP`` by frame index, STOP exclusive.

    Raises
    ------
    UsageError
        There is no path, one comes twice, or nothing is selected.
    InputError
        A dataset holds no labelled image, or none of its images is there.
    FormatError
        Labels are malformed, or two images share a name.
    """
    if not paths:
        raise UsageError("name at least one dataset: a dataset folder or a file of labels")
    seen: dict[Path, Path] = {}
    for path in paths:
        if path.resolve() in seen:
            raise UsageError(f"the dataset {path} is given twice")
        seen[path.resolve()] = path
    names = _names(list(seen))
    return [
        _open(path, name, host, frames) for path, name in zip(seen.values(), names, strict=True)
    ]


def with_noise(data: BenchmarkData) -> list[BenchmarkData]:
    """Return a dataset with noise of every kind and level on its frames."""
    kinds = [Noise(kind, level) for kind, levels in NOISES.items() for level in levels]
    return [
        replace(data, name=f"{data.name}-{n}", frames=NoisyFrames(data.frames, n), noise=n,
                source=data.name)
        for n in kinds
    ]  # fmt: skip


def with_names(
    data: Sequence[BenchmarkData], rename: Mapping[str, str], also: Iterable[str]
) -> list[BenchmarkData]:
    """Return datasets with defect types under new names.

    Raises
    ------
    OptionError
        A type is in none of them, and not among `also`, those of the detectors.
    """
    there = [names_in(one.truth) for one in data]
    check_renames(rename, set().union(*there, also))
    return [
        replace(one, truth=renamed_dataset(one.truth, rename), rename=dict(rename)) for one in data
    ]


def _names(paths: Sequence[Path]) -> list[str]:
    """Return the folder's or file's name, with as much before it as tells the datasets apart."""
    ways = [p.parent.parts if p.name == ANNOTATIONS else p.with_suffix("").parts for p in paths]
    for length in range(1, max(map(len, ways)) + 1):
        names = [NOT_IN_FILE_NAMES.sub("-", "-".join(w[-length:])).strip("-.") for w in ways]
        if len({name.casefold() for name in names}) == len(names) and all(names):
            return names
    return [f"dataset-{number}" for number in range(1, len(paths) + 1)]


def _open(path: Path, name: str, host: PluginHost, frames: str | None) -> BenchmarkData:
    truth = open_dataset(path, host)
    if not truth.images:
        raise InputError(f"the dataset {path} holds no labelled image")
    truth.by_stem()  # refuses two images of one name
    if frames is not None:
        truth = _selected(truth, path, frames)
    files, missing = _image_files(truth, path)
    # Pages of one stack share a file.
    series = open_inputs(list(dict.fromkeys(files.values())), host)
    position = {joining_name(source): k for k, source in enumerate(series.names)}
    images = [image for image in truth.images if image.stem in position]
    missing += [i.file_name for i in truth.images if i.file_name in files and i not in images]
    if not images:
        raise InputError(
            f"the frames {', '.join(missing[:3])} that {path} labels are not in the files of "
            "these names; pages of stacks and videos are named like stack.tif#3"
        )
    warnings = list(truth.warnings)
    if missing:
        warnings.append(_left_out(missing, name))
    sizes = {image.pixel_size_nm for image in images}
    calibration = series.calibration.updated(pixel_size_nm=sizes.pop() if len(sizes) == 1 else None)
    return BenchmarkData(
        name,
        path,
        replace(truth, images=images, warnings=tuple(warnings)),
        FrameSelection(series, [position[image.stem] for image in images], calibration),
    )


def _left_out(missing: Sequence[str], name: str) -> str:
    noun, verb = ("image", "is") if len(missing) == 1 else ("images", "are")
    return (
        f"{len(missing)} labelled {noun} of {name} {verb} not there and {verb} left out: "
        f"{', '.join(missing[:5])}{', …' if len(missing) > 5 else ''}"
    )


def _selected(truth: Dataset, path: Path, text: str) -> Dataset:
    """Return the images whose frame index lies in a range."""
    first, stop, step = parse_frame_range(text)
    known = [image.frame for image in truth.images if image.frame is not None]
    stems = [image.stem for image in truth.images]
    indices = known if len(known) == len(stems) else frame_indices(stems)
    low = min(indices) if first is None else first
    wanted = range(low, max(indices) + 1 if stop is None else stop, step or 1)
    images: list[LabelledImage] = [
        image for image, index in zip(truth.images, indices, strict=True) if index in wanted
    ]
    if not images:
        raise UsageError(
            f"no labelled frame of {path} lies in {text}; its frames are "
            f"{', '.join(map(str, indices[:6]))}{', …' if len(indices) > 6 else ''}"
        )
    return replace(truth, images=images)


def _image_files(truth: Dataset, path: Path) -> tuple[dict[str, Path], list[str]]:
    """Return the file of each labelled image by name, and the names of those without one."""
    files: dict[str, Path] = {}
    missing = []
    for name in (image.file_name for image in truth.images):
        file = None if truth.folder is None else file_of(truth.folder, name)
        if file is not None and file.is_file():
            files[name] = file
        else:
            missing.append(name)
    if not files:
        where = f" in {truth.folder}" if truth.folder is not None else ""
        raise InputError(
            f"none of the images that {path} labels is there: looked for "
            f"{', '.join(missing[:3])}{', …' if len(missing) > 3 else ''}{where}"
        )
    return files, missing
