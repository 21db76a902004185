"""Diffusion by size, where not every size is that of a whole defect."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from defectscope.analysis.diffusion import Diffusion


def test_sizes_that_the_rim_cuts_are_none(make_tables):
    steps = np.random.default_rng(3).normal(0, 1, (2, 2, 12)).cumsum(axis=2)
    tracks = pd.concat(
        pd.DataFrame({"particle": k, "frame": range(12), "x": x, "y": y, "diameter_px": 8.0,
                      "at_rim": k, "fit": 1 - k, "interpolated": False, "origin": "detected"})
        for k, (x, y) in enumerate(steps)
    )  # fmt: skip
    found = {
        f.name: f for f in Diffusion().analyse(make_tables({}, indices=range(12), tracks=tracks))
    }
    table = found["diffusion-of-tracks"].table
    assert table[["particle", "median_size_px"]].to_numpy().tolist()[0] == [0, 8]
    assert np.isnan(table["median_size_px"][1])
    assert "Sizes leave out 12 sightings of which the rim" in found["diffusion-by-size"].note


def walked(make_tables, drift_px, localisation_px=0.0):
    rng = np.random.default_rng(7)
    rows = [
        pd.DataFrame({"particle": k, "frame": range(60), "x": x + drift_px * np.arange(60), "y": y})
        for k, (x, y) in enumerate(rng.normal(0, 0.3, (30, 2, 60)).cumsum(axis=2)
                                   + rng.normal(0, localisation_px, (30, 2, 60)))
    ]  # fmt: skip
    tables = make_tables({}, indices=range(60), tracks=pd.concat(rows))
    return {finding.name: finding for finding in Diffusion().analyse(tables)}


@pytest.mark.parametrize("localisation_px", [0.0, 0.5])
def test_a_drift_is_said_beside_the_diffusion_that_it_spoils(make_tables, localisation_px):
    name = "mean-squared-displacement"
    assert walked(make_tables, 0.0, localisation_px)[name].note == ""
    note = walked(make_tables, 0.3, localisation_px)[name].note
    assert "as of a stage that drifts, so that D is too large" in note
