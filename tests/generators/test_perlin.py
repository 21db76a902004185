"""Perlin noise: the values of the ``noise`` package, on points and on grids."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from defectscope import OptionError
from defectscope.generators.perlin import perlin_noise, perlin_noise_grid

TOLERANCE = 1e-6
# x, y, octaves, persistence, lacunarity, base, and what noise 1.2.2 gives (x86-64, gcc).
GOLDEN = [
    (0.5, 0.25, 1, 0.5, 2.0, 0, -0.03881836),
    (0.5, 0.25, 1, 0.5, 2.0, 1, 0.53881836),
    (0.5, 0.25, 4, 0.5, 2.0, 0, -0.08736979),
    (0.5, 0.25, 3, 0.7, 2.7, 1, 0.28334382),
    (-0.5, -3.75, 1, 0.5, 2.0, 0, -0.32763672),
    (-0.5, -3.75, 1, 0.5, 2.0, 1, 0.27587891),
    (-0.5, -3.75, 4, 0.5, 2.0, 1, 0.28046876),
    (-0.5, -3.75, 3, 0.7, 2.7, 0, -0.24577077),
    (255.5, 255.9, 1, 0.5, 2.0, 0, -0.19828466),
    (255.5, 255.9, 1, 0.5, 2.0, 1, -0.04957495),
    (255.5, 255.9, 4, 0.5, 2.0, 0, -0.07781526),
    (255.5, 255.9, 3, 0.7, 2.7, 1, -0.10382316),
    (256.25, -256.75, 1, 0.5, 2.0, 0, -0.20895767),
    (256.25, -256.75, 1, 0.5, 2.0, 1, 0.19288445),
    (256.25, -256.75, 4, 0.5, 2.0, 1, 0.20287171),
    (256.25, -256.75, 3, 0.7, 2.7, 0, -0.06388691),
    (1023.5, 1024.5, 1, 0.5, 2.0, 0, -0.5),
    (1023.5, 1024.5, 1, 0.5, 2.0, 1, 0.125),
    (1023.5, 1024.5, 4, 0.5, 2.0, 0, -0.26666668),
    (1023.5, 1024.5, 3, 0.7, 2.7, 1, -0.05793098),
    (-1024.0, 0.3, 1, 0.5, 2.0, 0, 0.0),
    (-1024.0, 0.3, 1, 0.5, 2.0, 1, 0.25107601),
    (-1024.0, 0.3, 4, 0.5, 2.0, 1, 0.17267413),
    (-1024.0, 0.3, 3, 0.7, 2.7, 0, 0.00173914),
    (10000.3, -7700.0, 1, 0.5, 2.0, 0, 0.25098997),
    (10000.3, -7700.0, 1, 0.5, 2.0, 1, 0.36499697),
    (10000.3, -7700.0, 4, 0.5, 2.0, 0, 0.22184834),
    (10000.3, -7700.0, 3, 0.7, 2.7, 1, 0.23388189),
    (37.1, -81.9, 1, 0.5, 2.0, 0, -0.11533257),
    (37.1, -81.9, 1, 0.5, 2.0, 1, 0.10776077),
    (37.1, -81.9, 4, 0.5, 2.0, 1, 0.00534211),
    (37.1, -81.9, 3, 0.7, 2.7, 0, -0.13955082),
    (244.002, 246.353, 1, 0.5, 2.0, 0, -0.00104007),
    (244.002, 246.353, 1, 0.5, 2.0, 1, -0.11315601),
    (244.002, 246.353, 4, 0.5, 2.0, 0, -0.01304869),
    (244.002, 246.353, 3, 0.7, 2.7, 1, 0.00878646),
    (12.26, -171.359, 1, 0.5, 2.0, 0, -0.5011676),
    (12.26, -171.359, 1, 0.5, 2.0, 1, 0.02109128),
    (12.26, -171.359, 4, 0.5, 2.0, 1, 0.07942574),
    (12.26, -171.359, 3, 0.7, 2.7, 0, -0.31376991),
    (-356.855, -93.305, 1, 0.5, 2.0, 0, -0.02019805),
    (-356.855, -93.305, 1, 0.5, 2.0, 1, 0.28009987),
    (-356.855, -93.305, 4, 0.5, 2.0, 0, 0.15772541),
    (-356.855, -93.305, 3, 0.7, 2.7, 1, 0.13944732),
    (-73.221, -363.78, 1, 0.5, 2.0, 0, -0.09616817),
    (-73.221, -363.78, 1, 0.5, 2.0, 1, -0.38167328),
    (-73.221, -363.78, 4, 0.5, 2.0, 1, -0.1356795),
    (-73.221, -363.78, 3, 0.7, 2.7, 0, 0.00856581),
]

coordinates = st.floats(-3000, 3000, width=32) | st.integers(-3000, 3000).map(float)
octave_settings = st.fixed_dictionaries(
    {
        "octaves": st.integers(1, 8),
        "persistence": st.floats(0.05, 2),
        "lacunarity": st.floats(0.5, 3),
        "base": st.sampled_from([0, 1]),
    }
)
periods = st.floats(1, 5000) | st.just(1024.0)


@pytest.fixture(scope="module")
def pnoise2():
    package = pytest.importorskip(
        "noise", reason="the package noise, the reference, is not installed (needs a C compiler)"
    )
    return package.pnoise2


@pytest.mark.parametrize("row", GOLDEN, ids=str)
def test_stored_values_of_noise(row):
    x, y, octaves, persistence, lacunarity, base, expected = row
    given_octaves = {"octaves": octaves, "persistence": persistence, "lacunarity": lacunarity}
    found = perlin_noise(x, y, **given_octaves, base=base)
    on_grid = perlin_noise_grid([x], [y], **given_octaves, base=base)
    assert float(found) == pytest.approx(expected, abs=TOLERANCE)
    assert on_grid[0, 0] == pytest.approx(expected, abs=TOLERANCE)


@settings(max_examples=200)
@given(
    points=st.lists(st.tuples(coordinates, coordinates), min_size=1, max_size=20),
    chosen=octave_settings,
    repeat_x=periods,
    repeat_y=periods,
)
def test_points_agree_with_noise(pnoise2, points, chosen, repeat_x, repeat_y):
    expected = [pnoise2(x, y, **chosen, repeatx=repeat_x, repeaty=repeat_y) for x, y in points]
    x, y = np.array(points).T
    found = perlin_noise(x, y, **chosen, repeat_x=repeat_x, repeat_y=repeat_y)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=TOLERANCE, rtol=0)


@settings(max_examples=150)
@given(
    x=st.lists(coordinates, min_size=1, max_size=12),
    y=st.lists(coordinates, min_size=1, max_size=12),
    ascending=st.booleans(),
    chosen=octave_settings,
    repeat=periods,
)
def test_grids_agree_with_noise(pnoise2, x, y, ascending, chosen, repeat):
    if ascending:
        x, y = sorted(x), sorted(y)
    expected = [[pnoise2(a, b, **chosen, repeatx=repeat, repeaty=repeat) for a in x] for b in y]
    found = perlin_noise_grid(x, y, **chosen, repeat_x=repeat, repeat_y=repeat)
    np.testing.assert_allclose(found, expected, atol=TOLERANCE, rtol=0)


@pytest.mark.parametrize("wavelength_px", [10.0, 33.3, 100.0])
@pytest.mark.parametrize("base", [0, 1])
def test_whole_images_agree_with_noise(pnoise2, wavelength_px, base):
    x = np.arange(96) / wavelength_px + 251.7
    y = np.arange(64) / wavelength_px - 2.3
    expected = [[pnoise2(a, b, base=base) for a in x] for b in y]
    np.testing.assert_allclose(perlin_noise_grid(x, y, base=base), expected, atol=TOLERANCE, rtol=0)


@pytest.mark.parametrize("octaves", [1, 5])
def test_grid_and_points_are_one_noise(octaves):
    x, y = np.arange(200) / 13.7 + 77.7, np.arange(150) / 41.1 + 250.0
    on_grid = perlin_noise_grid(x, y, octaves)
    assert on_grid.shape == (150, 200)
    np.testing.assert_allclose(
        on_grid, perlin_noise(x, y[:, None], octaves), atol=TOLERANCE, rtol=0
    )


def test_bases_wrap_modulo_256_and_move_the_lattice():
    x, y = np.linspace(0, 9, 40), np.linspace(3, 7, 30)
    for base in (2, 97, 255):
        shifted = perlin_noise_grid(x + base, y + base)
        np.testing.assert_allclose(perlin_noise_grid(x, y, base=base), shifted, atol=1e-4)
        for turns in (-1, 1, 3):
            again = perlin_noise_grid(x, y, base=base + 256 * turns)
            np.testing.assert_array_equal(again, perlin_noise_grid(x, y, base=base))


def test_the_noise_is_zero_on_lattice_points_and_within_one():
    lattice = np.arange(-20, 300)
    assert not perlin_noise(lattice, lattice[:, None]).any()
    field = perlin_noise_grid(np.arange(2560) / 10, np.arange(2560) / 10)
    assert np.abs(field).max() <= 1
    assert abs(field.mean()) < 0.01
    assert 0.2 < field.std() < 0.3


def test_shapes_broadcast_and_empty_grids_stay_empty():
    assert perlin_noise(np.zeros((3, 1)), np.zeros(4)).shape == (3, 4)
    assert perlin_noise(0.5, 0.5).shape == ()
    assert perlin_noise_grid([], [1.0]).shape == (1, 0)
    assert perlin_noise_grid([1.0], []).shape == (0, 1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"octaves": 0}, "at least one octave, found octaves = 0"),
        ({"octaves": 2, "persistence": -1}, "add up to 0"),
        ({"octaves": 200}, "not a finite number"),
        ({"repeat_x": 0}, "after a positive number, found 0"),
        ({"repeat_y": float("nan")}, "after a positive number"),
    ],
)
def test_impossible_octaves_are_refused(options, message):
    with pytest.raises(OptionError, match=message):
        perlin_noise(0.5, 0.5, **options)
    with pytest.raises(OptionError, match=message):
        perlin_noise_grid([0.5], [0.5], **options)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e300])
def test_coordinates_must_be_finite(value):
    with pytest.raises(OptionError, match="not a finite number"):
        perlin_noise(value, 0.0)
