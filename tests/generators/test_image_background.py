"""The background of real images: what is recorded is what was done, and bad folders are refused."""

from __future__ import annotations

import hashlib
import json
import pickle

import cv2
import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st

import defectscope as ds
from defectscope import InputError, OptionError
from defectscope.core.options import validate_options
from defectscope.generators.image_background import ImagePatches, ImagePatchesOptions
from defectscope.generators.image_folder import ImageFolder
from defectscope.plugins.testing import BackgroundConformance


def write(path, pixels):
    """Write an image; OpenCV takes colours in the order B, G, R."""
    if path.suffix.startswith(".tif"):
        tifffile.imwrite(path, pixels)
    else:
        assert cv2.imwrite(str(path), pixels)


def texture(shape, seed, dtype=np.uint8, high=255):
    return np.random.default_rng(seed).integers(0, high, shape, endpoint=True).astype(dtype)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Three images: 8 bits, 16 bits, and float."""
    folder = tmp_path_factory.mktemp("patches")
    write(folder / "a.png", texture((200, 240), 0))
    write(folder / "b.tif", texture((180, 230), 1, np.uint16, 4000))
    write(folder / "c.tiff", texture((190, 190), 2, np.float32, 7))
    (folder / "notes.txt").write_text("not an image")
    (folder / ".hidden.png").write_bytes(b"not an image either")
    return folder


@pytest.fixture(scope="module")
def conformance_folder(folder):
    TestImages.options = {"folder": folder}


@pytest.mark.usefixtures("conformance_folder")
class TestImages(BackgroundConformance):
    component = ImagePatches


def render(folder, shape=(96, 128), seed=0, **options):
    with ImagePatches(ImagePatchesOptions(folder=folder, **options)) as background:
        return background.render(shape, np.random.default_rng(seed))


def rebuilt(folder, patch, shape):
    """Return a patch from its record alone, written down once more and independently."""
    path = folder / patch["file"]
    stored = tifffile.imread(path) if "tif" in path.suffix else cv2.imread(str(path), -1)
    assert patch["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert patch["image_size_px"] == [stored.shape[1], stored.shape[0]]
    black, white = patch["black"], patch["white"]
    grey = np.clip((stored.astype(float) - black) / (white - black), 0, 1)
    if patch["magnified_size_px"] != patch["image_size_px"]:
        grey = cv2.resize(grey, patch["magnified_size_px"], interpolation=cv2.INTER_CUBIC)
    height, width = shape[::-1] if patch["turned_90_deg"] else shape
    x, y = patch["offset_px"]
    grey = np.pad(grey, [(0, 2 * n + s) for n, s in zip(grey.shape, (height, width), strict=True)],
                  mode="symmetric")  # fmt: skip
    grey = grey[y : y + height, x : x + width]
    if patch["turned_90_deg"]:
        grey = grey.T[::-1]  # counter-clockwise: the right edge comes to the top
    if patch["flipped_x"]:
        grey = grey[:, ::-1]
    return grey[::-1] if patch["flipped_y"] else grey


@pytest.mark.parametrize("small_images", ["refuse", "mirror", "magnify"])
@pytest.mark.parametrize("shape", [(96, 128), (170, 60), (16, 16)])
@pytest.mark.parametrize("seed", range(8))
def test_the_record_alone_rebuilds_the_pixels(folder, small_images, shape, seed):
    pixels, drawn = render(folder, shape, seed, small_images=small_images)
    drawn = json.loads(json.dumps(drawn))
    first, second = (rebuilt(folder, patch, shape) for patch in drawn["patches"])
    opacity = drawn["opacity"]
    expected = np.clip((1 - opacity) * first + opacity * second, 0, 1)
    np.testing.assert_allclose(pixels, expected, atol=1e-6)


@pytest.mark.parametrize("small_images", ["mirror", "magnify"])
@pytest.mark.parametrize("seed", range(6))
def test_small_images_fill_the_frame_by_option(folder, small_images, seed):
    shape = (500, 700)
    pixels, drawn = render(folder, shape, seed, small_images=small_images)
    assert pixels.shape == shape
    first, second = (rebuilt(folder, patch, shape) for patch in drawn["patches"])
    expected = (1 - drawn["opacity"]) * first + drawn["opacity"] * second
    np.testing.assert_allclose(pixels, np.clip(expected, 0, 1), atol=1e-6)
    if small_images == "magnify":
        for patch in drawn["patches"]:
            wide, high = patch["magnified_size_px"]
            window = shape if patch["turned_90_deg"] else shape[::-1]
            assert wide >= window[0]
            assert high >= window[1]
            assert wide == window[0] or high == window[1]


def test_every_choice_occurs_and_two_images_differ(folder):
    with ImagePatches(ImagePatchesOptions(folder=folder)) as background:
        rng = np.random.default_rng(4)
        drawn = [background.render((32, 32), rng)[1] for _ in range(150)]
    pairs = [tuple(patch["file"] for patch in d["patches"]) for d in drawn]
    assert len(set(pairs)) == 6
    assert all(first != second for first, second in pairs)
    patches = [patch for d in drawn for patch in d["patches"]]
    for choice in ("turned_90_deg", "flipped_x", "flipped_y"):
        assert 0.35 < np.mean([patch[choice] for patch in patches]) < 0.65
    offsets = np.array([p["offset_px"] for p in patches if p["file"] == "a.png"])
    assert offsets.min() >= 0
    assert (offsets.max(axis=0) <= [240 - 32, 200 - 32]).all()
    assert (offsets.max(axis=0) > [190, 150]).all()
    opacities = [d["opacity"] for d in drawn]
    assert 0.2 <= min(opacities) < 0.23
    assert 0.77 < max(opacities) <= 0.8


def test_flips_and_turns_can_be_switched_off(folder):
    for seed in range(10):
        _, drawn = render(folder, (32, 32), seed, flip=False, rotate=False)
        for patch in drawn["patches"]:
            choices = ("flipped_x", "flipped_y", "turned_90_deg")
            assert [patch[choice] for choice in choices] == [False] * 3


def test_a_single_image_gives_both_patches(tmp_path):
    write(tmp_path / "only.PNG", texture((80, 90), 3))
    _, drawn = render(tmp_path, (40, 40))
    assert [patch["file"] for patch in drawn["patches"]] == ["only.PNG", "only.PNG"]


def test_an_image_that_fits_only_turned_is_turned(tmp_path):
    write(tmp_path / "tall.png", texture((120, 50), 3))
    for seed in range(6):
        pixels, drawn = render(tmp_path, (50, 100), seed)
        assert pixels.shape == (50, 100)
        assert all(patch["turned_90_deg"] for patch in drawn["patches"])
    with pytest.raises(InputError, match="do not fill a frame of 100 x 50 px"):
        render(tmp_path, (50, 100), rotate=False)


def test_the_cache_changes_nothing_but_the_number_kept(folder):
    background = ImagePatches(ImagePatchesOptions(folder=folder, cached_images=2))
    copy = pickle.loads(pickle.dumps(background))
    rng, fresh = np.random.default_rng(9), np.random.default_rng(9)
    with background, copy:
        for _ in range(12):
            ours, _ = background.render((64, 64), rng)
            copy.close()
            np.testing.assert_array_equal(ours, copy.render((64, 64), fresh)[0])
        images = background._opened()
        for name in images.names:
            images.image(name)
        assert list(images._decoded) == ["b.tif", "c.tiff"]
        assert images.image("b.tif") is images.image("b.tif")


@pytest.mark.parametrize(
    ("dtype", "scaling", "limits"),
    [
        (np.uint8, "auto", (0, 255)),
        (np.uint8, "dtype", (0, 255)),
        (np.uint16, "dtype", (0, 65535)),
        (np.int16, "dtype", (-32768, 32767)),
        (np.uint16, "auto", None),
        (np.int16, "auto", None),
        (np.float32, "auto", None),
        (np.uint8, "range", None),
    ],
)
def test_what_becomes_black_and_white(tmp_path, dtype, scaling, limits):
    pixels = np.linspace(20, 120, 100 * 100).reshape(100, 100).astype(dtype)
    pixels[0, 0], pixels[-1, -1] = 0, 127  # a dead and a hot pixel
    write(tmp_path / "image.tif", pixels)
    image = ImageFolder(tmp_path, scaling).image("image.tif")
    assert image.pixels.dtype == dtype
    expected = limits or np.percentile(pixels, [0.1, 99.9])
    assert (image.black, image.white) == pytest.approx(tuple(expected))
    grey = image.scaled(image.pixels)
    assert grey.min() >= 0
    assert grey.max() <= 1
    if limits is None:
        assert grey.min() == 0
        assert grey.max() == 1


def test_full_depth_is_kept(tmp_path):
    pixels = np.arange(256 * 256, dtype=np.uint16).reshape(256, 256)
    write(tmp_path / "deep.png", pixels)
    write(tmp_path / "deep.tif", pixels)
    images = ImageFolder(tmp_path, "dtype")
    for name in images.names:
        image = images.image(name)
        np.testing.assert_array_equal(image.pixels, pixels)
        assert len(np.unique(image.scaled(image.pixels).astype(np.float32))) == 65536


def test_colours_alpha_and_bits_become_grey(tmp_path):
    grey = texture((30, 40), 0)
    write(tmp_path / "grey-alpha.png", np.dstack([grey, grey, grey, np.full_like(grey, 9)]))
    write(tmp_path / "grey-rgb.tif", np.dstack([grey] * 3))
    red = np.zeros((30, 40, 3), np.uint8)
    red[..., 2] = 200
    write(tmp_path / "red.png", red)
    tifffile.imwrite(tmp_path / "red.tif", red[..., ::-1], photometric="rgb")
    tifffile.imwrite(tmp_path / "bits.tif", grey > 100, photometric="minisblack")
    images = ImageFolder(tmp_path)
    np.testing.assert_array_equal(images.image("grey-alpha.png").pixels, grey)
    np.testing.assert_array_equal(images.image("grey-rgb.tif").pixels, grey)
    for name in ("red.png", "red.tif"):
        assert (images.image(name).pixels == 60).all()
    bits = images.image("bits.tif")
    np.testing.assert_array_equal(bits.scaled(bits.pixels), grey > 100)


def test_negatives_and_palettes_of_tiff_mean_what_they_say(tmp_path):
    grey = texture((40, 40), 4)
    tifffile.imwrite(tmp_path / "negative.tif", grey, photometric="miniswhite")
    palette = np.stack([np.arange(256, dtype=np.uint16)[::-1] * 257] * 3)
    tifffile.imwrite(tmp_path / "palette.tif", grey, photometric="palette", colormap=palette)
    images = ImageFolder(tmp_path)
    for name in ("negative.tif", "palette.tif"):
        np.testing.assert_array_equal(images.image(name).pixels, 255 - grey)
        # As they are read where they are analysed.
        (frame,) = ds.open(tmp_path / name)
        np.testing.assert_array_equal(images.image(name).pixels, frame.pixels)


@pytest.mark.parametrize(("photometric", "what"), [("separated", "CMYK"), ("cfa", "filter array")])
def test_colours_that_are_no_grey_are_refused(tmp_path, photometric, what):
    shape = (40, 40, 4) if photometric == "separated" else (40, 40)
    tifffile.imwrite(tmp_path / "a.tif", np.ones(shape, np.uint8), photometric=photometric)
    with pytest.raises(InputError, match=rf"a\.tif: expected grey or RGB values, found .*{what}"):
        ImageFolder(tmp_path).image("a.tif")


def test_an_even_image_is_mid_grey(tmp_path):
    write(tmp_path / "even.tif", np.full((40, 40), 7, np.uint16))
    pixels, _ = render(tmp_path, (30, 30))
    assert (pixels == 0.5).all()


@settings(max_examples=40)
@given(
    shape=st.tuples(st.integers(1, 300), st.integers(1, 300)),
    seed=st.integers(0, 1000),
    small_images=st.sampled_from(["mirror", "magnify"]),
)
def test_any_frame_is_filled(folder, shape, seed, small_images):
    pixels, _ = render(folder, shape, seed, small_images=small_images)
    assert pixels.shape == shape
    assert pixels.dtype == np.float32
    assert 0 <= pixels.min() <= pixels.max() <= 1


def test_no_folder_is_refused(tmp_path):
    with pytest.raises(OptionError, match=r"needs a folder .* --set images\.folder=FOLDER"):
        ImagePatches().render((20, 20), np.random.default_rng(0))
    with pytest.raises(InputError, match=r"there is no folder .*nowhere; name one"):
        render(tmp_path / "nowhere")
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="is a file; name the folder"):
        render(tmp_path / "file")


def test_a_folder_without_images_is_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("")
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(InputError, match=r"holds no image; expected files that end in \.png"):
        render(tmp_path)


def test_images_smaller_than_the_frame_are_refused_before_anything_is_drawn(folder):
    rng = np.random.default_rng(0)
    before = rng.bit_generator.state
    with (
        ImagePatches(ImagePatchesOptions(folder=folder)) as background,
        pytest.raises(
            InputError,
            match=r"2 of 3 images in .* a frame of 231 x 150 px \(b\.tif has 230 x 180\)",
        ),
    ):
        background.render((150, 231), rng)
    assert rng.bit_generator.state == before


@pytest.mark.parametrize("name", ["x.png", "x.jpg", "x.bmp", "x.tif"])
def test_a_file_that_is_no_image_is_refused(tmp_path, name):
    (tmp_path / name).write_bytes(b"not an image at all")
    with pytest.raises(InputError, match=rf"{name} cannot be read as an image"):
        render(tmp_path)


@pytest.mark.parametrize("name", ["x.png", "x.jpg", "x.tif"])
def test_a_file_cut_short_is_refused(tmp_path, name):
    write(tmp_path / name, texture((200, 200), 0))
    data = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(data[: len(data) // 2])
    with pytest.raises(InputError, match=rf"{name} cannot be"):
        render(tmp_path)


def test_stacks_and_values_that_are_not_grey_are_refused(tmp_path):
    tifffile.imwrite(tmp_path / "stack.tif", texture((3, 50, 60), 0), photometric="minisblack")
    with pytest.raises(InputError, match=r"stack\.tif is a stack of 3 images"):
        ImageFolder(tmp_path).image("stack.tif")
    write(tmp_path / "nan.tif", np.full((50, 60), np.nan, np.float32))
    with pytest.raises(InputError, match="not finite numbers"):
        ImageFolder(tmp_path).image("nan.tif")
    write(tmp_path / "waves.tif", np.ones((50, 60), np.complex64))
    with pytest.raises(InputError, match="found complex64 values of the shape 50 x 60"):
        ImageFolder(tmp_path).image("waves.tif")
    write(tmp_path / "wide.tif", np.full((50, 60), 3.5, np.float32))
    with pytest.raises(InputError, match=r"values from 3\.5 to 3\.5.*set scaling to range"):
        ImageFolder(tmp_path, "dtype").image("wide.tif")


def test_impossible_opacities_are_refused(tmp_path):
    given_options = {"folder": tmp_path, "opacity_low": 0.9}
    with pytest.raises(OptionError, match=r"opacity_high must not be below opacity_low = 0\.9"):
        validate_options(ImagePatchesOptions, given_options, "images")
