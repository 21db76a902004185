"""One Perlin field of 512 x 512 px: ours against a loop of ``noise.pnoise2`` over pixels.

Usage: python benchmarks/perlin.py [--size 512] [--repeats 30]

The loop is the recipe of Govind et al. and needs the package ``noise`` (a C compiler). The last
lines time the whole background, eqs. 1 to 6 of that paper, the loop's with SciPy's filters.
"""

from __future__ import annotations

import argparse
import importlib
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.ndimage import gaussian_filter

from defectscope.generators.perlin import perlin_noise_grid
from defectscope.generators.perlin_background import Perlin

WAVELENGTHS_PX = (10.0, 30.0, 100.0)


def loop_field(size: int, wavelength_px: float) -> Any:
    """Compute one field pixel by pixel."""
    pnoise2 = importlib.import_module("noise").pnoise2
    field = np.zeros((size, size))
    for i in range(size):
        for j in range(size):
            field[i, j] = pnoise2(j / wavelength_px, i / wavelength_px, base=1)
    return field


def loop_background(size: int) -> Any:
    """Compute eqs. 1 to 6 with parameters from the middle of Table 1."""
    rng = np.random.default_rng(0)
    field = loop_field(size, 55.0) + 0.3 * loop_field(size, 30.0)
    field = (field - field.min()) / (field.max() - field.min())
    white = field + 0.6 * rng.uniform(-1, 1, field.shape)
    again = gaussian_filter(white, 1.0) + white.std() * rng.uniform(-1, 1, field.shape)
    return np.clip(gaussian_filter(again, 0.7), 0, 1)


def median_ms(work: Callable[[], Any], repeats: int) -> float:
    """Return the median time of `work`."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return 1e3 * float(np.median(times))


def main() -> None:
    """Print milliseconds, ratio and largest difference for each wavelength."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--repeats", type=int, default=30)
    given = parser.parse_args()
    try:
        importlib.import_module("noise")
    except ImportError:
        print('skipped: install the package noise: pip install "defectscope[noise]"')
        return
    size, repeats = given.size, given.repeats
    for wavelength_px in WAVELENGTHS_PX:
        places = np.arange(size) / wavelength_px

        def ours(places: Any = places) -> Any:
            return perlin_noise_grid(places, places, base=1)

        def theirs(wavelength_px: float = wavelength_px) -> Any:
            return loop_field(size, wavelength_px)

        fast, slow = median_ms(ours, repeats), median_ms(theirs, max(3, repeats // 10))
        difference = np.abs(ours() - theirs()).max()
        print(
            f"field, wavelength {wavelength_px:5.1f} px: loop {slow:7.1f} ms, ours {fast:6.3f} ms, "
            f"ratio {slow / fast:5.0f}, largest difference {difference:.1e}"
        )
    rng = np.random.default_rng(0)
    fast = median_ms(lambda: Perlin().render((size, size), rng), repeats)
    slow = median_ms(lambda: loop_background(size), max(3, repeats // 10))
    print(f"background: loop {slow:.1f} ms, ours {fast:.2f} ms, ratio {slow / fast:.0f}")


if __name__ == "__main__":
    main()
