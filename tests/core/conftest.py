"""Tracks made by hand."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest


def one_track(particle, frames, x=0.0, size=10.0, step=0.1):
    """Return a track that moves along x."""
    frames = np.asarray(list(frames))
    size = np.broadcast_to(size, frames.shape)
    return pd.DataFrame(
        {"frame": frames, "particle": particle, "x": x + step * frames, "y": 0.0,
         "diameter_px": size}
    )  # fmt: skip


@pytest.fixture
def track() -> Callable[..., pd.DataFrame]:
    """Return what makes the track of one particle."""
    return one_track
