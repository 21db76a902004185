"""Lines from the outputs of the network: tokens, chains, joins, smoothing splines."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np

from defectscope.core.geometry.polylines import polyline_length
from defectscope.core.geometry.smoothing import smoothed_curve
from defectscope.detectors.line_tracer.crossings import untangled
from defectscope.detectors.line_tracer.joining import JoinRules, join_chains, mean_along
from defectscope.detectors.line_tracer.linking import chains, linked
from defectscope.detectors.line_tracer.meetings import ENDED, Chain, concatenated, length_of
from defectscope.detectors.line_tracer.sharing import shared
from defectscope.detectors.line_tracer.stopping import StopRules, along, stopped
from defectscope.detectors.line_tracer.tokens import Tokens, found_tokens, thinned

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["TracedLine", "TracingRules", "tokens_of", "traced"]

# Chains of fewer tokens are noise.
LEAST_TOKENS = 3
# Tokens lie in the middle of what they stand for: a line goes on for this much beyond the last.
END_SHIFT_PX = 0.5
# A line of which this share lies this near to better ones is no line of its own; lines may share
# long pieces where they cross.
SHADOW_PX, SHADOW_SHARE = 2.8, 0.8
# Lines that come this near to the rim go on to it.
RIM_PX = 4.0


class TracingRules(NamedTuple):
    """What is taken for a line.

    Parameters
    ----------
    least_token
        Least probability of a token.
    shortest_px
        Shorter lines are left out.
    least_score
        Lines of a smaller mean probability are left out.
    wavelength_px
        Bends that are shorter are taken for noise.
    joins
        Which gaps are closed.
    stops
        Where lines are cut back to their ends.
    """

    least_token: float = 0.3
    shortest_px: float = 10.0
    least_score: float = 0.0
    wavelength_px: float = 14.0
    joins: JoinRules = JoinRules()
    stops: StopRules = StopRules()


class TracedLine(NamedTuple):
    """A line as (k, 2) points x, y in px, and the mean probability along it."""

    points: NDArray[np.float64]
    score: float


def tokens_of(
    logits: NDArray[np.float32], offsets: NDArray[np.float32], rules: TracingRules
) -> Tokens:
    """Return the tokens of one input; see :func:`found_tokens`."""
    return found_tokens(logits, offsets, rules.least_token)


def traced(
    tokens: Tokens,
    presence: NDArray[np.float32],
    shape: tuple[int, int],
    rules: TracingRules,
    ends: NDArray[np.float32] | None = None,
) -> list[TracedLine]:
    """Return lines, the longest first.

    Parameters
    ----------
    tokens
        In px of the frame.
    presence
        (h, w) largest logit of a cell over its orientations.
    shape
        (height, width) of the frame, px.
    rules
        What is taken for a line.
    ends
        (h, w) logits that a line ends in a cell; nothing is cut back without them.
    """
    tokens = thinned(tokens)
    evidence = _probability(presence)
    tips = np.zeros_like(evidence) if ends is None else _probability(ends)
    found = _joined(_chains(tokens, tips), evidence, rules.joins.tight())
    lines = []
    for chain in shared(_joined(untangled(found), evidence, rules.joins)):
        score = float(chain.scores.mean())
        # Most of what is no line is known before the work of smoothing it.
        extent = length_of(chain.points) + rules.joins.gap_px
        if score < rules.least_score or extent < rules.shortest_px:
            continue
        line = smoothed_curve(chain.points, rules.wavelength_px, chain.scores)
        line = _continued(line, shape)
        if ends is not None:
            line = stopped(line, tips, evidence, rules.stops)
        if polyline_length(line) >= rules.shortest_px:
            lines.append(TracedLine(line, score))
    return sorted(_without_shadows(lines, shape), key=lambda line: -polyline_length(line.points))


def _chains(tokens: Tokens, tips: NDArray[np.float32]) -> list[Chain]:
    if not len(tokens.points):
        return []
    ends = along(tips, tokens.points).astype(np.float64)
    found = [chain for chain in chains(linked(tokens, ends > ENDED)) if len(chain) >= LEAST_TOKENS]
    return [Chain(tokens.points[k], tokens.scores[k], ends[k]) for k in found]


def _joined(found: list[Chain], evidence: NDArray[np.float32], rules: JoinRules) -> list[Chain]:
    """Return chains with the gaps between them closed."""
    ended = np.array([chain.ends[row] > ENDED for chain in found for row in (0, -1)], bool)

    def on_the_way(start: NDArray[np.float64], stop: NDArray[np.float64]) -> NDArray[np.float64]:
        return mean_along(evidence, start, stop)

    lines = join_chains([chain.points for chain in found], on_the_way, rules, ended)
    return [_one([found[k].turned if back else found[k] for k, back in line]) for line in lines]


def _one(parts: list[Chain]) -> Chain:
    whole = parts[0]
    for more in parts[1:]:
        # Where two chains overlap, the second begins beyond the end of the first.
        path = whole.points
        way = path[-1] - path[max(len(path) - 4, 0)]
        beyond = np.flatnonzero((more.points - path[-1]) @ way > 0)
        whole = concatenated(whole, more.part(slice(int(beyond[0]) if len(beyond) else 0, None)))
    return whole


def _without_shadows(lines: list[TracedLine], shape: tuple[int, int]) -> list[TracedLine]:
    """Return lines without those that run along better ones: wide lines are seen at their edges."""
    kept: list[TracedLine] = []
    covered = np.zeros((shape[0] + 1, shape[1] + 1), np.uint8)
    for line in sorted(lines, key=lambda line: -line.score * polyline_length(line.points)):
        columns, rows = line.points.astype(np.intp).T
        if covered[rows, columns].mean() < SHADOW_SHARE:
            kept.append(line)
            # In sixteenths of a pixel; OpenCV counts from the middle of the first one.
            places = np.round((line.points - 0.5) * 16).astype(np.int32)
            cv2.polylines(covered, [places], False, 1, round(2 * SHADOW_PX), cv2.LINE_8, 4)
    return kept


def _probability(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(1 / (1 + np.exp(-logits)), np.float32)


def _continued(line: NDArray[np.float64], shape: tuple[int, int]) -> NDArray[np.float64]:
    """Return the line inside the frame, continued a little, or to a rim that it nearly reaches."""
    limits = np.array([shape[1], shape[0]], float)
    few = min(4, len(line) - 1)
    first = _beyond(line[0], line[few], limits)
    last = _beyond(line[-1], line[-1 - few], limits)
    return np.asarray(np.clip(np.concatenate([first, line, last]), 0, limits), np.float64)


def _beyond(
    end: NDArray[np.float64], inner: NDArray[np.float64], limits: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the (0 or 1, 2) place to which a line goes on beyond its end."""
    way = end - inner
    length = float(np.hypot(way[0], way[1]))
    if length == 0:
        return np.zeros((0, 2))
    way = way / length
    room = np.where(way > 0, limits - end, end) / np.maximum(np.abs(way), 1e-9)
    reach = float(room.min())
    return np.asarray((end + (reach if reach <= RIM_PX else END_SHIFT_PX) * way)[None])
