"""Simulated detections of loops in a moving specimen, with known truth; used by the benchmarks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

__all__ = ["Recipe", "Simulated", "simulate", "spoilt"]


@dataclass(frozen=True)
class Recipe:
    """What is simulated; lengths in px, times in frames."""

    loops: float = 100.0  # mean number in a frame, of a Poisson process
    frames: int = 200
    width_px: int = 1120
    height_px: int = 710
    diffusion: float = 0.1  # px²/frame
    growth: float = 0.03  # px/frame, mean of the loops
    growth_spread: float = 0.01
    drift: float = 0.3  # px/frame
    jump_frame: int | None = None
    jump_px: float = 100.0


@dataclass(frozen=True)
class Simulated:
    """True rows (``track_id``), and the shift of the stage in each frame."""

    truth: pd.DataFrame
    shifts: np.ndarray


def simulate(recipe: Recipe, rng: np.random.Generator) -> Simulated:
    """Draw a sequence: loops wander, grow, and are carried along by the stage."""
    direction = rng.uniform(0, 2 * np.pi)
    step = recipe.drift * np.array([np.cos(direction), np.sin(direction)])
    shifts = np.arange(recipe.frames)[:, None] * step
    if recipe.jump_frame is not None:
        shifts[recipe.jump_frame :] += (recipe.jump_px, 0)
    margin = 60 + np.abs(shifts).max()
    low, high = np.full(2, -margin), np.array([recipe.width_px, recipe.height_px]) + margin
    density = recipe.loops / (recipe.width_px * recipe.height_px)
    number = rng.poisson(density * float((high - low).prod()))
    walk = rng.normal(0, np.sqrt(2 * recipe.diffusion), (recipe.frames, number, 2))
    walk[0] = 0
    at = rng.uniform(low, high, (number, 2)) + np.cumsum(walk, axis=0) + shifts[:, None]
    rate = rng.normal(recipe.growth, recipe.growth_spread, number)
    size = rng.uniform(8, 25, number) + rate * np.arange(recipe.frames)[:, None]
    frame, loop = (part.ravel() for part in np.indices((recipe.frames, number)))
    x, y = at[..., 0].ravel(), at[..., 1].ravel()
    rows = _rows(frame, x, y, np.maximum(size, 2).ravel()).assign(track_id=loop)
    inside = (x >= 0) & (y >= 0) & (x < recipe.width_px) & (y < recipe.height_px)
    return Simulated(rows[inside].reset_index(drop=True), shifts)


def _rows(frame: np.ndarray, x: np.ndarray, y: np.ndarray, size: np.ndarray) -> pd.DataFrame:
    return pd.DataFrame(
        {"frame": frame, "x": x, "y": y, "x_min": x - size / 2, "y_min": y - size / 2,
         "x_max": x + size / 2, "y_max": y + size / 2, "diameter_px": size,
         "defect_type": "dislocation-loop"}
    )  # fmt: skip


def spoilt(
    truth: pd.DataFrame,
    rng: np.random.Generator,
    width_px: int,
    height_px: int,
    missed: float = 0.1,
    invented: float = 0.1,
    jitter_px: float = 1.0,
    size_error: float = 0.08,
    longest_burst: int = 8,
) -> pd.DataFrame:
    """Return detections as a detector would leave them.

    Parameters
    ----------
    truth
        Rows with ``track_id``.
    missed
        Share of the rows that are missed, in bursts of 1 to `longest_burst` frames.
    invented
        False ones for each true row, anywhere.
    jitter_px, size_error
        Standard deviations of positions along an axis, and of the logarithm of sizes.
    """
    ordered = truth.sort_values(["track_id", "frame"], kind="stable").reset_index(drop=True)
    start = rng.random(len(ordered)) < missed / (1 - missed) / ((longest_burst + 1) / 2)
    lost = np.zeros(len(ordered), bool)
    track = ordered["track_id"].to_numpy()
    for row in np.flatnonzero(start):
        end = row + rng.integers(1, longest_burst + 1)
        lost[row:end] |= track[row:end] == track[row]
    seen = ordered[~lost]
    size = seen["diameter_px"] * np.exp(rng.normal(0, size_error, len(seen)))
    x = seen["x"] + rng.normal(0, jitter_px, len(seen))
    y = seen["y"] + rng.normal(0, jitter_px, len(seen))
    found = _rows(seen["frame"].to_numpy(), x.to_numpy(), y.to_numpy(), size.to_numpy())
    number = rng.poisson(invented * len(ordered))
    frames = ordered["frame"].to_numpy()
    false = _rows(
        rng.choice(frames, number),
        rng.uniform(0, width_px, number),
        rng.uniform(0, height_px, number),
        rng.uniform(8, 30, number),
    )
    table = pd.concat([found, false], ignore_index=True)
    table = table.sample(frac=1, random_state=int(rng.integers(2**31)))
    table = table.sort_values("frame", kind="stable", ignore_index=True)
    return table.assign(detection=table.groupby("frame").cumcount(), score=1.0, origin="detector")
