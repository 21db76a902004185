"""What a training that ends early leaves: checkpoints that are whole, taken between two steps."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from lightning.pytorch.callbacks import Checkpoint, ModelCheckpoint
from lightning.pytorch.plugins.io import TorchCheckpointIO

from defectscope.core.errors import OutputError
from defectscope.core.files import atomic_path
from defectscope.core.interrupts import HANGUP, heeded_signals

if TYPE_CHECKING:
    from lightning.pytorch import LightningModule, Trainer

__all__ = ["EVERY_S", "Best", "Keeper", "StoppedError", "WholeFiles"]

# With the step that it comes after, less than a minute.
EVERY_S = 50.0


class WholeFiles(TorchCheckpointIO):
    """Checkpoints replace the former one only when they are completely on the disk."""

    def save_checkpoint(self, checkpoint: Any, path: Any, storage_options: Any = None) -> None:
        """Write a checkpoint.

        Raises
        ------
        OutputError
            The disk is full, or the folder cannot be written to.
        """
        with atomic_path(Path(path)) as temporary:
            try:
                torch.save(checkpoint, temporary)
                # Else a power cut could leave the new name with nothing behind it.
                # Open for writing, without which Windows refuses.
                with temporary.open("rb+") as file:
                    os.fsync(file.fileno())
            except (RuntimeError, OSError) as error:
                # torch reports a full disk as an error of its archive writer.
                reason = str(error).strip().partition("\n")[0]
                raise OutputError(
                    f"cannot write {path}: {reason}; is the disk full? What was kept before is "
                    "still there: make room, and go on with --resume"
                ) from error


class StoppedError(Exception):
    """Training was asked to stop, and its state is kept."""


class Best(ModelCheckpoint):
    """Writes ``best.ckpt`` when a validation gives the best score so far.

    Parameters
    ----------
    folder
        Where to.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, "best", monitor="score", mode="max", enable_version_counter=False)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Remember what was best, also where the folder has been moved since."""
        if state_dict["best_model_path"]:
            path = str(Path(str(self.dirpath)) / "best.ckpt")
            state_dict = {
                **state_dict, "dirpath": self.dirpath, "best_model_path": path,
                "kth_best_model_path": path, "best_k_models": {path: state_dict["kth_value"]},
            }  # fmt: skip
        super().load_state_dict(state_dict)


class Keeper(Checkpoint):
    """Writes ``last.ckpt`` now and then, and when a signal ends training.

    That may come from Ctrl-C, from a batch system, or because the terminal is closed.

    In the middle of a step, parameters and what the optimiser knows of them do not fit each other;
    between a step and its validation, Lightning would go on without that validation. So the signal
    waits for the end of both; a second one does not wait, and nothing is written for it.

    Parameters
    ----------
    path
        The checkpoint.
    validate_every
        Steps between validations.
    """

    def __init__(self, path: Path, validate_every: int) -> None:
        super().__init__()
        self._path, self._validate_every = path, validate_every
        self._asked, self._written = False, 0.0

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Give signals back to who had them; they are taken over when training begins."""
        former = {number: signal.getsignal(number) for number in heeded_signals()}
        try:
            yield
        finally:
            if threading.current_thread() is threading.main_thread():
                for number, handler in former.items():
                    signal.signal(number, handler)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Take over the signals: Lightning's handlers would end a step or a validation half-way."""
        self._written = time.monotonic()
        if threading.current_thread() is threading.main_thread():
            for number in heeded_signals():
                signal.signal(number, self._ask)

    def _ask(self, number: int, *_: Any) -> None:
        # That the terminal is closed may be told twice, and is no impatience.
        if self._asked and number != HANGUP:
            raise KeyboardInterrupt
        self._asked = True

    def explains(self, error: RuntimeError) -> bool:
        """Return whether an error is the end of a worker by the signal that came here as well.

        So it is while workers start: later, they leave signals to this process.
        """
        return self._asked and "DataLoader worker" in str(error)

    def on_train_batch_end(self, trainer: Trainer, *_: Any) -> None:
        """Keep the state, unless its validation comes first."""
        if trainer.global_step % self._validate_every:
            self._keep(trainer)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Keep the state of a step with its validation."""
        if trainer.state.fn == "fit":
            self._keep(trainer)

    def _keep(self, trainer: Trainer) -> None:
        if trainer.should_stop or trainer.global_step >= trainer.max_steps:
            return  # What is left is to write the result.
        now = time.monotonic()
        due = self._asked or now - self._written >= EVERY_S
        # Of several GPUs, the first decides for all.
        due, asked = trainer.strategy.broadcast((due, self._asked))
        if due:
            trainer.save_checkpoint(self._path)
            self._written = now
        if asked:
            raise StoppedError
