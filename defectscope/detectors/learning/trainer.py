"""One training with Lightning: checkpoints, resume, moving average, early end, curves.

Beside ``OUT.safetensors`` lies the folder ``OUT.training`` with ``last.ckpt`` (every minute),
``best.ckpt`` (by the detector's own score) and ``curve.csv``.
"""

from __future__ import annotations

import datetime
import json
import logging
import shutil
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from lightning.pytorch import LightningDataModule, LightningModule, Trainer
from lightning.pytorch.callbacks import Callback, EarlyStopping, ModelCheckpoint, WeightAveraging
from lightning.pytorch.plugins.io import TorchCheckpointIO

from defectscope.core.errors import FormatError, OptionError, OutputError
from defectscope.core.files import atomic_path, write_json
from defectscope.detectors.learning.curves import CurveRecorder

if TYPE_CHECKING:
    from torch import Tensor

    from defectscope import Runtime, TrainingJob

__all__ = ["Fitted", "Settings", "first_step", "fit", "work_folder"]

MINUTE = datetime.timedelta(seconds=50)


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


@dataclass(frozen=True)
class Fitted:
    """The best state.

    Parameters
    ----------
    state
        Tensors of the module by name, averaged.
    score, threshold, f1, step
        What validation gave for it, and when.
    """

    state: dict[str, Tensor]
    score: float
    threshold: float
    f1: float
    step: int


class _WholeFiles(TorchCheckpointIO):
    """Checkpoints replace the former one only when they are completely on the disk."""

    def save_checkpoint(self, checkpoint: Any, path: Any, storage_options: Any = None) -> None:
        with atomic_path(Path(path)) as temporary:
            try:
                torch.save(checkpoint, temporary)
            except RuntimeError as error:
                # torch reports a full disk as an error of its archive writer.
                raise OutputError(
                    f"cannot write {path}: {error}; the checkpoint before it is kept"
                ) from error


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


def work_folder(out: Path) -> Path:
    """Return the folder of checkpoints beside a weight file."""
    return out.with_name(f"{out.stem}.training")


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
        The folder holds the checkpoints of a training, and the job is not to resume.
    OptionError
        The training to resume was another one.
    """
    folder = work_folder(job.out)
    noted, last = folder / "plan.json", folder / "last.ckpt"
    if job.resume and noted.is_file():
        before = json.loads(noted.read_text(encoding="utf-8"))
        plan = json.loads(json.dumps(plan))
        changed = [k for k in {**before, **plan} if before.get(k) != plan.get(k)]
        if changed:
            raise OptionError(
                f"the training in {folder} was another one: {', '.join(sorted(changed))} differ; "
                "use its values, or start anew with --overwrite"
            )
        return int(_read(last)["global_step"]) if last.is_file() else 0
    shutil.rmtree(folder, ignore_errors=True)
    write_json(noted, plan)
    return 0


def _read(path: Path) -> dict[str, Any]:
    try:
        # Written by Lightning in this very folder; it holds more than tensors.
        return dict(torch.load(path, map_location="cpu", weights_only=False))
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
    OptionError
        CUDA was asked for and is absent.
    OutputError
        A checkpoint cannot be written; the one before is kept.
    """
    if runtime.device == "cuda" and not torch.cuda.is_available():
        raise OptionError("CUDA was asked for, but torch finds no CUDA device; leave out --device")
    folder = work_folder(job.out)
    last = folder / "last.ckpt"
    torch.set_num_threads(max(1, runtime.threads))
    best = ModelCheckpoint(
        folder, "best", monitor="score", mode="max", enable_version_counter=False
    )
    callbacks: list[Callback] = [
        _average(settings.average),
        best,
        ModelCheckpoint(
            folder, "last", train_time_interval=MINUTE, enable_version_counter=False,
            save_on_exception=True,
        ),
        CurveRecorder(folder / "curve.csv"),
        _Teller(job, settings.steps),
    ]  # fmt: skip
    if settings.patience is not None:
        callbacks.append(EarlyStopping("score", patience=settings.patience, mode="max"))
    with _quiet():
        trainer = Trainer(
            accelerator="gpu" if runtime.device == "cuda" else "cpu",
            devices=settings.devices if runtime.device == "cuda" else 1,
            precision=settings.precision,  # type: ignore[arg-type]
            max_steps=settings.steps,
            max_time=None if settings.max_minutes is None
            else datetime.timedelta(minutes=settings.max_minutes),
            val_check_interval=settings.validate_every,
            check_val_every_n_epoch=None,
            num_sanity_val_steps=0,
            gradient_clip_val=5.0,
            callbacks=callbacks,
            plugins=[_WholeFiles()],
            logger=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            log_every_n_steps=1,
            use_distributed_sampler=False,
        )  # fmt: skip
        resumed = str(last) if job.resume and last.is_file() else None
        loaders = _Loaders(batches, validation)
        trainer.fit(module, datamodule=loaders, ckpt_path=resumed, weights_only=False)
        if trainer.global_step % settings.validate_every:
            # The last steps were not looked at yet; the average of weights is in the module now.
            found = trainer.validate(module, validation, verbose=False)[0]
            now = Fitted(
                module.state_dict(), found["score"], found["threshold"], found["f1"],
                trainer.global_step,
            )  # fmt: skip
            before = _best(folder)
            return now if before is None or now.score >= before.score else before
    best_one = _best(folder)
    assert best_one is not None
    return best_one


def _best(folder: Path) -> Fitted | None:
    """Return the best state so far; validation wrote its scores into the curve."""
    import pandas as pd

    if not (folder / "best.ckpt").is_file():
        return None
    checkpoint = _read(folder / "best.ckpt")
    step = int(checkpoint["global_step"])
    curve = pd.read_csv(folder / "curve.csv")
    row = curve[curve["step"] == step].iloc[-1]
    return Fitted(
        checkpoint["state_dict"], float(row["score"]), float(row["threshold"]), float(row["f1"]),
        step,
    )  # fmt: skip
