"""Scores of tracks against true tracks.

- CLEAR MOT: Bernardin & Stiefelhagen, EURASIP J. Image Video Process. 2008, 246309.
- IDF1: Ristani, Solera, Zou, Cucchiara & Tomasi, ECCV Workshops 2016, LNCS 9914, 17.
- Mostly tracked: Li, Huang & Nevatia, CVPR 2009, 2953.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from defectscope.core.errors import FormatError, UsageError
from defectscope.core.matching import excused, greedy_match
from defectscope.core.track_overlaps import Sighted, lying_in, overlaps

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

__all__ = ["MOSTLY_TRACKED", "tracking_scores"]

# Share of its frames in which a true track must be found to count as mostly tracked.
MOSTLY_TRACKED = 0.8
BOX_COLUMNS = ["x_min", "y_min", "x_max", "y_max"]


def tracking_scores(
    predicted: pd.DataFrame, true: pd.DataFrame, *, cut_off_iou: float
) -> dict[str, float | int | None]:
    """Compare tracks with true tracks, by the overlap of their boxes in each frame.

    Boxes say little of lines: where both sides have a line, the two fit that match as lines do.

    Parameters
    ----------
    predicted
        Columns ``frame``, ``x_min``, ``y_min``, ``x_max``, ``y_max`` (px) and ``particle``. Where
        there is a column ``ignore``, rows that it flags are no false positives.
    true
        The same with ``track_id`` in place of ``particle``. Where there is a column ``ignore``,
        rows that it flags are neither hits nor misses, and nor are predictions that fit them.
        Where there is a column ``sequence``, one ``track_id`` in two sequences is two tracks.
        Both tables may have a column ``line`` of (k, 2) points x, y, px; (0, 2) where none is.
    cut_off_iou
        Intersection over union, from 0 to 1, that a pair of boxes needs. Lines need a mean
        distance of at most 5 px, as in :func:`~defectscope.core.line_pairs.match_lines`.

    Returns
    -------
    dict
        ``mota``, 1 - (misses + false positives + id switches) / true boxes, at most 1;
        ``idf1``, the share of boxes with the right identity, when each true track is
        given one particle for good, 0 to 1;
        ``id_switches``, how often a true track is found under another particle than before;
        ``fragmentations``, how often a true track is found again after it was missed;
        ``mostly_tracked``, the share of true tracks found in at least 80 % of their frames;
        and the counts ``true_tracks``, ``matches``, ``misses``, ``false_positives``.
        A score is None where there is nothing to score.

    Raises
    ------
    FormatError
        A column is missing, a value is null, or a track stands twice in one frame.
    UsageError
        `cut_off_iou` is no number from 0 to 1.

    Notes
    -----
    As in CLEAR MOT, a pair of the frame before is kept while it overlaps enough; the rest of a
    frame is matched as everywhere in defectscope, the highest overlap of the matrix first. Frames
    of both tables count: leave out predictions of frames whose truth is not known.
    """
    if not 0 <= cut_off_iou <= 1:
        raise UsageError(f"cut_off_iou must be a number from 0 to 1, found {cut_off_iou}")
    predictions, truths = _by_frame(predicted, "particle"), _by_frame(true, "track_id")
    tally = _Tally()
    for frame in sorted(predictions.keys() | truths.keys()):
        tally.add(predictions.get(frame, _NOTHING), truths.get(frame, _NOTHING), cut_off_iou)
    return tally.scores()


class _Frame(NamedTuple):
    """What is in one frame, the track of each, and which are not to be counted."""

    sighted: Sighted
    tracks: list[int]
    ignore: NDArray[np.bool_]


_NOTHING = _Frame(Sighted(np.zeros((0, 4)), []), [], np.zeros(0, bool))


@dataclass
class _Tally:
    """What has been counted so far, and what the frames before leave behind."""

    matches: int = 0
    misses: int = 0
    false_positives: int = 0
    id_switches: int = 0
    fragmentations: int = 0
    partner_before: dict[int, int] = field(default_factory=dict)
    last_partner: dict[int, int] = field(default_factory=dict)
    was_found: dict[int, bool] = field(default_factory=dict)
    true_lengths: Counter[int] = field(default_factory=Counter)
    found_lengths: Counter[int] = field(default_factory=Counter)
    shared_frames: defaultdict[tuple[int, int], int] = field(
        default_factory=lambda: defaultdict(int)
    )

    def add(self, predicted: _Frame, true: _Frame, cut_off: float) -> None:
        """Count one frame; frames come in ascending order."""
        counted = np.flatnonzero(~true.ignore)
        tracks = [true.tracks[k] for k in counted]
        iou = overlaps(predicted.sighted, true.sighted, cut_off)
        pairs = self._match(iou[:, counted], predicted.tracks, tracks, cut_off)
        alone = np.setdiff1d(np.arange(len(predicted.tracks)), [p for p, _ in pairs])
        left_out = predicted.ignore[alone] | excused(
            iou[np.ix_(alone, np.flatnonzero(true.ignore))],
            lying_in(predicted.sighted[alone], true.sighted[np.flatnonzero(true.ignore)]),
            cut_off,
        )

        self.matches += len(pairs)
        self.misses += len(tracks) - len(pairs)
        self.false_positives += int((~left_out).sum())
        self._follow(tracks, {tracks[t]: predicted.tracks[p] for p, t in pairs})
        rows = np.delete(np.arange(len(predicted.tracks)), alone[left_out])
        shared = iou[np.ix_(rows, counted)]
        for p, t in zip(*np.nonzero((shared >= cut_off) & (shared > 0)), strict=True):
            self.shared_frames[tracks[t], predicted.tracks[rows[p]]] += 1

    def _match(
        self, iou: NDArray[np.float64], particles: list[int], tracks: list[int], cut_off: float
    ) -> list[tuple[int, int]]:
        """Return (predicted, true) positions: first those paired before, then the best first."""
        row = {particle: p for p, particle in enumerate(particles)}
        pairs = []
        for t, track in enumerate(tracks):
            before = self.partner_before.get(track)
            if before in row and iou[row[before], t] >= cut_off and iou[row[before], t] > 0:
                pairs.append((row[before], t))
        free = iou.copy()
        free[[p for p, _ in pairs], :] = 0
        free[:, [t for _, t in pairs]] = 0
        return pairs + greedy_match(free, cut_off)

    def _follow(self, tracks: list[int], partner: dict[int, int]) -> None:
        """Note which true tracks of a frame were found, and as which particle."""
        for track in tracks:
            self.true_lengths[track] += 1
            found = track in partner
            if found:
                self.found_lengths[track] += 1
                before = self.last_partner.get(track)
                self.id_switches += before is not None and before != partner[track]
                self.fragmentations += before is not None and not self.was_found[track]
            self.was_found[track] = found
        self.last_partner |= partner
        self.partner_before = partner

    def scores(self) -> dict[str, float | int | None]:
        """Return the scores of all frames."""
        errors = self.misses + self.false_positives + self.id_switches
        true_boxes = self.matches + self.misses
        boxes = true_boxes + self.matches + self.false_positives
        mostly = sum(
            self.found_lengths[track] / length >= MOSTLY_TRACKED
            for track, length in self.true_lengths.items()
        )
        return {
            "mota": 1 - errors / true_boxes if true_boxes else None,
            "idf1": 2 * _identity_matches(self.shared_frames) / boxes if boxes else None,
            "id_switches": self.id_switches,
            "fragmentations": self.fragmentations,
            "mostly_tracked": mostly / len(self.true_lengths) if self.true_lengths else None,
            "true_tracks": len(self.true_lengths),
            "matches": self.matches,
            "misses": self.misses,
            "false_positives": self.false_positives,
        }


def _identity_matches(shared_frames: Mapping[tuple[int, int], int]) -> int:
    """Return the most frames that tracks can share with particles, paired one to one (IDTP).

    Pairs are chosen for each group of tracks and particles that meet, directly or through
    others: one matrix of all with all would be far too large for long videos.
    """
    if not shared_frames:
        return 0
    from scipy.optimize import linear_sum_assignment
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    ends = np.array(list(shared_frames), np.int64)
    frames = np.array(list(shared_frames.values()), np.int64)
    tracks, row = np.unique(ends[:, 0], return_inverse=True)
    particles, column = np.unique(ends[:, 1], return_inverse=True)
    nodes = len(tracks) + len(particles)
    graph = coo_array((frames, (row, column + len(tracks))), shape=(nodes, nodes))
    group = connected_components(graph, directed=False)[1][row]
    order = np.argsort(group, kind="stable")
    total = 0
    for part in np.split(order, np.flatnonzero(np.diff(group[order])) + 1):
        (_, r), (_, c) = (np.unique(end[part], return_inverse=True) for end in (row, column))
        shared = np.zeros((r.max() + 1, c.max() + 1), np.int64)
        shared[r, c] = frames[part]
        total += int(shared[linear_sum_assignment(shared, maximize=True)].sum())
    return total


def _by_frame(table: pd.DataFrame, identity: str) -> dict[int, _Frame]:
    """Return what is in each frame that has anything."""
    return dict(_frames_of(table, identity))


def _frames_of(table: pd.DataFrame, identity: str) -> Iterator[tuple[int, _Frame]]:
    needed = ["frame", *BOX_COLUMNS, identity]
    missing = [name for name in needed if name not in table.columns]
    if missing:
        raise FormatError(
            f"tracking scores need the columns {', '.join(needed)}; missing: {', '.join(missing)}"
        )
    rows = table.sort_values("frame", kind="stable")
    empty = [name for name in needed if rows[name].isna().any()]
    if empty:
        raise FormatError(f"tracking scores need a value in every row of column {empty[0]!r}")
    twice = rows.duplicated(["frame", identity])
    if twice.any():
        track, frame = (rows.loc[twice, name].iloc[0] for name in (identity, "frame"))
        raise FormatError(
            f"a track can be in a frame once, but {identity} {track} is in frame {frame} twice"
        )
    boxes = rows[BOX_COLUMNS].to_numpy(float)
    names = ["sequence", identity] if "sequence" in rows else [identity]
    tracks = rows.groupby(names, sort=False, dropna=False).ngroup().to_numpy()
    ignore = rows["ignore"].to_numpy(bool) if "ignore" in rows else np.zeros(len(rows), bool)
    lines: Sequence[NDArray[np.float64]] = rows["line"].tolist() if "line" in rows else ()
    frames = rows["frame"].to_numpy()
    stops = [*(np.flatnonzero(frames[1:] != frames[:-1]) + 1).tolist(), len(rows)]
    for start, stop in zip([0, *stops], stops, strict=False):
        part = slice(start, stop)
        if stop > start:  # a table without rows has no frame
            yield (
                int(frames[start]),
                _Frame(Sighted(boxes[part], lines[part]), tracks[part].tolist(), ignore[part]),
            )
