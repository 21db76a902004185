"""Trackers: what is asked of those that link detections through time."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pandas as pd

from defectscope.core.base import Tracker
from defectscope.core.tables import DETECTION_COLUMNS, GEOMETRY_COLUMNS, empty_table
from defectscope.plugins.conformance.basics import Check, Setup, expect, pickled
from defectscope.plugins.conformance.tables import sample_detections

__all__ = ["CHECKS"]

MINIMAL_COLUMNS = ["frame", "x", "y"]
# Some objects hash by their address: results must not depend on where memory lies.
REPEATS = 3
# Frames without detections after which nobody can tell which particle is which.
LONG_HOLE = 100_000
# Every how many-th frame a series is looked at, as under --frames A:B:S.
STEP = 5


def _linked(tracker: Tracker, detections: pd.DataFrame) -> pd.DataFrame:
    before = detections.copy(deep=True)
    tracks = tracker.link(detections)
    expect(
        isinstance(tracks, pd.DataFrame) and "particle" in tracks.columns,
        "link must return a DataFrame with a column 'particle', found "
        + (
            f"the columns {', '.join(map(str, tracks.columns))}"
            if isinstance(tracks, pd.DataFrame)
            else f"a {type(tracks).__name__}"
        ),
    )
    expect(detections.equals(before), "link must not change the table that it is given")
    expect(
        pd.api.types.is_integer_dtype(tracks["particle"]) and not tracks["particle"].hasnans,
        f"particle must be an integer in every row, found {tracks['particle'].dtype}",
    )
    return tracks


def _expect_rows(detections: pd.DataFrame, tracks: pd.DataFrame) -> None:
    twice = tracks[tracks.duplicated(["frame", "particle"])]
    expect(
        twice.empty,
        f"a particle can be in a frame once only, found particle "
        f"{twice['particle'].tolist()[:1]} twice in frame {twice['frame'].tolist()[:1]}",
    )
    lost = [name for name in detections.columns if name not in tracks.columns]
    expect(not lost, f"link must keep every column, missing: {', '.join(lost)}")
    if "origin" in tracks.columns:
        # A tracker may fill gaps, as long as it says so.
        tracks = tracks[tracks["origin"] != "interpolated"]
    given = _rows(detections, list(detections.columns))
    returned = _rows(tracks, list(detections.columns))
    expect(len(set(returned)) == len(returned), "link must not return a row twice")
    changed = [row for row in returned if row not in set(given)]
    expect(
        not changed,
        f"link must leave the rows as they are, apart from 'particle'; not among those given: "
        f"{dict(zip(detections.columns, changed[0], strict=True)) if changed else ''}",
    )


def _rows(table: pd.DataFrame, columns: list[str]) -> list[tuple[object, ...]]:
    # NaN differs from itself, so it is replaced before rows are compared.
    plain = table[columns].astype(object)
    return list(plain.where(plain.notna(), None).itertuples(index=False, name=None))


def check_links_rows(component: type[Tracker], setup: Setup) -> None:
    """Rows get an integer particle, once in a frame, and stay as they are otherwise."""
    with setup.opened(component) as tracker:
        for detections in _detection_tables():
            _expect_rows(detections, _linked(tracker, detections))


def _detection_tables() -> Iterator[pd.DataFrame]:
    full = sample_detections()
    yield full
    yield full[MINIMAL_COLUMNS].copy()
    yield full.iloc[:1].copy()
    yield full[full["frame"] == full["frame"].iloc[0]].copy()
    # Frames with a hole, and an index that is not 0, 1, 2 ...
    yield full[full["frame"] % 3 != 0].copy()
    yield full.sample(frac=1, random_state=1)


def check_links_nothing(component: type[Tracker], setup: Setup) -> None:
    """A table without rows gives one without rows."""
    with setup.opened(component) as tracker:
        for empty in (empty_table(DETECTION_COLUMNS), sample_detections().iloc[:0]):
            tracks = _linked(tracker, empty)
            expect(tracks.empty, f"nothing in must give nothing out, found {len(tracks)} rows")


def check_long_holes(component: type[Tracker], setup: Setup) -> None:
    """No particle is taken up again after a hole of 100,000 frames."""
    early = sample_detections()
    late = early.assign(frame=early["frame"] + LONG_HOLE)
    detections = pd.concat([early, late], ignore_index=True)
    with setup.opened(component) as tracker:
        tracks = _linked(tracker, detections)
    after = tracks["frame"] >= LONG_HOLE
    both = sorted(set(tracks.loc[after, "particle"]) & set(tracks.loc[~after, "particle"]))
    expect(
        not both,
        f"memory and gaps count frames by their indices, also those without detections, which are "
        f"not in the table: particle {both[:1]} goes on after {LONG_HOLE:,} frames",
    )


def check_counts_in_steps(component: type[Tracker], setup: Setup) -> None:
    """A series of which every fifth frame was looked at gives the same particles."""
    every = sample_detections(frames=12)
    groups = []
    for step in (1, STEP):
        with setup.opened(component) as tracker:
            tracker.frame_step = step
            tracks = _linked(tracker, every.assign(frame=every["frame"] * step))
        if "origin" in tracks.columns:
            tracks = tracks[tracks["origin"] != "interpolated"]
        rows = tracks.assign(frame=tracks["frame"] // step).sort_values(["frame", "x", "y"])
        # What particles are called does not matter.
        rows["particle"] = pd.factorize(rows["particle"])[0]
        groups.append(rows[["frame", "x", "y", "particle"]].reset_index(drop=True))
    expect(
        groups[0].equals(groups[1]),
        f"what is counted in frames means frames that were looked at, frame_step indices apart: "
        f"the same rows with frame and frame_step times {STEP} must be the same particles, found "
        f"{groups[0]['particle'].nunique()} particles and {groups[1]['particle'].nunique()}",
    )


def check_takes_geometry(component: type[Tracker], setup: Setup) -> None:
    """It takes a table of vertices, here without any."""
    detections = sample_detections()
    with setup.opened(component) as tracker:
        tracks = tracker.link(detections, empty_table(GEOMETRY_COLUMNS))
        _expect_rows(detections, tracks)


def check_linking_repeats(component: type[Tracker], setup: Setup) -> None:
    """The same table gives the same particles."""
    detections = sample_detections(frames=12)
    built = setup.build(component)
    copy = pickled(built)
    kept, results = [], []
    with built:
        for repeat in range(REPEATS):
            results.append(_linked(built, detections.copy()))
            kept.append(
                [object() for _ in range(100 * repeat + random.Random(repeat).randrange(9))]
            )
    with copy:
        results.append(_linked(copy, detections.copy()))
    for again in results[1:]:
        expect(
            results[0].equals(again),
            "the same table must give the same rows and particles every time, also from a "
            "pickled copy",
        )


CHECKS: tuple[Check, ...] = (
    check_links_rows,
    check_links_nothing,
    check_long_holes,
    check_counts_in_steps,
    check_takes_geometry,
    check_linking_repeats,
)
