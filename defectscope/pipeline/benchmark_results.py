"""What a benchmark found: a line for each detector on each dataset, as tables and plain values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from defectscope.core.metrics import Counts
from defectscope.pipeline.bootstrap import SCORE_NAMES
from defectscope.pipeline.line_evaluation import LINE_SCORE_NAMES

if TYPE_CHECKING:
    from defectscope.pipeline.benchmark_process import FrameMeasurement, Measurement
    from defectscope.pipeline.benchmark_scores import LineScores

__all__ = ["Benchmark", "Line"]

FORMAT = 1


@dataclass(frozen=True)
class Line:
    """One detector on one dataset.

    Attributes
    ----------
    detector, dataset
        Alias and name.
    scores, measurement
        Accuracy and cost; None where it failed.
    error, log
        Why it failed, and the last lines that its process wrote.
    """

    detector: str
    dataset: str
    scores: LineScores | None = None
    measurement: Measurement | None = None
    error: str | None = None
    log: str = ""

    @property
    def frame_count(self) -> int:
        """Number of scored frames."""
        return 0 if self.scores is None else len(self.scores.per_frame)

    def row(self) -> dict[str, Any]:
        """Return its row of ``benchmark.csv``; what is not known is None."""
        return {
            "detector": self.detector,
            "dataset": self.dataset,
            "status": "finished" if self.error is None else "failed",
            **self.accuracy_row(),
            **self.cost_row(),
            "error": self.error,
        }

    def accuracy_row(self) -> dict[str, Any]:
        """Return what does not depend on the machine."""
        scores = self.scores
        overall = scores.evaluation.overall if scores else None
        row: dict[str, Any] = {"frames": self.frame_count}
        for name in SCORE_NAMES:
            low, high = (scores.limits[name] if scores else None) or (None, None)
            row[name] = getattr(overall, name, None)
            row[f"{name}_low"], row[f"{name}_high"] = low, high
        best = (scores.best_score if scores else None) or {}
        sizes = scores.evaluation.sizes if scores else {}
        return {
            **row,
            "best_least_score": best.get("score"),
            "best_least_score_f1": best.get("f1"),
            "true_count": sizes.get("true_count"),
            "predicted_count": sizes.get("predicted_count"),
            "count_error": sizes.get("count_error"),
            "count_error_per_frame": sizes.get("mean_absolute_count_error_per_frame"),
            "median_side_error_per_frame": sizes.get("median_side_error_per_frame"),
            "smallest_found_side_px": sizes.get("smallest_found_side_px"),
            "smallest_true_side_px": sizes.get("smallest_true_side_px"),
            **self.lines_row(),
        }

    def lines_row(self) -> dict[str, Any]:
        """Return P1's score of lines and what goes with it; None where nothing has lines."""
        scores = self.scores
        lines = scores.evaluation.lines if scores else None
        row: dict[str, Any] = {}
        for name in LINE_SCORE_NAMES:
            column = "line_distance_px" if name == "mean_distance_px" else f"line_{name}"
            low, high = (scores.line_limits[name] if scores else None) or (None, None)
            row[column] = getattr(lines, name, None)
            row[f"{column}_low"], row[f"{column}_high"] = low, high
        for name in ("true", "predicted", "matched"):
            row[f"{name}_lines"] = getattr(lines, name, None)
        for name in ("merges", "splits"):
            row[f"line_{name}"] = getattr(lines, name, None)
        return row

    def cost_row(self) -> dict[str, Any]:
        """Return times and memory."""
        measured = self.measurement
        found = [frame.detect_s for frame in self._good_frames() if frame.detect_s is not None]
        read = [frame.read_s for frame in self._good_frames()]
        before = measured.memory_before_mib if measured else None
        peak = measured.peak_memory_mib if measured else None
        return {
            "frames_per_s": len(found) / sum(found) if found else None,
            "latency_median_ms": _percentile_ms(found, 50),
            "latency_p95_ms": _percentile_ms(found, 95),
            "read_median_ms": _percentile_ms(read, 50),
            "startup_s": measured.import_s + measured.open_s if measured else None,
            "import_s": measured.import_s if measured else None,
            "open_s": measured.open_s if measured else None,
            "warm_up_s": measured.warm_up_s if measured else None,
            "peak_memory_mib": peak,
            "memory_rise_mib": None if peak is None or before is None else peak - before,
            "device_name": measured.device_name if measured else None,
        }

    def _good_frames(self) -> list[FrameMeasurement]:
        frames = self.measurement.frames if self.measurement else ()
        return [frame for frame in frames if frame.instances is not None]

    def frame_table(self) -> pd.DataFrame:
        """Return its rows of ``frames.csv``."""
        if self.scores is None:
            return pd.DataFrame()
        spent = np.array([[f.detect_s, f.read_s] for f in self._good_frames()], float)
        table = self.scores.per_frame.assign(
            latency_ms=1000 * spent[:, 0], read_ms=1000 * spent[:, 1]
        )
        table.insert(0, "detector", self.detector)
        table.insert(1, "dataset", self.dataset)
        return table

    def type_rows(self) -> list[dict[str, Any]]:
        """Return its rows of ``types.csv``, one for each defect type of truth or prediction."""
        if self.scores is None:
            return []
        evaluation = self.scores.evaluation
        accuracy = (evaluation.confusion or {}).get("class_accuracy", {})
        return [
            {
                "detector": self.detector, "dataset": self.dataset, "defect_type": name,
                **counts.as_dict(), "class_accuracy": accuracy.get(name),
            }
            for name, counts in evaluation.by_type.items()
        ]  # fmt: skip

    def as_dict(self) -> dict[str, Any]:
        """Return everything as plain values; what repeats exactly is under ``accuracy``."""
        accuracy = {**self.accuracy_row(), **self.scores.as_dict()} if self.scores else None
        return {
            "detector": self.detector,
            "dataset": self.dataset,
            "status": "finished" if self.error is None else "failed",
            "error": self.error,
            "log": self.log if self.error is not None else None,
            "accuracy": accuracy,
            "cost": self.cost_row() if self.measurement else None,
        }


def _percentile_ms(seconds: Sequence[float], percent: float) -> float | None:
    return 1000 * float(np.percentile(seconds, percent)) if seconds else None


@dataclass(frozen=True)
class Benchmark:
    """Detectors side by side.

    Attributes
    ----------
    info
        What was compared, how, and where: detectors with their options, datasets, versions,
        machine.
    lines
        One for each detector and dataset.
    folder
        Where it was written, or None.
    warnings
        What a user should know about the data.
    """

    info: Mapping[str, Any]
    lines: Sequence[Line]
    folder: Path | None = None
    warnings: Sequence[str] = ()

    @property
    def table(self) -> pd.DataFrame:
        """One row for each detector and dataset."""
        return pd.DataFrame([line.row() for line in self.lines], columns=list(Line("", "").row()))

    @property
    def frames(self) -> pd.DataFrame:
        """One row for each detector, dataset and frame."""
        tables = [line.frame_table() for line in self.lines if line.scores is not None]
        if not tables:
            return pd.DataFrame(columns=["detector", "dataset", "name", "frame"])
        return pd.concat(tables, ignore_index=True)

    @property
    def types(self) -> pd.DataFrame:
        """One row for each detector, dataset and defect type."""
        columns = ["detector", "dataset", "defect_type", *Counts().as_dict(), "class_accuracy"]
        rows = [row for line in self.lines for row in line.type_rows()]
        return pd.DataFrame(rows, columns=columns)

    @property
    def noise(self) -> pd.DataFrame:
        """F1 on noisy frames, and what of it was lost; no row where none were asked for."""
        from defectscope.pipeline.noise_figures import noise_table

        return noise_table(self.lines, self.info["datasets"])

    @property
    def failures(self) -> list[Line]:
        """The lines that have no result."""
        return [line for line in self.lines if line.error is not None]

    def as_dict(self) -> dict[str, Any]:
        """Return everything as plain values, for JSON."""
        return {
            "format": FORMAT,
            **self.info,
            "warnings": list(self.warnings),
            "lines": [line.as_dict() for line in self.lines],
        }
