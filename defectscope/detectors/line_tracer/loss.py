"""Losses of ``line-tracer``: quality focal for presence and ends, smooth L1 for offsets."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn import functional

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["offset_loss", "soft_focal_loss"]

# How much less counts what the network already knows.
GAMMA = 1.5
# Cells that hold less of a line do not learn where it is.
OFFSETS_FROM = 0.15
# Errors of offsets count squared below this, px.
SQUARED_PX = 0.3


def soft_focal_loss(logits: Tensor, wanted: Tensor, counted: Tensor) -> Tensor:
    """Return the focal loss of soft targets, by their sum.

    Parameters
    ----------
    logits, wanted
        (n, c, h, w); `wanted` lies between 0 and 1.
    counted
        (n, 1, h, w), 0 where nothing is learned.

    Notes
    -----
    Li et al., Generalized Focal Loss (2020), eq. 4.
    """
    far = (torch.sigmoid(logits) - wanted).abs() ** GAMMA
    entropy = functional.binary_cross_entropy_with_logits(logits, wanted, reduction="none")
    return (far * entropy * counted).sum() / wanted.sum().clamp(min=1)


def offset_loss(offsets: Tensor, wanted: Tensor, presence: Tensor) -> Tensor:
    """Return the mean smooth L1 loss of offsets in px, weighted by the presence of a line."""
    holds = presence >= OFFSETS_FROM
    if not holds.any():
        return offsets.sum() * 0
    weight = presence[holds]
    each = functional.smooth_l1_loss(
        offsets[holds], wanted[holds], reduction="none", beta=SQUARED_PX
    )
    return (each * weight).sum() / weight.sum()
