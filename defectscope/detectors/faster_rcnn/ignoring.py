"""Boxes that are neither right nor wrong, for both stages of Faster R-CNN."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["excused"]

# Of the smaller of the two areas.
COMMON_PART = 0.5


def excused(boxes: Tensor, ignored: Tensor) -> Tensor:
    """Return which boxes lie on an ignored one: half of the smaller of both is common.

    Parameters
    ----------
    boxes, ignored
        (n, 4) and (m, 4) corners, px.

    Returns
    -------
    (n,) bool
    """
    if not len(ignored):
        return torch.zeros(len(boxes), dtype=torch.bool, device=boxes.device)
    low = torch.maximum(boxes[:, None, :2], ignored[None, :, :2])
    high = torch.minimum(boxes[:, None, 2:], ignored[None, :, 2:])
    common = (high - low).clamp(min=0).prod(dim=2)
    areas = [(b[:, 2:] - b[:, :2]).clamp(min=1e-3).prod(dim=1) for b in (boxes, ignored)]
    smaller = torch.minimum(areas[0][:, None], areas[1][None, :])
    return (common >= COMMON_PART * smaller).any(dim=1)
