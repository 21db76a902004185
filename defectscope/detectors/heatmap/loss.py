"""Losses of ``heatmap``: focal for centres, generalised IoU for boxes."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from defectscope.detectors.heatmap.decoding import LOG_LIMIT, SIDE_UNIT_PX

__all__ = ["focal_loss", "giou_loss", "sides_px"]


def sides_px(logarithms: Tensor) -> Tensor:
    """Return distances in px; limited, so that a wild one cannot overflow."""
    return torch.exp(logarithms.clamp(-LOG_LIMIT, LOG_LIMIT)) * SIDE_UNIT_PX


def focal_loss(logits: Tensor, wanted: Tensor, counted: Tensor) -> Tensor:
    """Return the penalty-reduced focal loss, by the number of centres.

    Parameters
    ----------
    logits, wanted
        (n, classes, h, w); `wanted` is 1 in the cells of centres, and falls around them.
    counted
        (n, h, w), 0 where nothing is learned.

    Notes
    -----
    Zhou, Wang and Krähenbühl, Objects as Points (2019), eq. 1, with α = 2 and β = 4.
    """
    centre = wanted == 1
    miss = -functional.logsigmoid(logits) * torch.sigmoid(-logits) ** 2
    alarm = -functional.logsigmoid(-logits) * torch.sigmoid(logits) ** 2 * (1 - wanted) ** 4
    # A centre counts even where it lies in an ignored box.
    each = torch.where(centre, miss, alarm * counted[:, None])
    return each.sum() / centre.sum().clamp(min=1)


def giou_loss(logarithms: Tensor, sides: Tensor, weights: Tensor) -> Tensor:
    """Return the weighted mean of 1 - GIoU over the cells that count.

    Parameters
    ----------
    logarithms, sides
        (n, 4, h, w) predicted logarithms, and wanted distances in px.
    weights
        (n, h, w).

    Notes
    -----
    Rezatofighi et al., Generalized Intersection over Union (2019).
    """
    counts = weights > 0
    if not counts.any():
        return logarithms.sum() * 0
    a, b = (t.permute(0, 2, 3, 1)[counts].unbind(1) for t in (sides_px(logarithms), sides))
    weight = weights[counts]
    # Both boxes hold the cell, so that corners are distances from it.
    left, top, right, bottom = (torch.minimum(p, q) for p, q in zip(a, b, strict=True))
    common = (left + right).clamp(min=0) * (top + bottom).clamp(min=0)
    left, top, right, bottom = (torch.maximum(p, q) for p, q in zip(a, b, strict=True))
    around = ((left + right) * (top + bottom)).clamp(min=1e-3)
    area_a, area_b = ((s[0] + s[2]) * (s[1] + s[3]) for s in (a, b))
    union = (area_a + area_b - common).clamp(min=1e-3)
    giou = common / union - (around - union) / around
    return ((1 - giou) * weight).sum() / weight.sum()
