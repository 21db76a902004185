"""Twins: their lines are the labels, they look like the image, and bad input is explained."""

from __future__ import annotations

import base64
import json

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.spatial import cKDTree

from defectscope import FormatError, InputError, OptionError
from defectscope.core.geometry.polylines import polyline_length
from defectscope.core.geometry.splines import spline_through
from defectscope.core.line_profiles import measure_lines
from defectscope.core.options import validate_options
from defectscope.generators.line_contrast import LineStyle
from defectscope.generators.line_painting import paint_lines
from defectscope.generators.slip_traces import paint_trace
from defectscope.generators.texture import Texture
from defectscope.generators.twin import Twin, TwinOptions
from defectscope.generators.twin_measuring import grain_size, measured_lines
from defectscope.plugins.testing import GeneratorConformance

RNG = np.random.default_rng
# Where the look does not matter, and need not be measured.
PLAIN = {"lines": "set", "background": "canvas"}
SHAPE = (200, 260)
# Three lines of a pile-up between two traces, and one alone.
PILEUP = [np.array([[x, 60], [x + 6, 90], [x + 4, 120], [x - 2, 150]]) for x in (60, 90, 120)]
SUPPORT = [*PILEUP, np.array([[170, 30], [200, 60], [245, 70]])]
STYLES = [
    LineStyle("dark", 0.24, 3.0, roughness=0.2),
    LineStyle("dark", 0.16, 5.0),
    LineStyle("dark", 0.2, 4.0),
    LineStyle("double", 0.18, 6.0, side=-1),
]
TRACE = np.array([[20.0, 60.0], [190.0, 60.0]])


def original(seed=0):
    """Return a textured image with the lines, and one of the two slip traces, painted on it."""
    pixels = Texture().render(SHAPE, RNG(seed))[0]
    rng = RNG(seed)
    paint_trace(pixels, TRACE, -0.12, 2.0, rng)
    paint_lines(pixels, [spline_through(s) for s in SUPPORT], STYLES, [1.0] * 4, rng)
    return pixels


def labelme(path, lines=SUPPORT, labels="dislocation", size=SHAPE, image="image.png", **more):
    labels = [labels] * len(lines) if isinstance(labels, str) else labels
    shapes = [
        {"label": name, "points": np.asarray(line).tolist(), "shape_type": "linestrip"}
        for line, name in zip(lines, labels, strict=True)
    ]
    document = {"shapes": shapes, "imagePath": image, "imageHeight": size[0],
                "imageWidth": size[1], "imageData": None, **more}  # fmt: skip
    path.write_text(json.dumps(document))
    return path


def write(path, pixels):
    cv2.imwrite(str(path), np.round(255 * pixels).astype(np.uint8))


@pytest.fixture(scope="module")
def labels(tmp_path_factory):
    folder = tmp_path_factory.mktemp("labels")
    write(folder / "image.png", original())
    return labelme(folder / "image.json")


def made(labels, **options):
    return Twin(validate_options(TwinOptions, {"labels": str(labels), **options}, "twin"))


def drawn(labels, shape=SHAPE, seed=1, number=0, **options):
    generator = made(labels, **options)
    generator.sample_number = number
    canvas = Texture().render(shape, RNG(seed + 100))[0]
    return canvas, generator.draw(canvas, RNG(seed)), generator.last_parameters


@pytest.fixture(scope="module")
def twin(labels):
    return drawn(labels)


@pytest.fixture
def conformance_labels(labels):
    TestConformance.options = {"labels": labels, "proportions": "crop"}


@pytest.mark.usefixtures("conformance_labels")
class TestConformance(GeneratorConformance):
    component = Twin


def test_a_twin_repeats_and_stays_in_range(labels, twin):
    canvas, truth, parameters = twin
    again, same, recorded = drawn(labels)
    np.testing.assert_array_equal(canvas, again)
    assert parameters == recorded
    assert json.loads(json.dumps(parameters)) == parameters
    assert canvas.dtype == np.float32
    assert canvas.min() >= 0
    assert canvas.max() <= 1
    assert len(truth) == len(same) == 4
    assert set(truth.defect_types) == set(Twin.defect_types)
    other = drawn(labels, seed=2)[0]
    assert not np.array_equal(canvas, other)


def test_the_truth_is_the_splines_through_the_labels(twin):
    truth = twin[1]
    for line, support in zip(truth.lines, SUPPORT, strict=True):
        exact = spline_through(support, 0.05)
        gaps = np.hypot(*(line[:, None] - exact[None]).transpose(2, 0, 1)).min(axis=1)
        assert gaps.max() < 0.05
        np.testing.assert_allclose(line[[0, -1]], support[[0, -1]], atol=1e-6)


def test_masks_and_measurements_belong_to_the_lines(twin):
    truth = twin[1]
    centres = np.stack(np.mgrid[: SHAPE[0], : SHAPE[1]][::-1], axis=-1) + 0.5
    for line, mask, width in zip(
        truth.lines, truth.masks, truth.measurements["width_px"], strict=True
    ):
        distance = cKDTree(line).query(centres)[0]
        dense = mask.to_dense(SHAPE)
        assert (dense & (distance > 0.9 * width)).sum() == 0
        assert dense[distance < 0.25 * width].mean() > 0.98


def test_lines_are_painted_where_the_truth_has_them_and_look_like_the_original(twin):
    canvas, truth, _ = twin
    paths = [spline_through(s) for s in SUPPORT]
    before, after = (measure_lines(p, paths) for p in (original(), canvas))
    for style, old, new in zip(STYLES, before, after, strict=True):
        assert new.kind == old.kind == style.contrast
        assert abs(new.contrast) == pytest.approx(abs(old.contrast), rel=0.25)
        assert abs(new.contrast) == pytest.approx(style.strength, rel=0.25)
        assert new.width_px == pytest.approx(style.width_px, rel=0.2)
        assert new.side == old.side
        assert np.abs(np.mean(new.shift_px)) < 0.5
    widths = [style.width_px for style in STYLES]
    np.testing.assert_allclose(truth.measurements["width_px"], widths, rtol=0.2)


def test_grain_in_lines_is_as_coarse_as_that_of_the_image(twin):
    # The texture is made with a sigma of 1.5 px and, weaker, 4.5 px.
    sizes = {line["roughness_px"] for line in twin[2]["lines"]}
    assert list(sizes) == [pytest.approx(1.6, abs=0.2)]
    white = RNG(0).normal(0, 1, (90, 90)).astype(np.float32)
    nothing = np.zeros((90, 90), bool)
    assert grain_size(white, nothing) == 0
    coarse = cv2.GaussianBlur(white, (0, 0), 2.0)
    assert grain_size(coarse, nothing) == pytest.approx(2, abs=0.15)
    assert grain_size(coarse, ~nothing) == 0


def test_the_background_has_the_brightness_and_grain_of_the_image(labels, twin):
    image, canvas = original(), twin[0]
    assert canvas.mean() == pytest.approx(image.mean(), abs=0.005)
    assert canvas.std() == pytest.approx(image.std(), rel=0.05)
    kept, _, _ = drawn(labels, background="canvas")
    plain = Texture().render(SHAPE, RNG(101))[0]
    # Nothing but the lines and traces differs.
    assert (kept == plain).mean() > 0.8
    assert (canvas == plain).mean() < 0.01


def test_a_measured_background_hides_what_was_drawn_before(labels):
    generator = made(labels)
    generator.draw(Texture().render(SHAPE, RNG(0))[0], RNG(1))
    assert generator.covered.shape == SHAPE
    assert generator.covered.all()
    kept = made(labels, background="canvas")
    kept.draw(Texture().render(SHAPE, RNG(0))[0], RNG(1))
    assert kept.covered is None


def test_grain_has_the_same_size(twin):
    def neighbours(pixels):
        rest = pixels - cv2.GaussianBlur(pixels, (0, 0), 10)
        return [float((rest[:, d:] * rest[:, :-d]).mean() / rest.var()) for d in (1, 3, 6)]

    corner = np.s_[160:, 100:]
    np.testing.assert_allclose(
        neighbours(twin[0][corner]), neighbours(original()[corner]), atol=0.12
    )


def test_the_slip_trace_that_can_be_seen_is_drawn(labels, twin):
    traces = twin[2]["traces"]
    assert len(traces) == 1
    ends = np.array(traces[0]["ends"])
    np.testing.assert_allclose(ends[:, 1], 60, atol=0.7)
    # It was painted from 20 to 190, fading over 12 px, and the pile-up's lines start at 60 to 120.
    assert ends[:, 0].min() == pytest.approx(25, abs=14)
    assert ends[:, 0].max() == pytest.approx(185, abs=20)
    assert traces[0]["grey"] == pytest.approx(-0.12, abs=0.05)
    assert drawn(labels, traces="none")[2]["traces"] == []


def test_labelled_slip_traces_are_drawn_and_are_no_defects(tmp_path):
    write(tmp_path / "image.png", original())
    names = ["dislocation"] * 4 + ["slip-trace"]
    labels = labelme(tmp_path / "a.json", [*SUPPORT, TRACE], names)
    _, truth, parameters = drawn(labels)
    assert len(truth) == 4
    assert len(parameters["traces"]) == 1
    np.testing.assert_allclose(parameters["traces"][0]["ends"], TRACE, atol=1.0)
    assert len(drawn(labels, traces="inferred")[2]["traces"]) == 1


def test_lines_of_a_set_look_need_no_image(tmp_path):
    labels = labelme(tmp_path / "a.json")
    options = {**PLAIN, "strength": 6, "width_px": 4}
    canvas, truth, parameters = drawn(labels, **options)
    assert parameters["image"] is None
    np.testing.assert_allclose(truth.measurements["width_px"], 4, rtol=0.25)
    np.testing.assert_allclose(truth.measurements["contrast"], 6, rtol=0.05)
    found = measure_lines(canvas, [spline_through(s) for s in SUPPORT])
    assert [line.kind for line in found] == ["dark"] * 4
    assert len(parameters["traces"]) == 2
    assert drawn(labels, **options, contrast="bright")[0].mean() > canvas.mean()


def test_set_lines_are_centred_on_the_truth(tmp_path):
    generator = made(
        labelme(tmp_path / "a.json"), lines="set", background="canvas", traces="none",
        strength=30, variation=0, roughness=0,
    )  # fmt: skip
    canvas = np.full(SHAPE, 0.6, np.float32)
    truth = generator.draw(canvas, RNG(0))
    for line in measure_lines(canvas, truth.lines, follow_px=0):
        assert line.fit.centre_px == pytest.approx(0, abs=0.05)
        # The least texture of a flat canvas is 0.01.
        assert line.contrast == pytest.approx(-0.3, rel=0.03)


coordinate = st.integers(2, 195)


@given(st.lists(st.tuples(coordinate, coordinate), min_size=2, max_size=7, unique=True))
@settings(max_examples=20, suppress_health_check=list(HealthCheck))
def test_any_labelled_line_is_in_the_truth_as_it_was_labelled(tmp_path, support):
    points = np.array(support, float)
    exact = spline_through(points, 0.1)
    if ((exact < 0) | (exact > 200)).any():
        return  # cut at the rim
    _, truth, _ = drawn(labelme(tmp_path / "a.json", [points]), (200, 260), **PLAIN)
    (line,) = truth.lines
    assert cKDTree(exact).query(line)[0].max() < 0.1
    assert cKDTree(line).query(points)[0].max() < 0.6
    assert truth.measurements["length_px"][0] == pytest.approx(polyline_length(exact), rel=0.01)


def test_contrast_can_keep_its_ratio_to_the_texture(labels):
    rough = Texture().options.model_copy(update={"grain_contrast": 0.09, "coarse_contrast": 0.04})
    contrasts = {}
    for unit in ("grey", "texture"):
        generator = made(labels, background="canvas", contrast_unit=unit)
        canvas = Texture(rough).render(SHAPE, RNG(0))[0]
        truth = generator.draw(canvas, RNG(0))
        contrasts[unit] = truth.measurements["contrast"]
    # The canvas is twice as rough as the image.
    np.testing.assert_allclose(contrasts["texture"] / contrasts["grey"], 2, rtol=0.3)


def test_other_sizes_show_the_image_scaled(labels):
    canvas, truth, _ = drawn(labels, (400, 520))
    for line, support in zip(truth.lines, SUPPORT, strict=True):
        exact = 2 * spline_through(support, 0.05)
        gaps = np.hypot(*(line[:, None] - exact[None]).transpose(2, 0, 1)).min(axis=1)
        assert gaps.max() < 0.1
    widths = [2 * style.width_px for style in STYLES]
    np.testing.assert_allclose(truth.measurements["width_px"], widths, rtol=0.25)
    assert canvas.shape == (400, 520)
    with pytest.raises(OptionError, match="give --size 260x200 or that size scaled"):
        drawn(labels, (256, 256))


def test_other_proportions_can_show_the_middle(labels):
    _, truth, parameters = drawn(labels, (300, 300), proportions="crop", lines="set")
    assert parameters["image"]["scaled_px"] == [390, 300]
    assert parameters["image"]["offset_px"] == [45, 0]
    for line, support in zip(truth.lines[:3], SUPPORT, strict=False):
        np.testing.assert_allclose(line[0], support[0] * 1.5 - [45, 0], atol=0.01)
    # The last line is cut at the rim.
    np.testing.assert_allclose(truth.lines[3][-1, 0], 300, atol=0.01)


def test_labels_of_a_folder_are_taken_in_turn(tmp_path):
    write(tmp_path / "image.png", original())
    for k, name in enumerate("abc"):
        labelme(tmp_path / f"{name}.json", SUPPORT[: k + 2])
    labelme(tmp_path / "empty.json", [])
    (tmp_path / "other.json").write_text('{"no": "labels"}')
    numbers = [len(drawn(tmp_path, number=n, **PLAIN)[1]) for n in range(4)]
    assert numbers == [2, 3, 4, 2]
    files = [drawn(tmp_path, number=n, **PLAIN)[2]["labels"]["file"] for n in (1, 2)]
    assert files == ["b.json", "c.json"]


def test_images_used_last_are_not_measured_again(tmp_path, monkeypatch):
    write(tmp_path / "image.png", original())
    for name in "abc":
        labelme(tmp_path / f"{name}.json", SUPPORT[:2])
    generator = made(tmp_path, traces="none", cached_images=2)
    measured = []
    monkeypatch.setattr(
        "defectscope.generators.twin.measured_lines",
        lambda *a: measured.append(1) or measured_lines(*a),
    )
    for number in (0, 1, 0, 1, 2, 1, 0):
        generator.sample_number = number
        generator.draw(np.full(SHAPE, 0.5, np.float32), RNG(0))
    assert len(measured) == 4


def test_labels_are_chosen_by_name(tmp_path):
    write(tmp_path / "image.png", original())
    labels = labelme(tmp_path / "a.json", labels=["a", "b", "a", "c"])
    _, truth, parameters = drawn(labels, label="a", **PLAIN)
    assert len(truth) == 2
    assert [line["position"] for line in parameters["lines"]] == [0, 2]
    with pytest.raises(FormatError, match=r"no line with the label 'd'; labels .* are: a, b, c"):
        drawn(labels, label="d")
    traces_only = labelme(tmp_path / "b.json", [TRACE], "slip-trace")
    with pytest.raises(FormatError, match="no line but slip traces"):
        drawn(traces_only)


def test_the_image_is_found_where_labelme_says_or_where_the_option_does(tmp_path):
    (tmp_path / "labels").mkdir()
    (tmp_path / "images").mkdir()
    write(tmp_path / "images/image.png", original())
    labels = labelme(tmp_path / "labels/a.json", image="..\\images\\image.png")
    assert drawn(labels, lines="set")[2]["image"]["file"] == "image.png"
    elsewhere = labelme(tmp_path / "labels/b.json", image="gone/image.png")
    for image in ("images", "images/image.png"):
        options = {"image": str(tmp_path / image), "lines": "set"}
        assert len(drawn(elsewhere, **options)[1]) == 4
    with pytest.raises(OptionError, match="labels holds several labelme files"):
        drawn(tmp_path / "labels", image=str(tmp_path / "images/image.png"))


def test_the_image_inside_a_labelme_file_will_do(tmp_path):
    packed = cv2.imencode(".png", np.round(255 * original()).astype(np.uint8))[1].tobytes()
    data = base64.b64encode(packed).decode()
    labels = labelme(tmp_path / "a.json", image="raw.tif", imageData=data)
    assert len(drawn(labels, lines="set")[1]) == 4
    broken = labelme(tmp_path / "b.json", imageData="?")
    with pytest.raises(FormatError, match="'imageData' is no image"):
        drawn(broken)


def test_other_kinds_of_images_are_refused(tmp_path):
    (tmp_path / "image.dm3").write_bytes(b"microscope")
    labels = labelme(tmp_path / "a.json", image="image.dm3")
    with pytest.raises(InputError, match=r"images that end in \.png, \.jpg"):
        drawn(labels)


def test_missing_and_wrong_images_are_explained(tmp_path):
    labels = labelme(tmp_path / "a.json")
    with pytest.raises(InputError, match=r"labels the image image\.png, which is not in"):
        drawn(labels)
    write(tmp_path / "image.png", original()[:100])
    with pytest.raises(FormatError, match=r"260 x 200 px, but .* has 260 x 100 px"):
        drawn(labels)
    (tmp_path / "image.png").write_bytes(b"no image")
    with pytest.raises(InputError, match="cannot be decoded"):
        drawn(labels)
    write(tmp_path / "image.png", Texture().render(SHAPE, RNG(9))[0])
    with pytest.raises(InputError, match="none of the 2 labelled lines stands out"):
        drawn(labelme(tmp_path / "b.json", [[[20, 180], [60, 190]], [[90, 20], [130, 24]]]))


@pytest.mark.parametrize(
    ("document", "error", "message"),
    [
        (None, InputError, "there is no labelme file"),
        ("{", FormatError, "malformed JSON"),
        ('{"a": 1}', FormatError, "no labelme file: it has no 'shapes'"),
        ('{"shapes": [], "imageHeight": 9, "imageWidth": 9}', FormatError, "hold no line"),
    ],
)
def test_malformed_labels_are_refused(tmp_path, document, error, message):
    path = tmp_path / "a.json"
    if document is not None:
        path.write_text(document)
    with pytest.raises(error, match=message):
        made(path).open()


def test_labels_must_be_named_and_lines_have_a_length(tmp_path):
    with pytest.raises(OptionError, match=r"--set twin\.labels=FILE"):
        Twin().open()
    with pytest.raises(FormatError, match="line without length"):
        made(labelme(tmp_path / "a.json", [[[5, 5], [5, 5]]])).open()


@pytest.mark.parametrize(
    ("lines", "option", "value"),
    [
        ("measured", "contrast", "bright"),
        ("measured", "strength", 3),
        ("measured", "width_px", 5),
        ("measured", "trace_strength", 2),
        ("set", "contrast_unit", "texture"),
        ("set", "follow_px", 3),
    ],
)
def test_options_of_the_other_lines_are_refused(lines, option, value):
    with pytest.raises(OptionError, match=f"{option} .* changes nothing with lines={lines}; give"):
        made("none.json", lines=lines, **{option: value})
    other = "set" if lines == "measured" else "measured"
    assert made("none.json", lines=other, **{option: value})
