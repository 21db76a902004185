"""How ``yolov3`` is optimised: Adam and a step of the learning rate, as P2, or a cosine fall."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from torch import nn

    from defectscope.detectors.yolov3.options import YoloTrainingOptions

__all__ = ["optimiser_and_schedule", "relative_rate"]

LAST_RATE = 0.02


def relative_rate(step: int, steps: int, options: YoloTrainingOptions) -> float:
    """Return the learning rate of a step as a part of the largest."""
    rise = min(1.0, (step + 1) / max(1, options.warm_up_steps))
    done = min(1.0, step / max(1, steps))
    if options.schedule == "step":
        return rise * (1.0 if done < 0.5 else 0.1)
    return rise * (LAST_RATE + (1 - LAST_RATE) * 0.5 * (1 + math.cos(math.pi * done)))


def optimiser_and_schedule(network: nn.Module, options: YoloTrainingOptions, steps: int) -> Any:
    """Return what Lightning's ``configure_optimizers`` returns.

    Parameters
    ----------
    network
        Its parameters that are not frozen are learned.
    options
        Optimiser, learning rate and its course, weight decay.
    steps
        Optimiser steps in all.
    """
    learned = [p for p in network.parameters() if p.requires_grad]
    # Scales and biases are not pulled towards zero.
    groups = [
        {"params": [p for p in learned if p.ndim > 1], "weight_decay": options.weight_decay},
        {"params": [p for p in learned if p.ndim <= 1], "weight_decay": 0.0},
    ]
    kind = torch.optim.AdamW if options.optimiser == "adamw" else torch.optim.Adam
    optimiser = kind(groups, lr=options.learning_rate)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda step: relative_rate(step, steps, options)
    )
    return [optimiser], [{"scheduler": schedule, "interval": "step"}]
