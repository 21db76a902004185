"""The folder that a benchmark leaves, kept up to date after every line."""

from __future__ import annotations

import json
import math
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from defectscope.core.errors import InputError, OutputError
from defectscope.core.files import contents, write_json
from defectscope.pipeline.benchmark_pictures import comparison_picture, worst_frames
from defectscope.pipeline.figure_files import write_finding
from defectscope.pipeline.labels import OWN_FORMAT, save_dataset
from defectscope.pipeline.overlay import write_png
from defectscope.pipeline.parts import write_table

if TYPE_CHECKING:
    from defectscope.core.datasets import Dataset
    from defectscope.pipeline.benchmark_data import BenchmarkData
    from defectscope.pipeline.benchmark_results import Benchmark, Line
    from defectscope.plugins.host import PluginHost

__all__ = ["BenchmarkFolder"]

INFO, TABLE, FRAMES = "benchmark.json", "benchmark.csv", "frames.csv"
TYPES = "types.csv"
PREDICTIONS, FIGURES, WORST = "predictions", "figures", "worst"
NOT_IN_FILE_NAMES = re.compile(r"[^\w.-]+")


@dataclass(frozen=True)
class BenchmarkFolder:
    """Writes the results of a benchmark.

    Parameters
    ----------
    path
        The folder.
    host
        Where the format of the predictions is looked up.
    worst
        How many pictures of the worst frames each line gets.
    """

    path: Path
    host: PluginHost
    worst: int = 3

    def create(self, overwrite: bool) -> None:
        """Make the folder, empty of what a former benchmark left.

        Raises
        ------
        OutputError
            It holds something else, or a benchmark and `overwrite` is not given.
        """
        if self.path.exists() and not self.path.is_dir():
            raise OutputError(f"{self.path} is a file; --out takes a folder")
        try:
            present = contents(self.path)
            if present:
                self._clear(present[0], overwrite)
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(
                f"cannot write to {self.path}: {error.strerror or error}; choose another --out"
            ) from error

    def _clear(self, first: Path, overwrite: bool) -> None:
        former = self._former()
        if former is None:
            raise OutputError(
                f"the folder {self.path} exists and holds something else than a benchmark "
                f"({first.name}); choose another --out"
            )
        # One that ended before its first line left nothing worth a question.
        if former["lines"] and not overwrite:
            raise OutputError(
                f"the folder {self.path} holds another benchmark; choose another --out, or give "
                "--overwrite to replace it"
            )
        for name in (PREDICTIONS, FIGURES, WORST):
            shutil.rmtree(self.path / name, ignore_errors=True)
        for name in (TABLE, FRAMES, TYPES, INFO):
            (self.path / name).unlink(missing_ok=True)

    def _former(self) -> dict[str, Any] | None:
        """Return ``benchmark.json``, or None where there is none of ours."""
        try:
            info = json.loads((self.path / INFO).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        ours = isinstance(info, dict) and {"format", "detectors", "lines"} <= info.keys()
        return info if ours else None

    def write_predictions(self, line: Line, predicted: Dataset) -> None:
        """Write what was found as COCO, for ``evaluate``."""
        path = self.path / PREDICTIONS / line.detector / f"{line.dataset}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        save_dataset(predicted, path, OWN_FORMAT, self.host)

    def write_worst(self, line: Line, data: BenchmarkData, predicted: Dataset) -> None:
        """Draw the worst frames beside their truth."""
        if line.scores is None:
            return
        positions = {image.stem: k for k, image in enumerate(data.truth.images)}
        found = {image.stem: image.instances for image in predicted.images}
        rows = line.scores.per_frame.to_dict("records")
        for row in worst_frames(line.scores.per_frame, self.worst):
            stem = rows[row]["name"]
            try:
                frame = data.frames[positions[stem]]
            except InputError:
                # It was readable a moment ago; a picture is not worth losing the line.
                continue
            picture = comparison_picture(
                frame.pixels,
                found[stem],
                data.truth.images[positions[stem]].instances,
                line.scores.evaluation.iou,
                f"{line.detector} on {line.dataset}, {_with_score(rows[row])}",
                None if math.isnan(_line_score(rows[row])) else self.host.defect_types(),
            )
            name = NOT_IN_FILE_NAMES.sub("-", f"{line.detector}-{line.dataset}-{stem}.png")
            write_png(self.path / WORST / name, picture)

    def write_tables(self, benchmark: Benchmark, status: str) -> None:
        """Write what is known so far."""
        info: dict[str, Any] = benchmark.as_dict()
        write_table(self.path / TABLE, benchmark.table)
        write_table(self.path / FRAMES, benchmark.frames)
        write_table(self.path / TYPES, benchmark.types)
        write_json(self.path / INFO, {"status": status, **info})

    def write_figures(self, benchmark: Benchmark) -> None:
        """Write the figures, each with the table behind it."""
        from defectscope.pipeline.benchmark_figures import benchmark_findings

        for finding in benchmark_findings(benchmark.lines, benchmark.info["iou"], benchmark.noise):
            write_finding(self.path / FIGURES, finding)


def _line_score(frame: dict[Any, Any]) -> float:
    score = frame.get("line_score")
    return math.nan if score is None else float(score)


def _with_score(frame: dict[Any, Any]) -> str:
    """Return a frame's name, with the score that ranked it where the picture does not say it."""
    name, score = str(frame["name"]), _line_score(frame)
    return name if math.isnan(score) else f"{name} (score of lines {score:.3f})"
