"""Loops that coalesce, from generated images through ``run`` to its table of merges and splits."""

from __future__ import annotations

import json
import shutil

import pandas as pd
import pytest
from click.testing import CliRunner

from defectscope.cli.main import cli

FRAMES, SIZE = 40, 192
OPTIONS = (
    "count=45", "nucleated=1", "smallest_px=14", "largest_px=26", "coalescence=1", "shrinking=0",
    "drift_px_per_frame=0", "tails=0", "visible_from_px=5",
)  # fmt: skip


def invoke(*words):
    done = CliRunner().invoke(cli, [str(word) for word in words])
    assert done.exit_code == 0, done.output


def events_of(images, out):
    invoke("run", images, "--detector", "heatmap", "--post", "watershed-ellipse", "--tracker",
           "loops", "--no-overlay", "--out", out)  # fmt: skip
    table = pd.read_csv(out / "figures/track-events.csv")
    tracks = pd.read_parquet(out / "tracks.parquet")
    places = tracks.groupby("particle")[["x", "y"]].mean()
    return table.join(places, on="other")


@pytest.fixture(scope="module")
def sequence(tmp_path_factory):
    """Return the folder of the images, and the true events of coalescence."""
    folder = tmp_path_factory.mktemp("merging") / "sequence"
    given = [word for option in OPTIONS for word in ("--set", f"in-situ-loops.{option}")]
    invoke("generate", "in-situ-loops", "--length", FRAMES, "--size", SIZE, *given, "--out", folder)
    (path,) = (folder / "parameters").glob("*.json")
    events = list(found(json.loads(path.read_text())))
    assert len(events) >= 5
    return folder / "images", events


def found(value):
    """Yield the events of coalescence, wherever they are in a parameters file."""
    if isinstance(value, dict):
        if value.get("kind") == "coalescence":
            yield value
        value = list(value.values())
    for part in value if isinstance(value, list) else ():
        yield from found(part)


def true_one(row, events, frame):
    """Return whether a coalescence happened in that frame within 6 px of the loop that is left."""
    return any(
        abs(e["frame"] - frame) <= 1 and abs(e["x"] - row["x"]) < 6 and abs(e["y"] - row["y"]) < 6
        for e in events
    )


def test_loops_that_coalesce_are_merges(sequence, tmp_path):
    images, events = sequence
    table = events_of(images, tmp_path / "run")
    assert set(table["kind"]) == {"merge"}
    assert len(table.drop_duplicates(["frame", "other"])) >= 2
    assert all(true_one(row, events, row["frame"]) for row in table.to_dict("records"))


@pytest.mark.slow
def test_played_backwards_they_are_splits(sequence, tmp_path):
    images, events = sequence
    (tmp_path / "backwards").mkdir()
    for k, path in enumerate(sorted(images.iterdir(), reverse=True)):
        shutil.copy(path, tmp_path / "backwards" / f"{k:06d}{path.suffix}")
    table = events_of(tmp_path / "backwards", tmp_path / "run")
    assert set(table["kind"]) == {"split"}
    assert len(table.drop_duplicates(["frame", "other"])) >= 2
    assert all(true_one(row, events, FRAMES - row["frame"]) for row in table.to_dict("records"))
