"""What is labelled lies in the frame and can be seen, measured on the pixels alone."""

from __future__ import annotations

import numpy as np
import pytest

from defectscope.plugins.host import default_host

# Contrast is measured here as the change of nine tenths of a mask's pixels, in standard deviations
# of the background within this distance of its box. The generators' own limits are means along
# lines (1.2) and peaks of loops (2.0) against windows of another size, hence the margin.
AROUND_PX = 24
LEAST_CONTRAST = {
    "dislocations": 1.2, "moving-dislocations": 1.0, "loops": 1.5, "in-situ-loops": 1.5,
}  # fmt: skip
# The contrast of in-situ loops is in grey, and made for calm backgrounds.
CASES = [
    (generator, background)
    for generator in LEAST_CONTRAST
    for background in ("texture", "foil", "perlin", "images")
    if (generator, background) not in (("in-situ-loops", "perlin"), ("in-situ-loops", "images"))
]
# Noise would count as contrast; many of the lines that move are too faint.
OPTIONS = {
    "in-situ-loops": {"noise": 0.0},
    "moving-dislocations": {"noise": 0.0, "contrast_low": 0.5},
}


@pytest.fixture(scope="module")
def patches(tmp_path_factory):
    """A folder of smooth patches, as somebody would cut out of their own images."""
    import cv2

    folder = tmp_path_factory.mktemp("patches")
    for number in range(3):
        noise = np.random.default_rng(number).standard_normal((320, 320))
        grain = cv2.GaussianBlur(noise, (0, 0), 2.5)
        pixels = np.clip(140 + 14 * grain / grain.std(), 0, 255).astype(np.uint8)
        cv2.imwrite(str(folder / f"{number}.png"), pixels)
    return folder


def drawn(generator, background, seed, patches, shape=(300, 320)):
    """Return the canvas before and after, and the truth."""
    options = {"folder": str(patches)} if background == "images" else {}
    with default_host().build("backgrounds", background, options) as component:
        before, _ = component.render(shape, np.random.default_rng(seed))
    after = before.copy()
    options = OPTIONS.get(generator, {})
    with default_host().build("generators", generator, options) as component:
        truth = component.draw(after, np.random.default_rng(seed + 50))
    return before, after, truth


def contrast(before, after, mask):
    x0, y0, x1, y1 = mask.box
    around = before[
        max(0, y0 - AROUND_PX) : y1 + AROUND_PX, max(0, x0 - AROUND_PX) : x1 + AROUND_PX
    ]
    change = np.abs(after - before)[y0:y1, x0:x1][mask.bitmap]
    return np.percentile(change, 90) / max(float(around.std()), 0.01)


@pytest.mark.parametrize(("generator", "background"), CASES)
@pytest.mark.parametrize("seed", range(3))
def test_every_labelled_instance_is_in_the_frame_and_visible(generator, background, seed, patches):
    before, after, truth = drawn(generator, background, seed, patches)
    height, width = before.shape
    assert len(truth)
    assert truth.image_shape == before.shape
    limits = [width, height, width, height]
    assert (truth.boxes >= 0).all()
    assert (truth.boxes <= limits).all()
    assert (truth.boxes[:, 2:] > truth.boxes[:, :2]).all()
    for mask in truth.masks:
        x0, y0, x1, y1 = mask.box
        assert 0 <= x0 < x1 <= width
        assert 0 <= y0 < y1 <= height
        assert mask.area_px
        assert contrast(before, after, mask) >= LEAST_CONTRAST[generator]
    for line in truth.lines or ():
        assert (line >= 0).all()
        assert (line <= limits[:2]).all()
    if "x" in truth.measurements:
        centres = np.stack([truth.measurements["x"], truth.measurements["y"]], axis=1)
        assert ((centres > 0) & (centres < limits[:2])).all()
