"""Painted loops: the half level, the mask and the centre agree with the ellipse."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.ndimage import map_coordinates

from defectscope.core.geometry.ellipses import ellipse_area, ellipse_boxes, ellipse_points
from defectscope.generators.loop_painting import Loop, painted

SHAPE = (160, 200)
LOOKS = ("open-ellipse", "double-ring", "edge-on", "black-dot", "filled")


def loop(look: str = "filled", **values: object) -> Loop:
    standard = {
        "defect_type": "dislocation-loop", "look": look, "x": 100.3, "y": 80.7, "major_px": 60.0,
        "minor_px": 40.0, "angle_deg": 30.0, "contrast": 5.0, "edge_px": 2.0, "harmonics": [],
        "gap_px": 8.0, "inner": 0.6,
    }  # fmt: skip
    return Loop.model_validate({**standard, **values})


def depth_image(one: Loop) -> np.ndarray:
    image = np.zeros(SHAPE, np.float32)
    place, depth, _ = painted(one, SHAPE)
    image[place] = depth
    return image


def at(image: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Return the image at points x, y; pixel centres lie at half integers."""
    return map_coordinates(image, (points[:, ::-1] - 0.5).T, order=3)


@pytest.mark.parametrize("look", LOOKS)
@pytest.mark.parametrize("fill", [0.0, 0.7])
def test_half_of_the_contrast_lies_on_the_ellipse(look: str, fill: float) -> None:
    one = loop(look, fill=fill)
    image = depth_image(one)
    ellipse = one.x, one.y, one.major_px, one.minor_px, one.angle_deg
    centre, rim = np.array([one.x, one.y]), ellipse_points(*ellipse)
    outward = (rim - centre) / np.linalg.norm(rim - centre, axis=1, keepdims=True)
    offsets = np.linspace(-3, 3, 61)
    profiles = np.stack([at(image, rim + o * outward) for o in offsets])
    crossing = offsets[np.abs(profiles - 0.5).argmin(axis=0)]
    assert image.max() == pytest.approx(1.0, abs=0.03)
    assert np.abs(crossing).max() <= 0.1 + 1e-9


def test_nothing_changes_the_half_level_but_the_contrast_around_the_loop() -> None:
    harmonics = [(1, 0.4, 0.5), (2, 0.3, 2.0)]
    plain, varied = loop("open-ellipse"), loop("open-ellipse", harmonics=harmonics)
    rim = ellipse_points(plain.x, plain.y, plain.major_px, plain.minor_px, plain.angle_deg, 200)
    levels = at(depth_image(varied), rim)
    assert at(depth_image(plain), rim) == pytest.approx(0.5, abs=0.01)
    # The strongest place keeps the contrast; another one is much fainter.
    assert levels.max() == pytest.approx(0.5, abs=0.02)
    assert levels.min() < 0.3


@settings(max_examples=60)
@example(x=60.5625, y=60.1875, major=8.0, aspect=0.2, angle=0.0)
@given(
    x=st.floats(60, 140), y=st.floats(60, 100), major=st.floats(8, 90),
    aspect=st.floats(0.2, 1), angle=st.floats(0, 180),
)  # fmt: skip
def test_mask_has_the_area_and_the_centre_of_the_ellipse(
    x: float, y: float, major: float, aspect: float, angle: float
) -> None:
    # Not on a symmetric place of the grid, where pixels come in equally deep groups.
    x, y = x + 0.12345, y + 0.27183
    minor = max(4.0, aspect * major)
    one = loop(x=x, y=y, major_px=max(major, minor), minor_px=minor, angle_deg=angle)
    _, _, mask = painted(one, SHAPE)
    area = float(ellipse_area(one.major_px, one.minor_px))
    assert mask.area_px == pytest.approx(area, rel=0.02, abs=0.6)
    rows, columns = np.nonzero(mask.bitmap)
    centroid = np.array([columns.mean() + mask.x, rows.mean() + mask.y]) + 0.5
    # Of the two dozen pixels of the smallest, one more on a side moves the centroid by a sixth.
    assert np.abs(centroid - [x, y]).max() < (0.35 if minor >= 6 else 0.5)
    assert mask.box == pytest.approx(ellipse_boxes(x, y, one.major_px, minor, angle)[0], abs=1.6)


def test_on_a_symmetric_place_the_mask_is_symmetric() -> None:
    _, _, mask = painted(loop(x=60.0, y=60.0, major_px=8.0, minor_px=8.0), SHAPE)
    np.testing.assert_array_equal(mask.bitmap, mask.bitmap[::-1])
    np.testing.assert_array_equal(mask.bitmap, mask.bitmap.T)
    assert mask.area_px == pytest.approx(float(ellipse_area(8, 8)), abs=4)


@settings(max_examples=30)
@given(x=st.floats(60, 140), y=st.floats(60, 100), angle=st.floats(0, 180))
def test_painted_depth_has_its_centre_of_mass_at_the_centre(
    x: float, y: float, angle: float
) -> None:
    image = depth_image(loop(x=x, y=y, angle_deg=angle, edge_px=3.0)).astype(float)
    rows, columns = np.indices(SHAPE) + 0.5
    found = [(columns * image).sum() / image.sum(), (rows * image).sum() / image.sum()]
    assert found == pytest.approx([x, y], abs=0.02)


def test_a_tail_darkens_one_side_only() -> None:
    plain = depth_image(loop())
    tailed = depth_image(loop(tail=0.3, tail_deg=90.0, tail_px=20.0))
    added = tailed - plain
    rows = np.indices(SHAPE)[0][added > 0.1]
    assert added.max() <= 0.31
    assert len(rows) > 100
    # 90 degrees points up.
    assert rows.mean() < 80.7 - 10


def test_a_loop_is_cut_at_the_rim() -> None:
    place, depth, mask = painted(loop(x=5.0, y=80.0), SHAPE)
    assert place[1].start == 0
    assert depth.shape == (place[0].stop - place[0].start, place[1].stop)
    assert mask.x == 0
    assert 0 < mask.area_px < float(ellipse_area(60, 40)) * 0.8


def test_a_loop_outside_leaves_nothing() -> None:
    _, depth, mask = painted(loop(x=-500.0), SHAPE)
    assert depth.size == 0
    assert mask.area_px == 0


def test_a_loop_larger_than_the_image_covers_it() -> None:
    _, depth, mask = painted(loop(major_px=1e5, minor_px=1e5), SHAPE)
    assert depth.shape == SHAPE
    assert mask.area_px == SHAPE[0] * SHAPE[1]


def mean_depth(**values: object) -> np.ndarray:
    """Return the mean depth over many grains."""
    images = [depth_image(loop(grain_seed=seed, **values)) for seed in range(60)]
    return np.mean(images, axis=0)


@pytest.mark.parametrize("look", LOOKS)
@pytest.mark.parametrize(
    "values", [{"mottle": 0.4}, {"rough_px": 1.5}, {"mottle": 0.3, "rough_px": 1.0}]
)
def test_mottled_and_rough_loops_lie_on_the_ellipse_on_average(
    look: str, values: dict[str, float]
) -> None:
    one = loop(look)
    rim = ellipse_points(one.x, one.y, one.major_px, one.minor_px, one.angle_deg, 200)
    plain = at(depth_image(one), rim)
    found = at(mean_depth(look=look, **values), rim)
    assert found.mean() == pytest.approx(plain.mean(), abs=0.025)
    # Each alone differs from it.
    single = at(depth_image(loop(look, **values)), rim)
    assert single.std() > plain.std() + 0.02


def test_a_rough_edge_wanders_by_as_much_as_it_says() -> None:
    plain = loop(edge_px=1.0)
    rim = ellipse_points(plain.x, plain.y, plain.major_px, plain.minor_px, plain.angle_deg, 90)
    centre = np.array([plain.x, plain.y])
    outward = (rim - centre) / np.linalg.norm(rim - centre, axis=1, keepdims=True)
    offsets = np.linspace(-4, 4, 41)
    found = []
    for seed in range(10):
        image = depth_image(loop(edge_px=1.0, rough_px=1.0, grain_seed=seed))
        profiles = np.stack([at(image, rim + o * outward) for o in offsets])
        found.append(offsets[np.abs(profiles - 0.5).argmin(axis=0)])
    assert np.mean(found) == pytest.approx(0, abs=0.15)
    assert np.std(found) == pytest.approx(1.0, abs=0.3)


def test_the_grain_is_that_of_its_seed_and_changes_neither_mask_nor_range() -> None:
    values = {"mottle": 1.0, "rough_px": 5.0}
    place, depth, mask = painted(loop(grain_seed=1, **values), SHAPE)
    _, again, _ = painted(loop(grain_seed=1, **values), SHAPE)
    _, other, _ = painted(loop(grain_seed=2, **values), SHAPE)
    np.testing.assert_array_equal(depth, again)
    assert not np.array_equal(depth, other)
    assert depth.min() >= 0
    assert depth.max() <= 1
    smooth_place, _, smooth = painted(loop(), SHAPE)
    assert (mask.x, mask.y, place) == (smooth.x, smooth.y, smooth_place)
    np.testing.assert_array_equal(mask.bitmap, smooth.bitmap)


def test_a_grain_outside_of_the_image_is_nothing() -> None:
    _, depth, _ = painted(loop(x=-500.0, mottle=0.5, rough_px=1.0), SHAPE)
    assert depth.size == 0


@pytest.mark.parametrize("exponent", [2.0, 3.0, 6.0])
def test_a_bar_has_the_level_the_area_and_the_box_of_its_superellipse(exponent: float) -> None:
    one = loop("edge-on", major_px=70.0, minor_px=16.0, exponent=exponent, fill=0.9, edge_px=1.5)
    t = np.linspace(0, 2 * np.pi, 400, endpoint=False)
    p, q = (np.sign(f) * np.abs(f) ** (2 / exponent) for f in (np.cos(t), np.sin(t)))
    angle = np.deg2rad(one.angle_deg)
    x = one.x + 35 * p * np.cos(angle) + 8 * q * np.sin(angle)
    y = one.y - 35 * p * np.sin(angle) + 8 * q * np.cos(angle)
    assert one.box() == pytest.approx((x.min(), y.min(), x.max(), y.max()), abs=0.15)
    shoelace = 0.5 * abs(np.dot(x, np.roll(y, 1)) - np.dot(y, np.roll(x, 1)))
    assert one.area_px() == pytest.approx(shoelace, rel=0.01)
    _, _, mask = painted(one, SHAPE)
    assert mask.area_px == pytest.approx(shoelace, rel=0.01)
    # Corners are rounder than the line is wide, but for the sharpest.
    levels = at(depth_image(one), np.stack([x, y], axis=1))
    assert np.median(levels) == pytest.approx(0.5, abs=0.03)
    assert np.quantile(np.abs(levels - 0.5), 0.8) < 0.1
