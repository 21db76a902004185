"""Loss and score against step: recorded while training goes on, and drawn at its end."""

from __future__ import annotations

import time
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lightning.pytorch import Callback

from defectscope.core.files import atomic_path
from defectscope.detectors.learning.scoring import DETECTION

if TYPE_CHECKING:
    import pandas as pd
    from lightning.pytorch import LightningModule, Trainer

__all__ = ["CurveRecorder", "draw_curves"]

SCORES = ("score", "f1", "threshold", *DETECTION)


class CurveRecorder(Callback):
    """Writes a row at every validation: step, minutes, mean losses since the last one, scores."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._rows: list[dict[str, float]] = []
        self._losses: dict[str, list[float]] = defaultdict(list)
        self._start = 0.0

    @property
    def last_step(self) -> int | None:
        """Step of the last row, or None where there is none."""
        return int(self._rows[-1]["step"]) if self._rows else None

    def state_dict(self) -> dict[str, Any]:
        """Return the losses since the last row, and that row, for a checkpoint.

        A checkpoint then has the scores of its own validation, whatever becomes of the file.
        """
        return {"losses": dict(self._losses), "row": self._rows[-1] if self._rows else {}}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take the losses back from a checkpoint."""
        self._losses.update(state_dict["losses"])

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Read what was recorded before a resume."""
        import pandas as pd

        if self.path.is_file() and trainer.global_step:
            known = pd.read_csv(self.path)
            before = known[known["step"] <= trainer.global_step]
            self._rows = [dict(row) for row in before.to_dict("records")]  # type: ignore[arg-type]
        minutes = self._rows[-1]["minutes"] if self._rows else 0.0
        self._start = time.monotonic() - 60 * minutes

    def on_train_batch_end(self, trainer: Trainer, *_: Any) -> None:
        """Remember the losses of a step."""
        for name, value in trainer.callback_metrics.items():
            if name.startswith("loss"):
                self._losses[name].append(float(value))

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write a row."""
        import pandas as pd

        metrics = trainer.callback_metrics
        row: dict[str, float] = {
            "step": trainer.global_step,
            "minutes": round((time.monotonic() - self._start) / 60, 3),
        }
        row |= {name: sum(v) / len(v) for name, v in sorted(self._losses.items())}
        row |= {n: float(metrics[n]) for n in SCORES if n in metrics}
        row |= {n: float(v) for n, v in metrics.items() if n.partition("/")[0] in DETECTION}
        self._losses.clear()
        self._rows.append(row)
        with atomic_path(self.path) as temporary:
            pd.DataFrame(self._rows).to_csv(temporary, index=False, lineterminator="\n")


def draw_curves(curve: pd.DataFrame, path: Path, title: str, labels: dict[str, str]) -> None:
    """Draw losses and scores against step into a PNG file.

    Parameters
    ----------
    curve
        What :class:`CurveRecorder` wrote.
    path
        The PNG file.
    title
        Stands above.
    labels
        What the columns ``score`` and ``f1`` are.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    for name in (c for c in curve.columns if c.startswith("loss")):
        left.plot(curve["step"], curve[name], marker=".", label=name.removeprefix("loss_"))
    left.set(xlabel="optimiser step", ylabel="mean loss since the validation before", yscale="log")
    for name, label in {**labels, "threshold": "best threshold"}.items():
        if name in curve:
            right.plot(curve["step"], curve[name], marker=".", label=label)
    right.set(xlabel="optimiser step", ylabel="on validation frames", ylim=(0, 1))
    for axes in (left, right):
        axes.grid(alpha=0.3)
        if axes.lines:
            axes.legend(fontsize=8)
    figure.suptitle(title)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=150)
