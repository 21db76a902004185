"""One training with Lightning: checkpoints, resume, moving average, early end, curves.

Beside ``OUT.safetensors`` lies the folder ``OUT.training`` with ``last.ckpt`` (every minute, and
where Ctrl-C ended training), ``best.ckpt`` (by the detector's own score) and ``curve.csv``.
"""

from __future__ import annotations

import datetime
import logging
import math
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.pytorch import LightningDataModule, LightningModule, Trainer
from lightning.pytorch.callbacks import Callback, EarlyStopping, Timer, WeightAveraging

from defectscope.core.errors import FormatError, OutputError
from defectscope.core.files import write_json
from defectscope.core.training import is_follower
from defectscope.detectors.learning.curves import CurveRecorder
from defectscope.detectors.learning.keeping import Best, Keeper, StoppedError, WholeFiles
from defectscope.detectors.learning.plans import expect_same, work_folder
from defectscope.detectors.learning.scoring import DETECTION
from defectscope.detectors.learning.torch_threads import torch_threads

if TYPE_CHECKING:
    from torch import Tensor

    from defectscope import Runtime, TrainingJob
    from defectscope.detectors.learning.options import LearningOptions

__all__ = ["Fitted", "Settings", "first_step", "fit"]

# What a training leaves in its folder.
WRITTEN = ("plan.json", "last.ckpt", "best.ckpt", "curve.csv")


@dataclass(frozen=True)
class Settings:
    """What the training loop needs of a detector's options.

    Parameters
    ----------
    steps
        Optimiser steps in all.
    validate_every
        Steps between validations.
    average
        Decay of the moving average of weights.
    patience
        Validations without progress before an early end, or None.
    precision, devices
        As Lightning's.
    max_minutes
        Limit of time, or None.
    """

    steps: int
    validate_every: int
    average: float
    patience: int | None
    precision: str
    devices: int
    max_minutes: float | None

    @classmethod
    def of(cls, options: LearningOptions, steps: int) -> Settings:
        """Return what a detector's options say."""
        return cls(
            steps, options.validate_every, options.average, options.patience, options.precision,
            options.devices, options.max_minutes,
        )  # fmt: skip


@dataclass(frozen=True)
class Fitted:
    """The best state.

    Parameters
    ----------
    state
        Tensors of the module by name, averaged.
    score, threshold, f1, step
        What validation gave for it, and when.
    detection
        ``precision``, ``recall`` and their standard errors (``precision_error``,
        ``recall_error``), as far as validation gave them; ``by_type``, the same of each type.
    """

    state: dict[str, Tensor]
    score: float
    threshold: float
    f1: float
    step: int
    detection: dict[str, Any] = field(default_factory=dict)


def _detection(found: Mapping[Any, Any]) -> dict[str, Any]:
    known: dict[str, Any] = {}
    by_type: dict[str, dict[str, float]] = {}
    for name, value in found.items():
        kind, _, defect_type = str(name).partition("/")
        if kind in DETECTION and math.isfinite(value):
            target = by_type.setdefault(defect_type, {}) if defect_type else known
            target[kind] = round(float(value), 4)
    return known | ({"by_type": by_type} if by_type else {})


def _average(decay: float) -> WeightAveraging:
    def averaged(average: Tensor, current: Tensor, count: Any) -> Tensor:
        # At the beginning, what is remembered is not worth much yet.
        ramped = min(decay, (1 + float(count)) / (10 + float(count)))
        return average + (current - average) * (1 - ramped)

    return WeightAveraging(avg_fn=averaged)


class _Loaders(LightningDataModule):
    """Gives every GPU batches of its own."""

    def __init__(self, batches: Callable[[int, int], Any], validation: Any) -> None:
        super().__init__()
        self._batches, self._validation = batches, validation

    def train_dataloader(self) -> Any:
        assert self.trainer is not None
        return self._batches(self.trainer.global_rank, self.trainer.world_size)

    def val_dataloader(self) -> Any:
        return self._validation


class _Teller(Callback):
    """Tells how far training is."""

    def __init__(self, job: TrainingJob, steps: int) -> None:
        self._job, self._steps = job, steps

    def on_train_batch_end(self, trainer: Trainer, *_: Any) -> None:
        self._job.progress("train", trainer.global_step, self._steps)

    def on_validation_end(self, trainer: Trainer, _: Any) -> None:
        known = {k: float(v) for k, v in trainer.callback_metrics.items()}
        if "score" in known:
            self._job.say(
                f"step {trainer.global_step}: F1 {known['f1']:.3f} at threshold "
                f"{known['threshold']:.3f}, score {known['score']:.3f}"
            )


def first_step(job: TrainingJob, plan: dict[str, Any]) -> int:
    """Prepare the working folder, and return the step to go on from; 0 for a new training.

    Parameters
    ----------
    job
        What is asked for.
    plan
        Plain values that decide about the result; a resumed training must have the same.

    Raises
    ------
    OutputError
        The folder holds something else than a training.
    OptionError
        The training to resume was another one.
    FormatError
        What it left is damaged.
    """
    folder = work_folder(job.out)
    noted, last = folder / "plan.json", folder / "last.ckpt"
    if is_follower():
        # The first process has prepared it.
        return int(_read(last)["global_step"]) if job.resume and last.is_file() else 0
    if folder.is_dir() and not noted.is_file() and any(folder.glob("[!.]*")):
        raise OutputError(
            f"{folder} holds something else than a training; move it, or choose another --out"
        )
    if job.resume and noted.is_file():
        expect_same(noted, plan)
        _clear(folder, ())
        return int(_read(last)["global_step"]) if last.is_file() else 0
    _clear(folder, WRITTEN)
    write_json(noted, plan)
    return 0


def _clear(folder: Path, names: Iterable[str]) -> None:
    """Remove files, and what a kill left half-written, but nothing of anybody else."""
    half = [f".{Path(name).stem}-*{Path(name).suffix}" for name in WRITTEN]
    for path in [folder / name for name in names] + [p for h in half for p in folder.glob(h)]:
        path.unlink(missing_ok=True)


def _read(path: Path) -> dict[str, Any]:
    try:
        return dict(torch.load(path, map_location="cpu", weights_only=True))
    except Exception as error:
        raise FormatError(
            f"the checkpoint {path} is damaged ({type(error).__name__}); "
            "start anew with --overwrite"
        ) from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep Lightning's hints about hardware and workers off the user's terminal."""
    loggers = [logging.getLogger(n) for n in ("lightning.pytorch", "lightning.fabric")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def fit(
    module: LightningModule,
    batches: Callable[[int, int], Any],
    validation: Any,
    job: TrainingJob,
    settings: Settings,
    runtime: Runtime,
) -> Fitted:
    """Train, and return the best state.

    Parameters
    ----------
    module
        Logs ``score``, ``threshold`` and ``f1`` in validation.
    batches
        Returns the loader of one GPU, given its rank and their number.
    validation
        Loader of validation frames.
    job, settings, runtime
        What to do, and with what.

    Raises
    ------
    OutputError
        A checkpoint cannot be written; the one before is kept.
    KeyboardInterrupt
        Ctrl-C, or the signal of a batch system; the state is kept.
    """
    folder = work_folder(job.out)
    last = folder / "last.ckpt"
    keeper, recorder = Keeper(last, settings.validate_every), CurveRecorder(folder / "curve.csv")
    callbacks = _callbacks(job, settings, folder, keeper, recorder)
    with _quiet(), torch_threads.of(max(1, runtime.threads)):
        trainer = _trainer(settings, runtime, callbacks)
        resumed = str(last) if job.resume and last.is_file() else None
        loaders = _Loaders(batches, validation)
        try:
            with keeper.listening():
                trainer.fit(module, datamodule=loaders, ckpt_path=resumed, weights_only=True)
        except (StoppedError, SystemExit, RuntimeError) as stop:
            if isinstance(stop, RuntimeError) and not keeper.explains(stop):
                raise
            # Lightning ends the whole process where Ctrl-C came a second time.
            kept = f"{last} is kept; " if last.is_file() else ""
            job.say(f"stopped at step {trainer.global_step}; {kept}go on with --resume")
            raise KeyboardInterrupt from stop
        return _best_or_last(trainer, module, validation, folder, settings, recorder)


def _best_or_last(
    trainer: Trainer,
    module: LightningModule,
    validation: Any,
    folder: Path,
    settings: Settings,
    recorder: CurveRecorder,
) -> Fitted:
    """Return the best state, after a look at what the last steps gave."""
    step = trainer.global_step
    # Where a limit of time ends training, Lightning validates by itself.
    if step % settings.validate_every and recorder.last_step != step:
        # The last steps were not looked at yet; the average of weights is in the module now.
        found = trainer.validate(module, validation, verbose=False)[0]
        now = Fitted(
            module.state_dict(), found["score"], found["threshold"], found["f1"], step,
            _detection(found),
        )  # fmt: skip
        before = _best(folder)
        return now if before is None or now.score >= before.score else before
    best_one = _best(folder)
    assert best_one is not None
    if not best_one.score:
        # No state is better than another: the one that learned longest is the better start.
        return replace(best_one, state=module.state_dict(), step=step)
    return best_one


def _callbacks(
    job: TrainingJob, settings: Settings, folder: Path, keeper: Keeper, recorder: CurveRecorder
) -> list[Callback]:
    callbacks: list[Callback] = [
        _average(settings.average),
        Best(folder),
        keeper,
        recorder,
        _Teller(job, settings.steps),
    ]  # fmt: skip
    if settings.max_minutes is not None:
        callbacks.append(_Minutes(datetime.timedelta(minutes=settings.max_minutes)))
    if settings.patience is not None:
        callbacks.append(EarlyStopping("score", patience=settings.patience, mode="max"))
    return callbacks


class _Minutes(Timer):
    """Ends training after a time, counted anew where it goes on.

    Were it counted on, training would end before its first step, and before what that sets up.
    """

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take nothing from a checkpoint."""


def _trainer(settings: Settings, runtime: Runtime, callbacks: list[Callback]) -> Trainer:
    return Trainer(
        accelerator="gpu" if runtime.device == "cuda" else "cpu",
        devices=settings.devices if runtime.device == "cuda" else 1,
        precision=settings.precision,  # type: ignore[arg-type]
        max_steps=settings.steps,
        val_check_interval=settings.validate_every,
        check_val_every_n_epoch=None,
        num_sanity_val_steps=0,
        gradient_clip_val=5.0,
        callbacks=callbacks,
        # Without the latter, Lightning expects of a SLURM job that srun starts each process.
        plugins=[WholeFiles(), LightningEnvironment()],
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        log_every_n_steps=1,
        use_distributed_sampler=False,
    )  # fmt: skip


def _best(folder: Path) -> Fitted | None:
    """Return the best state so far; its scores lie in it, and in the curve."""
    import pandas as pd

    if not (folder / "best.ckpt").is_file():
        return None
    checkpoint = _read(folder / "best.ckpt")
    step = int(checkpoint["global_step"])
    own = checkpoint.get("callbacks", {}).get(CurveRecorder.__qualname__, {}).get("row", {})
    scores = pd.DataFrame([own]) if own else pd.read_csv(folder / "curve.csv")
    rows = scores[scores["step"] == step]
    if not len(rows):
        raise FormatError(
            f"{folder} holds the state of step {step}, but not the scores that go with it: another "
            "training wrote there at the same time; give another --out, or --overwrite"
        )
    row = rows.iloc[-1]
    return Fitted(
        checkpoint["state_dict"], float(row["score"]), float(row["threshold"]), float(row["f1"]),
        step, _detection(row.to_dict()),
    )  # fmt: skip
