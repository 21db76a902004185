"""How networks here are optimised: AdamW, a rise and a cosine fall of the learning rate."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch

from defectscope.core.errors import OptionError

if TYPE_CHECKING:
    from torch import Tensor, nn

    from defectscope.detectors.learning.options import LearningOptions

__all__ = ["adamw_with_cosine", "expect_finite", "sgd_with_steps"]

# At the end the learning rate is this part of the largest.
LAST_RATE = 0.02


def adamw_with_cosine(network: nn.Module, options: LearningOptions, steps: int) -> Any:
    """Return what Lightning's ``configure_optimizers`` returns.

    Parameters
    ----------
    network
        Its parameters that are not frozen are learned.
    options
        Learning rate, weight decay, steps of the rise.
    steps
        Optimiser steps in all.
    """
    learned = [p for p in network.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(
        learned, lr=options.learning_rate, weight_decay=options.weight_decay
    )

    def rate(step: int) -> float:
        rise = min(1.0, (step + 1) / max(1, options.warm_up_steps))
        fall = 0.5 * (1 + math.cos(math.pi * min(1.0, step / max(1, steps))))
        return rise * (LAST_RATE + (1 - LAST_RATE) * fall)

    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, rate)
    return [optimiser], [{"scheduler": schedule, "interval": "step"}]


def sgd_with_steps(
    network: nn.Module, options: LearningOptions, momentum: float, every: int
) -> Any:
    """Return what Lightning's ``configure_optimizers`` returns: SGD that falls to a tenth.

    Parameters
    ----------
    network
        Its parameters that are not frozen are learned.
    options
        Learning rate, weight decay, steps of the rise.
    momentum
        Of SGD.
    every
        Steps after which the learning rate is a tenth of what it was.
    """
    learned = [p for p in network.parameters() if p.requires_grad]
    optimiser = torch.optim.SGD(
        learned, lr=options.learning_rate, momentum=momentum, weight_decay=options.weight_decay
    )

    def rate(step: int) -> float:
        return float(min(1.0, (step + 1) / max(1, options.warm_up_steps)) * 0.1 ** (step // every))

    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, rate)
    return [optimiser], [{"scheduler": schedule, "interval": "step"}]


def expect_finite(loss: Tensor, options: LearningOptions, step: int) -> Tensor:
    """Return the loss.

    Raises
    ------
    OptionError
        It is no number any more.
    """
    if not torch.isfinite(loss):
        raise OptionError(
            f"the loss is {float(loss.detach())} after step {step}: lower "
            f"learning_rate, found {options.learning_rate:g}"
            + ("" if options.precision == "32" else ', or set precision = "32"')
        )
    return loss
