"""Detectors side by side: each on each dataset, in a process of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from defectscope.core.cores import available_cores
from defectscope.core.datasets import Dataset, LabelledImage
from defectscope.core.errors import (
    ComponentError,
    FormatError,
    UsageError,
)
from defectscope.core.provenance import machine_description, package_versions
from defectscope.core.run_limits import DEVICES, one_of, positive_number, whole_number
from defectscope.pipeline.benchmark_data import (
    BenchmarkData,
    open_benchmark_data,
    with_names,
    with_noise,
)
from defectscope.pipeline.benchmark_entrants import Entrant, chosen_detectors, enter
from defectscope.pipeline.benchmark_folder import BenchmarkFolder
from defectscope.pipeline.benchmark_process import Measurement, ProcessFailedError, measure
from defectscope.pipeline.benchmark_results import Benchmark, Line
from defectscope.pipeline.benchmark_scores import score_line
from defectscope.pipeline.bootstrap import PERCENTILES, RESAMPLES, SEED
from defectscope.pipeline.choices import Choice
from defectscope.pipeline.evaluation import NOTHING_TRUE, check_overlap
from defectscope.pipeline.given_values import expected_path, expected_paths, expected_tables
from defectscope.pipeline.named import reported_types
from defectscope.pipeline.renaming import expected_renames, renamed_dataset
from defectscope.plugins.host import PluginHost, default_host

if TYPE_CHECKING:
    from defectscope.core.base import Runtime
    from defectscope.pipeline.session import Progress

__all__ = ["benchmark"]


def benchmark(
    datasets: str | Path | Sequence[str | Path],
    detectors: str | Choice | Sequence[str | Choice] = (),
    out: str | Path | None = None,
    *,
    options: Mapping[str, Mapping[str, Any]] | None = None,
    frames: str | None = None,
    iou: float = 0.15,
    worst: int = 3,
    noise: bool = False,
    rename: Mapping[str, str] | None = None,
    threads: int = 0,
    device: str = "cpu",
    time_limit_s: float | None = None,
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
    noise
        Also on frames with noise of three kinds and levels (P2): see
        :data:`~defectscope.pipeline.noisy_frames.NOISES`.
    rename
        New names of defect types by old ones, of truth and predictions.
    threads
        Threads of each process; 0 means one a core.
    device
        ``cpu`` or ``cuda``.
    time_limit_s
        Longest time over one frame; a detector that takes longer is a failed line.
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
    device, worst = one_of("device", device, DEVICES), whole_number("worst", worst)
    threads = whole_number("threads", threads) or available_cores()
    if time_limit_s is not None:
        time_limit_s = positive_number("time_limit_s", time_limit_s)
    rename, options = expected_renames(rename), expected_tables(options)
    target = None if out is None else expected_path(out)
    host = host or default_host()
    warnings: list[str] = []
    runtime = host.runtime(device=device, threads=threads)
    choices = chosen_detectors(detectors, options, host)
    entrants = [enter(choice, runtime, host, warnings) for choice in choices]
    data = open_benchmark_data(expected_paths(datasets), host, frames)
    if rename:
        can = {name for e in entrants if e.named is not None for name in reported_types(e.named)}
        data = with_names(data, rename, can)
    if noise:
        data = [each for one in data for each in (one, *with_noise(one))]
    folder = None if target is None else BenchmarkFolder(target, host, worst)
    if folder is not None:
        folder.create(overwrite)
    found = Benchmark(
        {**_info(entrants, data, runtime, iou, frames), "rename": dict(rename)},
        [],
        None if folder is None else folder.path,
        list(dict.fromkeys([*warnings, *(text for one in data for text in one.truth.warnings)])),
    )
    show = progress or (lambda stage, done, total: None)

    def measured(entrant: Entrant, one: BenchmarkData) -> tuple[Line, list[str]]:
        return _line(entrant, one, threads, iou, host, folder, show, time_limit_s)

    return _with_lines(found, entrants, data, measured, folder)


def _with_lines(
    found: Benchmark,
    entrants: Sequence[Entrant],
    data: Sequence[BenchmarkData],
    measured: Callable[[Entrant, BenchmarkData], tuple[Line, list[str]]],
    folder: BenchmarkFolder | None,
) -> Benchmark:
    """Measure line by line, and write what is there after each, so that nothing of it is lost."""
    if folder is not None:
        folder.write_tables(found, "running")
    try:
        for one in data:
            for entrant in entrants:
                line, said = measured(entrant, one)
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


def _info(
    entrants: Sequence[Entrant],
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
    entrant: Entrant,
    data: BenchmarkData,
    threads: int,
    iou: float,
    host: PluginHost,
    folder: BenchmarkFolder | None,
    show: Callable[[str, int, int], None],
    time_limit_s: float | None,
) -> tuple[Line, list[str]]:
    """Measure and score one detector on one dataset; return the line, and what is to be said."""
    line = Line(entrant.choice.alias, data.name, error=entrant.error)
    if entrant.named is None:
        return line, []
    total, stage = len(data.frames), f"{line.detector} on {data.name}"
    show(stage, 0, total)
    try:
        measured = measure(
            entrant.named,
            data.frames,
            threads,
            lambda done: show(stage, done, total),
            time_limit_s,
        )
        predicted = _predicted(measured, data)
        compared = renamed_dataset(predicted, data.rename)
        scores = score_line(compared, data.truth, iou, host)
        line = replace(line, scores=scores, measurement=measured)
        if folder is not None:
            folder.write_predictions(line, predicted)
            if data.noise is None:
                folder.write_worst(line, data, compared)
    except (ComponentError, FormatError, UsageError) as error:
        log = error.log if isinstance(error, ProcessFailedError) else ""
        return Line(line.detector, line.dataset, error=str(error), log=log), []
    show(stage, total, total)
    damaged = [f"{data.name}: {f.error}" for f in measured.frames if f.error is not None]
    return line, [
        *damaged,
        *(f"{data.name}: {text}" for text in measured.warnings),
        *_scoring_warnings(line, data),
    ]


def _scoring_warnings(line: Line, data: BenchmarkData) -> list[str]:
    """Return what is to be said of the scores; once, not for every kind of noise again."""
    if line.scores is None or data.noise is not None:
        return []
    texts = [t for t in line.scores.evaluation.warnings if t not in data.truth.warnings]
    # What is said of the truth alone is the same for every detector.
    where = {text: data.name if text == NOTHING_TRUE else f"{line.detector} on {data.name}"
             for text in texts}  # fmt: skip
    return [f"{where[text]}: {text}" for text in texts]


def _predicted(measured: Measurement, data: BenchmarkData) -> Dataset:
    images = []
    for frame in measured.frames:
        if frame.instances is not None:
            image = data.truth.images[frame.position]
            images.append(
                LabelledImage(image.file_name, frame.instances, image.frame, image.pixel_size_nm)
            )
    return Dataset(images, defect_types=measured.defect_types)
