"""From the network's outputs to tokens: places (x, y, θ) through which a line passes."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from defectscope.detectors.line_tracer.lattice import STRIDE, bin_normals, turned_by

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Tokens", "found_tokens", "near_pairs", "thinned"]

# Bins whose probability is smaller take no part.
LEAST_BIN = 0.08
# Tokens this near to each other and this alike in direction lie on one line, and are averaged.
AVERAGED_PX, AVERAGED_ACROSS_PX, AVERAGED_RAD = 4.0, 1.2, np.deg2rad(15)
# Of tokens this near only the best stays.
SAME_PX, SAME_ACROSS_PX, SAME_RAD = 1.9, 1.8, np.deg2rad(18)


class Tokens(NamedTuple):
    """Places on lines.

    Parameters
    ----------
    points
        (n, 2) x, y in px.
    angles
        (n,) orientation in image coordinates, 0 to π.
    scores
        (n,) probability that a line passes.
    """

    points: NDArray[np.float64]
    angles: NDArray[np.float64]
    scores: NDArray[np.float64]

    def only(self, keep: NDArray[np.intp] | NDArray[np.bool_]) -> Tokens:
        """Return those selected."""
        return Tokens(self.points[keep], self.angles[keep], self.scores[keep])

    @property
    def directions(self) -> NDArray[np.float64]:
        """(n, 2) unit vectors along the lines."""
        return np.stack([np.cos(self.angles), np.sin(self.angles)], axis=1)


def _probability(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    return np.asarray(1 / (1 + np.exp(-np.clip(logits.astype(np.float64), -30, 30))))


def found_tokens(
    logits: NDArray[np.float32], offsets: NDArray[np.float32], least_score: float
) -> Tokens:
    """Return a token for every cell and peak among its orientations.

    Parameters
    ----------
    logits, offsets
        (bins, h, w); see :class:`~defectscope.detectors.line_tracer.targets.LineTargets`.
    least_score
        Tokens of less probability are left out.
    """
    bins = len(logits)
    # Probabilities grow with logits: what matters can be found without computing all of them.
    k, rows, columns = np.nonzero(logits >= np.log(LEAST_BIN / (1 - LEAST_BIN)))
    before, after = (k - 1) % bins, (k + 1) % bins
    logit, left, right = (logits[b, rows, columns] for b in (k, before, after))
    peak = (logit >= left) & (logit > right)
    k, rows, columns, before, after = (v[peak] for v in (k, rows, columns, before, after))
    own, lower, upper = (_probability(v[peak]) for v in (logit, left, right))
    # A line between two bins is shared by both, in proportion.
    ahead = upper >= lower
    second, share = np.where(ahead, after, before), np.where(ahead, upper, lower)
    score = np.minimum(own + share, 1)
    sure = score >= least_score
    k, rows, columns, second = (v[sure] for v in (k, rows, columns, second))
    own, share, lower, upper, score = (p[sure] for p in (own, share, lower, upper, score))
    angle = (k + (upper - lower) / (own + upper + lower)) * np.pi / bins
    # Between the last bin and the first the normal turns round.
    sign = np.where(np.abs(k - second) > 1, -1.0, 1.0)
    offset = own * offsets[k, rows, columns] + share * sign * offsets[second, rows, columns]
    offset = offset / (own + share)
    normal = np.stack([-np.sin(angle), np.cos(angle)], axis=1)
    facing = np.where((normal * bin_normals(bins)[k]).sum(axis=1) < 0, -1.0, 1.0)
    centres = (np.stack([columns, rows], axis=1) + 0.5) * STRIDE
    points = centres + (facing * np.clip(offset, -STRIDE, STRIDE))[:, None] * normal
    return Tokens(points, angle % np.pi, score)


def near_pairs(points: NDArray[np.float64], radius_px: float) -> NDArray[np.intp]:
    """Return (m, 2) positions of points within a distance of each other, in a fixed order."""
    from scipy.spatial import cKDTree

    if len(points) < 2:
        return np.zeros((0, 2), np.intp)
    pairs = cKDTree(points).query_pairs(radius_px, output_type="ndarray")
    return np.asarray(pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))], np.intp)


def thinned(tokens: Tokens) -> Tokens:
    """Return tokens of which each is the mean of its line nearby, one a place.

    Cells beside a line see it as well: their tokens lie on each other up to the error of the
    network, which the mean makes smaller.
    """
    pairs = near_pairs(tokens.points, AVERAGED_PX)
    if len(pairs):
        tokens = _averaged(tokens, np.concatenate([pairs, pairs[:, ::-1]]))
    order = np.lexsort((tokens.points[:, 0], tokens.points[:, 1], -tokens.scores))
    tokens = tokens.only(order)
    pairs = near_pairs(tokens.points, SAME_PX)
    if len(pairs):
        first, second = pairs.T
        apart = tokens.points[second] - tokens.points[first]
        same = turned_by(tokens.angles[first], tokens.angles[second]) < SAME_RAD
        same &= np.abs(_across(apart, tokens.angles[first])) < SAME_ACROSS_PX
        alive = [True] * len(order)
        # Pairs go by rank: the better one decides, unless it is gone itself.
        for a, b in pairs[same].tolist():
            if alive[a]:
                alive[b] = False
        tokens = tokens.only(np.array(alive))
    return tokens


def _across(apart: NDArray[np.float64], angles: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(apart[:, 1] * np.cos(angles) - apart[:, 0] * np.sin(angles))


def _averaged(tokens: Tokens, pairs: NDArray[np.intp]) -> Tokens:
    points, angles, scores = tokens
    own, other = pairs.T
    across = _across(points[other] - points[own], angles[own])
    alike = (np.abs(across) < AVERAGED_ACROSS_PX) & (
        turned_by(angles[own], angles[other]) < AVERAGED_RAD
    )
    own, other, across = own[alike], other[alike], across[alike]
    n, weight = len(scores), scores[other]
    total = scores + np.bincount(own, weight, n)
    shift = np.bincount(own, weight * across, n) / total
    normal = np.stack([-np.sin(angles), np.cos(angles)], axis=1)
    # Orientations are averaged at twice their angle, where 0 and π are one.
    cosine = scores * np.cos(2 * angles) + np.bincount(own, weight * np.cos(2 * angles[other]), n)
    sine = scores * np.sin(2 * angles) + np.bincount(own, weight * np.sin(2 * angles[other]), n)
    return Tokens(points + shift[:, None] * normal, (np.arctan2(sine, cosine) / 2) % np.pi, scores)
