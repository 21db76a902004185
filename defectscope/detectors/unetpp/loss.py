"""The loss of masks in any order (P1: Govind et al., Algorithm 1)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import torch
from torch.nn import functional

from defectscope.detectors.unetpp.places import place_cost

if TYPE_CHECKING:
    from torch import Tensor

__all__ = [
    "assigned_outputs",
    "mask_loss",
    "pairwise_dice_loss",
    "union_loss",
]

# Added to both parts of the fraction, as if a mask had so many pixels more: two empty ones agree.
SMOOTH_PX = 1.0


def pairwise_dice_loss(predicted: Tensor, true: Tensor) -> Tensor:
    """Return the Dice loss of every output with every true mask.

    Parameters
    ----------
    predicted, true
        (n, N, h, w) and (n, M, h, w), 0 to 1.

    Returns
    -------
    (n, N, M), by one matrix product for each image.
    """
    a, b = predicted.flatten(2), true.flatten(2)
    common = torch.bmm(a, b.transpose(1, 2))
    both = a.sum(dim=2)[:, :, None] + b.sum(dim=2)[:, None, :]
    return 1 - (2 * common + SMOOTH_PX) / (both + SMOOTH_PX)


def assigned_outputs(
    loss: Tensor, real: Tensor, matching: Literal["greedy", "hungarian"]
) -> Tensor:
    """Return which output learns each true mask.

    Parameters
    ----------
    loss
        (n, N, M) cost of each pair, as of :func:`pairwise_dice_loss`.
    real
        (n, M) which true masks there are; the others fill up the batch.
    matching
        ``greedy``: each true mask in order takes the best output that is left (Algorithm 1);
        ``hungarian``: the assignment of the least sum.

    Returns
    -------
    (n, M) positions of outputs; -1 where the mask is not real, or no output is left.
    """
    n, outputs, count = loss.shape
    known = loss.detach()
    chosen = torch.full((n, count), -1, dtype=torch.long, device=loss.device)
    if matching == "hungarian":
        from scipy.optimize import linear_sum_assignment

        for k in range(n):
            columns = torch.nonzero(real[k]).flatten()
            rows, picked = linear_sum_assignment(known[k][:, columns].float().cpu().numpy())
            chosen[k, columns[picked]] = torch.as_tensor(rows, device=loss.device)
        return chosen
    taken = torch.zeros((n, outputs), dtype=torch.bool, device=loss.device)
    images = torch.arange(n, device=loss.device)
    for m in range(count):
        best = known[:, :, m].masked_fill(taken, torch.inf).argmin(dim=1)
        free = real[:, m] & ~taken[images, best]
        chosen[:, m] = torch.where(free, best, chosen[:, m])
        taken[images[free], best[free]] = True
    return chosen


def mask_loss(
    logits: Tensor,
    true: Tensor,
    real: Tensor,
    matching: Literal["greedy", "hungarian"],
    empty_weight: float,
    place_weight: float = 0.0,
) -> tuple[Tensor, Tensor]:
    """Return the mean Dice loss over the true masks, as the matching pairs them with outputs.

    True masks beyond the number of outputs count as lost, 1 each.

    Parameters
    ----------
    logits
        (n, N, h, w).
    true, real
        (n, M, h, w) masks, and (n, M) which of them there are.
    matching
        See :func:`assigned_outputs`.
    empty_weight
        Of the mean probability of outputs to which no line belongs (not in P1, where nothing
        keeps them from showing a line again).
    place_weight
        Of :func:`place_cost` beside the Dice loss where lines are given to outputs (not in P1).

    Returns
    -------
    The loss, and what :func:`assigned_outputs` returns.
    """
    predicted = torch.sigmoid(logits)
    loss = pairwise_dice_loss(predicted, true.to(predicted.dtype))
    cost = loss.detach()
    if place_weight:
        cost = cost + place_weight * place_cost(true.to(predicted.dtype), logits.shape[1])
    chosen = assigned_outputs(cost, real, matching)
    matched = chosen >= 0
    pairs = loss.gather(1, chosen.clamp(min=0)[:, None, :])[:, 0]
    total = torch.where(matched, pairs, real.to(pairs.dtype)).sum() / real.sum().clamp(min=1)
    if empty_weight:
        free = torch.ones(predicted.shape[:2], device=logits.device)
        images, masks = torch.nonzero(matched, as_tuple=True)
        free[images, chosen[images, masks]] = 0
        shown = predicted.mean(dim=(2, 3)) * free
        # In units of a line, of which a hundredth of an image is typical.
        total = total + empty_weight * 100 * shown.sum() / free.sum().clamp(min=1)
    return total, chosen


def union_loss(logits: Tensor, true: Tensor) -> Tensor:
    """Return the mean Dice loss of all outputs together with all lines together.

    Which pixels are lines is learned long before which line each belongs to, and is no matter of
    how lines are given to outputs.

    Parameters
    ----------
    logits
        (n, N, h, w).
    true
        (n, M, h, w) masks.
    """
    # 1 - the product of 1 - p over the outputs, in a form without vanishing factors.
    shown = 1 - torch.exp(-functional.softplus(logits).sum(dim=1, keepdim=True))
    lines = true.amax(dim=1, keepdim=True).to(shown.dtype)
    return pairwise_dice_loss(shown, lines).mean()
