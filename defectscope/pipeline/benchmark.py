"""Detectors side by side: each on each dataset, in a process of its own."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from defectscope.core.base import Runtime
from defectscope.core.datasets import Dataset, LabelledImage
from defectscope.core.errors import (
    ComponentError,
    DefectscopeError,
    FormatError,
    UsageError,
)
from defectscope.core.provenance import machine_description, package_versions
from defectscope.pipeline.benchmark_data import BenchmarkData, open_benchmark_data
from defectscope.pipeline.benchmark_folder import BenchmarkFolder
from defectscope.pipeline.benchmark_process import Measurement, ProcessFailedError, measure
from defectscope.pipeline.benchmark_results import Benchmark, Line
from defectscope.pipeline.benchmark_scores import PERCENTILES, RESAMPLES, SEED, score_line
from defectscope.pipeline.choices import Choice, make_choices
from defectscope.pipeline.evaluation import check_overlap
from defectscope.pipeline.named import NamedComponent
from defectscope.plugins.host import PluginHost, default_host

if TYPE_CHECKING:
    from defectscope.pipeline.session import Progress

__all__ = ["benchmark"]

# Every benchmark has it as a line, so that benchmarks can be compared with each other.
REFERENCE = "dark-blobs"
FILE_NAME = re.compile(r"\w[\w.-]*")


@dataclass(frozen=True)
class _Entrant:
    """A detector that takes part; without a component where it cannot be built."""

    choice: Choice
    named: NamedComponent | None
    origin: Mapping[str, str]
    error: str | None = None

    def as_dict(self) -> dict[str, Any]:
        given = dict(self.choice.options)
        options = self.named.component.options.model_dump(mode="json") if self.named else given
        return {"alias": self.choice.alias, "name": self.choice.name, **self.origin,
                "options": options}  # fmt: skip


def benchmark(
    datasets: str | Path | Sequence[str | Path],
    detectors: str | Choice | Sequence[str | Choice] = (),
    out: str | Path | None = None,
    *,
    options: Mapping[str, Mapping[str, Any]] | None = None,
    frames: str | None = None,
    iou: float = 0.15,
    worst: int = 3,
    threads: int = 0,
    device: str = "cpu",
    overwrite: bool = False,
    progress: Progress | None = None,
    host: PluginHost | None = None,
) -> Benchmark:
    """Compare detectors by accuracy, speed and memory.

    Each detector works on each dataset in a process of its own: memory and start-up are measured
    apart, and one that fails is a failed line beside those that finished.

    Parameters
    ----------
    datasets
        Dataset folders or files of labels.
    detectors
        ``NAME``, ``distribution/NAME`` or ``ALIAS=NAME``; ``dark-blobs`` as it is is added where
        none is called so.
    out
        Folder for tables, predictions, figures and pictures of the worst frames; nothing is
        written by default.
    options
        Options of the detectors, by name or alias.
    frames
        ``FIRST:STOP:STEP`` by frame index, STOP exclusive.
    iou
        Overlap of boxes that a match needs.
    worst
        Pictures of worst frames for each detector and dataset.
    threads
        Threads of each process; 0 means one a core.
    device
        ``cpu`` or ``cuda``.
    overwrite
        Replace a former benchmark in `out`.
    progress
        Called with (stage, done, total).
    host
        Plugins to use; the installed ones by default.

    Raises
    ------
    UsageError
        A name, an option or a dataset is not as it must be; nothing was done.
    InputError, OutputError
        A dataset cannot be read; the folder cannot be written.

    Examples
    --------
    >>> import defectscope as ds
    >>> found = ds.benchmark("labels", ["fine=dark-blobs"],
    ...                      options={"fine": {"blur_px": 1.5}})  # doctest: +SKIP
    >>> found.table[["detector", "f1", "frames_per_s"]]  # doctest: +SKIP
    """
    check_overlap(iou)
    host = host or default_host()
    threads = threads or os.cpu_count() or 1
    warnings: list[str] = []
    runtime = Runtime(device, threads, defect_types=host.defect_types(), weights=host.weights())
    choices = _choices(detectors, options or {}, host)
    entrants = [_enter(choice, runtime, host, warnings) for choice in choices]
    paths = [datasets] if isinstance(datasets, str | Path) else datasets
    data = open_benchmark_data([Path(path) for path in paths], host, frames)
    folder = None if out is None else BenchmarkFolder(Path(out), host, worst)
    if folder is not None:
        folder.create(overwrite)
    found = Benchmark(
        _info(entrants, data, runtime, iou, frames),
        [],
        None if folder is None else folder.path,
        list(dict.fromkeys([*warnings, *(text for one in data for text in one.truth.warnings)])),
    )
    show = progress or (lambda stage, done, total: None)
    if folder is not None:
        folder.write_tables(found, "running")
    try:
        for one in data:
            for entrant in entrants:
                line, said = _line(entrant, one, threads, iou, host, folder, show)
                known = [*found.warnings, *(text for text in said if text not in found.warnings)]
                found = replace(found, lines=[*found.lines, line], warnings=known)
                if folder is not None:
                    folder.write_tables(found, "running")
            one.frames.close()
    except BaseException:
        if folder is not None:
            folder.write_tables(found, "interrupted")
        raise
    if folder is not None:
        folder.write_figures(found)
        folder.write_tables(found, "complete")
    return found


def _choices(
    detectors: str | Choice | Sequence[str | Choice],
    options: Mapping[str, Mapping[str, Any]],
    host: PluginHost,
) -> list[Choice]:
    """Return what takes part, the reference last unless it is among them under its own name."""
    given = [detectors] if isinstance(detectors, str | Choice) else list(detectors)
    parsed = [item if isinstance(item, Choice) else Choice.parse(item) for item in given]
    aliases = [choice.alias for choice in parsed]
    if REFERENCE not in aliases and host.matching("detectors", REFERENCE):
        parsed.append(Choice(REFERENCE, REFERENCE))
    if not parsed:
        raise UsageError("name at least one detector")
    for choice in parsed:
        if not FILE_NAME.fullmatch(choice.alias):
            raise UsageError(
                f"{choice.alias!r} becomes part of file names, so that it may hold only letters, "
                "digits, '_', '-' and '.'; choose another ALIAS=NAME"
            )
    return make_choices(parsed, options)


def _enter(choice: Choice, runtime: Runtime, host: PluginHost, warnings: list[str]) -> _Entrant:
    """Build a detector; one that cannot be loaded is a failed line, a wrong request an error."""
    plugin = host.find("detectors", choice.name).plugin
    origin = {"distribution": plugin.distribution, "version": plugin.version}
    try:
        component = host.build("detectors", choice.name, choice.options, runtime, choice.alias)
    except UsageError:
        raise
    except Exception as error:
        text = str(error) if isinstance(error, DefectscopeError) else (
            f"{choice.alias!r} cannot be made: {type(error).__name__}: "
            f"{' '.join(str(error).split())}"
        )  # fmt: skip
        return _Entrant(choice, None, origin, text)
    if runtime.device != "cpu" and not component.uses_device:
        warnings.append(f"{choice.alias!r} cannot work on {runtime.device}; the CPU is used")
    return _Entrant(choice, NamedComponent(choice.alias, component), origin)


def _info(
    entrants: Sequence[_Entrant],
    data: Sequence[BenchmarkData],
    runtime: Runtime,
    iou: float,
    frames: str | None,
) -> dict[str, Any]:
    return {
        "iou": iou,
        "frames": frames,
        "bootstrap": {"resamples": RESAMPLES, "seed": SEED, "percentiles": list(PERCENTILES)},
        "detectors": [entrant.as_dict() for entrant in entrants],
        "datasets": [one.as_dict() for one in data],
        "threads": runtime.threads,
        "device": runtime.device,
        "machine": machine_description(),
        "versions": package_versions(),
    }


def _line(
    entrant: _Entrant,
    data: BenchmarkData,
    threads: int,
    iou: float,
    host: PluginHost,
    folder: BenchmarkFolder | None,
    show: Callable[[str, int, int], None],
) -> tuple[Line, list[str]]:
    """Measure and score one detector on one dataset; return the line, and what is to be said."""
    line = Line(entrant.choice.alias, data.name, error=entrant.error)
    if entrant.named is None:
        return line, []
    total, stage = len(data.frames), f"{line.detector} on {data.name}"
    show(stage, 0, total)
    try:
        measured = measure(
            entrant.named, data.frames, threads, lambda done: show(stage, done, total)
        )
        predicted = _predicted(measured, data)
        line = replace(line, scores=score_line(predicted, data.truth, iou, host),
                       measurement=measured)  # fmt: skip
        if folder is not None:
            folder.write_predictions(line, predicted)
            folder.write_worst(line, data, predicted)
    except (ComponentError, FormatError, UsageError) as error:
        log = error.log if isinstance(error, ProcessFailedError) else ""
        return Line(line.detector, line.dataset, error=str(error), log=log), []
    show(stage, total, total)
    damaged = [f"{data.name}: {f.error}" for f in measured.frames if f.error is not None]
    return line, [*damaged, *(f"{data.name}: {text}" for text in measured.warnings)]


def _predicted(measured: Measurement, data: BenchmarkData) -> Dataset:
    images = []
    for frame in measured.frames:
        if frame.instances is not None:
            image = data.truth.images[frame.position]
            images.append(
                LabelledImage(image.file_name, frame.instances, image.frame, image.pixel_size_nm)
            )
    return Dataset(images)
