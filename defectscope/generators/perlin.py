"""Perlin noise with the values of the ``noise`` package, for arrays and for regular grids.

``noise.pnoise2`` [1]_ computes in float32, repeats after 1024 cells (``fmod``), and finds the
gradient of a lattice point with the index ``(i & 255) + base``. Both functions here give its
values to 1e-6 for base 0 and 1. For larger bases ``noise`` reads past the end of its own table,
so that its values depend on how it was compiled; here the index wraps modulo 256, and base 257
is base 1. A base is the same as moving both coordinates by as many cells.

.. [1] K. Perlin, Improving noise, ACM Trans. Graph. 21 (2002) 681; C. Duncan, ``noise`` 1.2.2.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from defectscope import OptionError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = ["perlin_noise", "perlin_noise_grid"]

# Perlin's permutation of 0 to 255. Sums of its uint8 values wrap modulo 256 by themselves.
PERMUTATION = np.frombuffer(
    bytes.fromhex(
        "97a0895b5a0f830dc95f6035c2e907e18c24671e458e086325f0150a17be0694"
        "f778ea4b001ac53e5efcdbcb75230b2039b12158ed953857ae147d88aba844af"
        "4aa547868b301ba64d929ee7536fe57a3cd385e6dc695c29372ef528f4668f36"
        "41193fa101d85049d14c84bbd05912a9c8c4878274bc9f56a4646dc6adba0340"
        "34d9e2fa7c7b05ca2693767eff5255d4cfce3be32f103a11b6bd1c2adfb7aad5"
        "77f898022c9aa346dd99659ba72bac09811627fd13626c6e4f71e0e8b2b97068"
        "daf661e4fb22f2c1eed2900cbfb3a2f1513391ebf90eef6b31c0d61fb5c76a9d"
        "b854ccb07379322d7f0496fe8aeccd5dde72431d1848f38d80c34e42d73d9cb4"
    ),
    np.uint8,
)
# The gradients of the 16 hash values: the x and y parts of the 3-D ones that `noise` uses.
GRADIENT_X = np.array([1, -1, 1, -1, 1, -1, 1, -1, 0, 0, 0, 0, 1, -1, 0, 0], np.float32)
GRADIENT_Y = np.array([1, 1, -1, -1, 0, 0, 0, 0, 1, -1, 1, -1, 0, 0, -1, 1], np.float32)
# ... and of the 256 sums that lead to them: two permutations on.
SLOPE_X = GRADIENT_X[PERMUTATION[PERMUTATION] & 15]
SLOPE_Y = GRADIENT_Y[PERMUTATION[PERMUTATION] & 15]
# `noise` counts cells in C integers.
CELL_LIMIT = 2.0**31


def perlin_noise(
    x: ArrayLike,
    y: ArrayLike,
    octaves: int = 1,
    persistence: float = 0.5,
    lacunarity: float = 2.0,
    repeat_x: float = 1024.0,
    repeat_y: float = 1024.0,
    base: int = 0,
) -> NDArray[np.float32]:
    """Return Perlin noise at any points.

    Parameters
    ----------
    x, y
        Coordinates in cells of the lattice; they broadcast against each other.
    octaves
        How many fields are added, each finer and (by default) weaker than the one before.
    persistence
        Amplitude of an octave over that of the one before.
    lacunarity
        Frequency of an octave over that of the one before.
    repeat_x, repeat_y
        Cells after which the first octave repeats; every field repeats after 256 in any case.
    base
        Cells by which the lattice is moved along x and y; counted modulo 256.

    Returns
    -------
    numpy.ndarray
        float32 of the broadcast shape, within [-1, 1].

    Raises
    ------
    OptionError
        There is no octave, the amplitudes add up to zero, or a coordinate is not finite.
    """
    columns, rows = np.broadcast_arrays(_float32(x), _float32(y))
    shape = columns.shape
    columns, rows = columns.ravel(), rows.ravel()
    total, amplitudes = np.zeros(columns.shape, np.float32), np.float32(0)
    for frequency, amplitude in _octaves(octaves, persistence, lacunarity):
        along_x = _Cells(columns, frequency, repeat_x, base)
        along_y = _Cells(rows, frequency, repeat_y, base)
        total += _at_points(along_x, along_y) * amplitude
        amplitudes += amplitude
    return (total / amplitudes).reshape(shape)


def perlin_noise_grid(
    x: ArrayLike,
    y: ArrayLike,
    octaves: int = 1,
    persistence: float = 0.5,
    lacunarity: float = 2.0,
    repeat_x: float = 1024.0,
    repeat_y: float = 1024.0,
    base: int = 0,
    out: NDArray[np.float64] | None = None,
) -> NDArray[np.float64]:
    """Return Perlin noise on the grid of all pairs of `x` and `y`.

    Within a row of cells the noise is a sum of four products, each of a function of y with a
    function of x: one small matrix product a row of cells, in place of a loop over pixels. The
    products are of float64, so that processors whose matrix products round differently still
    agree to 1e-15.

    Parameters
    ----------
    x, y
        Coordinates in cells, (W,) and (H,), in any order; fastest where they ascend.
    octaves, persistence, lacunarity, repeat_x, repeat_y, base
        As in :func:`perlin_noise`. A negative persistence cancels amplitudes and magnifies the
        rounding of `noise`, so that only :func:`perlin_noise` follows it there.
    out
        (H, W) array to write into.

    Returns
    -------
    numpy.ndarray
        (H, W) float64, within [-1, 1].

    Raises
    ------
    OptionError
        As in :func:`perlin_noise`.
    """
    columns, rows = _float32(x), _float32(y)
    total, amplitudes = np.empty((rows.size, columns.size)) if out is None else out, 0.0
    for number, (frequency, amplitude) in enumerate(_octaves(octaves, persistence, lacunarity)):
        along_x = _Cells(columns, frequency, repeat_x, base)
        along_y = _Cells(rows, frequency, repeat_y, base)
        if number == 0:
            _on_grid(along_x, along_y, total)
        else:
            total += float(amplitude) * _on_grid(along_x, along_y, np.empty_like(total))
        amplitudes += float(amplitude)
    if octaves > 1:
        total /= amplitudes
    return total


def _float32(coordinates: ArrayLike) -> NDArray[np.float32]:
    with np.errstate(over="ignore"):  # what becomes infinite is refused later
        return np.asarray(coordinates, np.float32)


def _octaves(
    octaves: int, persistence: float, lacunarity: float
) -> Iterator[tuple[np.float32, np.float32]]:
    """Yield the frequency and the amplitude of each octave, in float32 as `noise` has them."""
    if octaves < 1:
        raise OptionError(f"Perlin noise needs at least one octave, found octaves = {octaves}")
    frequencies, amplitudes = [np.float32(1)], [np.float32(1)]
    with np.errstate(over="ignore"):
        for _ in range(octaves - 1):
            frequencies.append(frequencies[-1] * np.float32(lacunarity))
            amplitudes.append(amplitudes[-1] * np.float32(persistence))
        total = np.add.accumulate(np.array(amplitudes, np.float32))[-1]
    if total == 0 or not np.isfinite(total):
        raise OptionError(
            f"the amplitudes of {octaves} octaves of Perlin noise with persistence {persistence} "
            f"add up to {total:g}; expected a finite sum other than zero"
        )
    yield from zip(frequencies, amplitudes, strict=True)


class _Cells:
    """The cell of each coordinate, and where in its cell it lies.

    Attributes
    ----------
    low, high
        Lattice points on both sides, modulo 256, uint8.
    inside
        Distance from the lower one, 0 to 1, float32.
    fade
        Weight of the upper one: 6 t^5 - 15 t^4 + 10 t^3, in float32 and in the order in which
        `noise` computes it, because rounding amounts to 1e-6 near the upper end.
    """

    def __init__(
        self, coordinates: NDArray[np.float32], frequency: np.float32, repeat: float, base: int
    ) -> None:
        if not (np.isfinite(repeat) and repeat > 0):
            raise OptionError(f"Perlin noise repeats after a positive number, found {repeat}")
        with np.errstate(over="ignore", invalid="ignore"):
            scaled = coordinates * frequency
            period = np.float32(repeat) * frequency
            wrapped = np.fmod(scaled, period)
        if not (np.abs(wrapped) < CELL_LIMIT).all():
            raise OptionError(
                "a coordinate of Perlin noise is not a finite number below 2^31 cells in every "
                "octave; use smaller coordinates, fewer octaves or a smaller lacunarity"
            )
        cell = np.floor(wrapped).astype(np.int64)
        # Towards zero, as C does it, which matters where the period is no whole number.
        following = np.fmod((cell + 1).astype(np.float32), period).astype(np.int64)
        self.low = ((cell + base) & 255).astype(np.uint8)
        self.high = ((following + base) & 255).astype(np.uint8)
        t = scaled - np.floor(scaled)
        six, fifteen, ten = np.float32(6), np.float32(15), np.float32(10)
        self.inside = t
        self.fade = t * t * t * (t * (t * six - fifteen) + ten)


def _at_points(along_x: _Cells, along_y: _Cells) -> NDArray[np.float32]:
    one = np.float32(1)

    def towards(column: NDArray[np.uint8], row: NDArray[np.uint8], dx: Any, dy: Any) -> Any:
        place = PERMUTATION[column] + row
        return dx * SLOPE_X[place] + dy * SLOPE_Y[place]

    def between(row: NDArray[np.uint8], dy: Any) -> Any:
        u = along_x.inside
        first, second = towards(along_x.low, row, u, dy), towards(along_x.high, row, u - one, dy)
        return first + along_x.fade * (second - first)

    first = between(along_y.low, along_y.inside)
    second = between(along_y.high, along_y.inside - one)
    return np.asarray(first + along_y.fade * (second - first), np.float32)


def _on_grid(along_x: _Cells, along_y: _Cells, out: NDArray[np.float64]) -> NDArray[np.float64]:
    """Write the noise of one octave into `out`, (H, W), and return it."""
    if not out.size:
        return out
    changes = (np.diff(along_y.low) != 0) | (np.diff(along_y.high) != 0)
    starts = np.concatenate([[0], np.flatnonzero(changes) + 1])
    ends = np.append(starts[1:], len(along_y.low))
    points, place = np.unique(
        np.concatenate([along_y.low[starts], along_y.high[starts]]), return_inverse=True
    )
    # (cells, 4, W): level and slope on the lower and on the upper row of lattice points.
    columns = _lattice_rows(along_x, points)[place.reshape(2, -1).T].reshape(len(starts), 4, -1)
    v, fade = along_y.inside.astype(np.float64), along_y.fade.astype(np.float64)
    rows = np.stack([1 - fade, (1 - fade) * v, fade, fade * (v - 1)], axis=1)
    for start, end, products in zip(starts, ends, columns, strict=True):
        np.matmul(rows[start:end], products, out=out[start:end])
    return out


def _lattice_rows(along_x: _Cells, points: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return the noise on rows of lattice points, and its slope along y: (points, 2, W)."""
    u, fade = along_x.inside.astype(np.float64), along_x.fade.astype(np.float64)
    first = PERMUTATION[along_x.low] + points[:, None]
    second = PERMUTATION[along_x.high] + points[:, None]
    found = np.empty((len(points), 2, len(u)))
    np.multiply((1 - fade) * u, SLOPE_X[first], out=found[:, 0])
    found[:, 0] += (fade * (u - 1)) * SLOPE_X[second]
    np.multiply(1 - fade, SLOPE_Y[first], out=found[:, 1])
    found[:, 1] += fade * SLOPE_Y[second]
    return found
