from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.stats import ks_2samp

from defectscope import OutputError
from defectscope.core.errors import FormatError, InputError
from defectscope.core.options import validate_options
from defectscope.generators.dislocations import Dislocations, DislocationsOptions
from defectscope.generators.microstructure import M1, M2, Continuous, Discrete, Microstructure
from defectscope.generators.microstructure_fit import fit_microstructure, normalised_shapes

RNG = np.random.default_rng


def labelme(path, lines, groups=None, size=(2048, 2048), label="dislocation"):
    shapes = [
        {
            "label": label, "points": np.asarray(line).tolist(), "shape_type": "linestrip",
            "group_id": None if groups is None else groups[k], "flags": {},
        }
        for k, line in enumerate(lines)
    ]  # fmt: skip
    document = {
        "version": "5.5.0", "shapes": shapes, "imagePath": f"{path.stem}.png", "imageData": None,
        "imageHeight": size[0], "imageWidth": size[1],
    }  # fmt: skip
    path.write_text(json.dumps(document))


KNOWN = Microstructure(
    title="known",
    source="made up",
    reference_px=2048,
    pileups=Discrete(values=(1, 2, 3), weights=(1, 2, 1)),
    dislocations=Discrete(values=(2, 4, 6), weights=(1, 1, 2)),
    slip_width_px=Continuous(quantiles=(100, 120, 160)),
    direction_deg=Continuous(quantiles=(-12, 0, 6)),
    spacing_px=Continuous(quantiles=(12, 20, 50)),
    lean=Continuous(quantiles=(0.0, 0.3)),
    bow=Continuous(quantiles=(0.05, 0.2)),
)


def generated(folder, count, *, grouped, known=KNOWN, size=2048):
    """Write labelme files of images drawn from `known`, and return the pile-ups drawn."""
    known.save(folder.parent / "known.json")
    options = {
        "microstructure": str(folder.parent / "known.json"), "near_pairs": 0, "crossings": 0,
        "most": 100, "traces": 0, "jitter": 0.01, "waviness_px": 0, "contrast": "dark",
    }  # fmt: skip
    made = Dislocations(validate_options(DislocationsOptions, options, "dislocations"))
    folder.mkdir()
    drawn = []
    for seed in range(count):
        canvas = np.full((size, size), 0.6, np.float32)
        made.draw(canvas, RNG(seed))
        pileups = made.last_parameters["pileups"]
        lines = [line for p in pileups for line in p["support_points"]]
        numbers = [k for k, p in enumerate(pileups) for _ in p["support_points"]]
        labelme(folder / f"{seed}.json", lines, numbers if grouped else None, (size, size))
        drawn.append(pileups)
    return drawn


@pytest.fixture(scope="module")
def labelled(tmp_path_factory):
    folder = tmp_path_factory.mktemp("labels") / "grouped"
    return folder, generated(folder, 30, grouped=True)


def test_the_fit_finds_what_labelled_images_were_made_of(labelled):
    folder, drawn = labelled
    fit = fit_microstructure(folder)
    assert fit.title == "grouped"
    assert "30 labelled images" in fit.source
    assert fit.reference_px == 2048
    numbers = [len(pileups) for pileups in drawn]
    assert fit.pileups == Discrete.of(numbers)
    sizes = [len(p["support_points"]) for pileups in drawn for p in pileups]
    assert fit.dislocations == Discrete.of(sizes)
    features = {
        "slip_width_px": [p["slip_width_px"] for pileups in drawn for p in pileups],
        "spacing_px": np.concatenate([np.diff(p["offsets_px"]) for d in drawn for p in d]),
    }
    for name, expected in features.items():
        quantiles = np.quantile(expected, np.linspace(0, 1, 33))
        np.testing.assert_allclose(getattr(fit, name).quantiles[2:-2], quantiles[2:-2], atol=2.5)
    directions = np.array([p["direction_deg"] for pileups in drawn for p in pileups])
    directions = np.where(directions > 90, directions - 180, directions)
    assert np.mean(fit.direction_deg.quantiles) == pytest.approx(directions.mean(), abs=1)
    assert fit.direction_deg.quantiles[0] == pytest.approx(directions.min(), abs=0.5)


@pytest.mark.parametrize("feature", ["slip_width_px", "direction_deg", "spacing_px", "lean", "bow"])
def test_the_fit_agrees_with_the_distributions_themselves(labelled, feature):
    fit = getattr(fit_microstructure(labelled[0]), feature).sample(RNG(1), 2000)
    known = getattr(KNOWN, feature).sample(RNG(2), 2000)
    if feature == "direction_deg":
        fit = (fit + 90) % 180 - 90
    # About 60 pile-ups were seen: their own distance from the distribution is up to 0.17.
    assert ks_2samp(fit, known).statistic < 0.2


def test_pile_ups_are_recognized_without_numbers(tmp_path):
    drawn = generated(tmp_path / "plain", 20, grouped=False)
    fit = fit_microstructure(tmp_path / "plain")
    numbers = np.array([len(pileups) for pileups in drawn])
    found = np.repeat(fit.pileups.values, np.array(fit.pileups.weights, int))
    assert found.sum() == pytest.approx(numbers.sum(), rel=0.1)
    widths = [p["slip_width_px"] for pileups in drawn for p in pileups]
    assert np.median(fit.slip_width_px.quantiles) == pytest.approx(np.median(widths), rel=0.06)
    spacing = np.concatenate([np.diff(p["offsets_px"]) for d in drawn for p in d])
    assert np.median(fit.spacing_px.quantiles) == pytest.approx(np.median(spacing), rel=0.1)


def test_lengths_follow_the_size_of_the_image(tmp_path):
    (tmp_path / "a").mkdir()
    for k, factor in enumerate((1, 2)):
        lines = [[[100 + x, 100], [110 + x, 200]] for x in (0, 20, 40)]
        labelme(tmp_path / f"a/{k}.json", np.array(lines) * factor, [1] * 3, (512 * factor, 2000))
    fit = fit_microstructure(tmp_path / "a")
    widths = np.array(fit.slip_width_px.quantiles) / fit.reference_px
    np.testing.assert_allclose(widths, 100 / 512, rtol=1e-6)


def test_directions_on_both_sides_of_zero_are_one_peak(tmp_path):
    for k, angle in enumerate((2, 178, 1, 179)):
        along = np.array([np.cos(np.deg2rad(angle)), -np.sin(np.deg2rad(angle))])
        lines = [np.array([[300, 300], [300, 400]]) + 30 * j * along for j in range(4)]
        labelme(tmp_path / f"{k}.json", lines, [0] * 4)
    quantiles = fit_microstructure(tmp_path).direction_deg.quantiles
    assert quantiles[0] == pytest.approx(-2, abs=0.01)
    assert quantiles[-1] == pytest.approx(2, abs=0.01)


def test_lines_on_both_sides_of_zero_bow_to_one_side(tmp_path):
    # As seen from the left, whatever the direction: 40 px ahead near the first end.
    shape = np.array([[0, 0], [40, -25], [0, -100]], float)
    for k, angle in enumerate((-3, -1, 1, 3)):
        turn = np.deg2rad(angle)
        matrix = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
        lines = [300 + (shape + [30 * j, 0]) @ matrix.T for j in range(4)]  # noqa: RUF005 - added
        labelme(tmp_path / f"{k}.json", lines, [0] * 4)
    fit = fit_microstructure(tmp_path)
    assert fit.direction_deg.quantiles[0] == pytest.approx(-3, abs=0.01)
    np.testing.assert_allclose(fit.bow.quantiles, fit.bow.quantiles[0], atol=1e-4)
    assert fit.bow.quantiles[0] > 0.2
    for found in (fit.line_shapes, normalised_shapes(tmp_path)):
        assert len(found) == 16
        np.testing.assert_allclose(found, np.broadcast_to(found[0], np.shape(found)), atol=2e-4)
        assert np.argmax(np.array(found[0])[:, 0]) in (2, 3)


def test_shapes_of_lines_are_kept_in_units_of_the_slip_width(tmp_path):
    corner = np.array([[100, 300], [140, 250], [100, 200]])
    lines = [corner + np.array([25 * k, 0]) for k in range(3)]
    labelme(tmp_path / "a.json", lines, [0] * 3)
    fit = fit_microstructure(tmp_path)
    shape = np.array(fit.line_shapes[0])
    np.testing.assert_allclose(shape[0], [0, 0], atol=1e-9)
    np.testing.assert_allclose(shape[-1], [0, 1], atol=1e-9)
    assert np.abs(shape[4, 0]) == pytest.approx(0.4, abs=0.01)
    assert len(normalised_shapes(tmp_path)) == 3


def add_traces(path, label):
    """Label the two slip traces of a pile-up, with its group."""
    document = json.loads(path.read_text())
    for y in (200, 300):
        document["shapes"].append(
            {"label": label, "points": [[0, y], [500, y]], "shape_type": "line", "group_id": 0}
        )
    path.write_text(json.dumps(document))


@pytest.mark.parametrize("label", ["slip-trace", "Spur"])
def test_labelled_slip_traces_are_no_dislocations(tmp_path, label):
    corner = np.array([[100, 300], [140, 250], [100, 200]])
    for k, width in enumerate((1, 1.3)):
        lines = [(corner + np.array([25 * j, 0])) * width for j in range(3)]
        labelme(tmp_path / f"{k}.json", lines, [0] * 3)
    fit, shapes = fit_microstructure(tmp_path), normalised_shapes(tmp_path)
    for k in range(2):
        add_traces(tmp_path / f"{k}.json", label)
    named = {} if label == "slip-trace" else {"trace_label": label}
    again = fit_microstructure(tmp_path, **named)
    assert again.source == f"{fit.source}, without 4 labelled as slip traces"
    assert again.model_copy(update={"source": fit.source}) == fit
    np.testing.assert_array_equal(normalised_shapes(tmp_path, **named), shapes)
    # One who asks for a label has it.
    assert fit_microstructure(tmp_path, "dislocation").source == fit.source
    assert "with 4 lines in 2 pile-ups" in fit_microstructure(tmp_path, label).source


def test_slip_traces_alone_are_nothing_to_fit(tmp_path):
    labelme(tmp_path / "a.json", [])
    add_traces(tmp_path / "a.json", "slip-trace")
    for measure in (fit_microstructure, normalised_shapes):
        with pytest.raises(FormatError, match="hold no line but those with the label 'slip-trace'"):
            measure(tmp_path)


@pytest.mark.parametrize("suffix", ["json", "toml"])
def test_what_is_saved_is_read_again(tmp_path, suffix):
    path = tmp_path / "own.json"
    M1.save(path)
    if suffix == "toml":
        path = tmp_path / "own.toml"
        tables = M1.model_dump(mode="json")
        tables.pop("line_shapes")
        lines = [f"{k} = {json.dumps(v)}" for k, v in tables.items() if not isinstance(v, dict)]
        for name, table in tables.items():
            if isinstance(table, dict):
                lines += [f"[{name}]", *(f"{k} = {json.dumps(v)}" for k, v in table.items())]
        path.write_text("\n".join(lines))
    assert Microstructure.load(path) == M1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": 2}, "version"),
        ({"spacing_px": {"quantiles": [5, 1]}}, "quantiles must ascend"),
        ({"slip_width_px": {"quantiles": [0, 1]}}, "slip_width_px must be above 0"),
        ({"pileups": {"values": [1, 2], "weights": [1]}}, "one weight for each value"),
        ({"colour": 1}, "colour"),
    ],
)
def test_malformed_microstructure_files_are_refused(tmp_path, change, message):
    path = tmp_path / "own.json"
    path.write_text(json.dumps(M2.model_dump(mode="json") | change))
    with pytest.raises(FormatError, match=message):
        Microstructure.load(path)
    path.write_text("{")
    with pytest.raises(FormatError, match="malformed"):
        Microstructure.load(path)
    with pytest.raises(InputError, match=r"absent\.json"):
        Microstructure.load(tmp_path / "absent.json")
    with pytest.raises(OutputError, match=r"saved as \.json"):
        M2.save(tmp_path / "own.txt")


def write(path, document):
    path.write_text(document if isinstance(document, str) else json.dumps(document))


LINE = {"label": "d", "shape_type": "line", "points": [[1, 2], [30, 40]]}
SIZE = {"imageHeight": 99, "imageWidth": 99}


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ("{", "malformed JSON"),
        ({"shapes": [LINE]}, "'imageHeight' and 'imageWidth'"),
        ({"shapes": 3, **SIZE}, "'shapes' must be a list"),
        ({"shapes": [3], **SIZE}, "shape at position 0: expected an object"),
        ({"shapes": [{**LINE, "points": [[1, 2]]}], **SIZE}, "two or more pairs"),
        ({"shapes": [{**LINE, "points": [["a", 2], [3, 4]]}], **SIZE}, "two or more pairs"),
        (
            {"shapes": [{**LINE, "points": [[1, 2], [1e30, 3]]}], **SIZE},
            "farther outside the image",
        ),
        ({"shapes": [{**LINE, "group_id": "x"}], **SIZE}, "'group_id' must be"),
        ({"shapes": [], **SIZE}, "hold no line"),
        ({"shapes": [LINE], **SIZE}, "no pile-up of two lines or more"),
    ],
)
def test_malformed_labelme_files_are_refused(tmp_path, document, message):
    write(tmp_path / "a.json", document)
    with pytest.raises(FormatError, match=message):
        fit_microstructure(tmp_path)


def test_folders_without_labels_are_refused(tmp_path):
    with pytest.raises(InputError, match="holds no labelme"):
        fit_microstructure(tmp_path)
    with pytest.raises(InputError, match="there is no labelme"):
        fit_microstructure(tmp_path / "absent")
    write(tmp_path / "other.json", {"a": 1})
    with pytest.raises(FormatError, match="no labelme file"):
        fit_microstructure(tmp_path / "other.json")


def test_samples_follow_their_distributions():
    values = Continuous(quantiles=(1, 2, 10)).sample(RNG(0), 20_000)
    assert values.min() >= 1
    assert values.max() <= 10
    assert np.mean(values < 2) == pytest.approx(0.5, abs=0.02)
    numbers = [Discrete(values=(3, 8), weights=(1, 3)).sample(RNG(k)) for k in range(2000)]
    assert numbers.count(8) / 2000 == pytest.approx(0.75, abs=0.03)
    two_peaks = np.concatenate([RNG(1).normal(10, 1, 500), RNG(2).normal(90, 1, 500)])
    again = Continuous.of(two_peaks).sample(RNG(3), 5000)
    assert np.mean((again > 20) & (again < 80)) < 0.05


def test_m1_and_m2_are_as_different_as_the_paper_says():
    assert np.ptp(M1.direction_deg.quantiles) < 40 < np.ptp(M2.direction_deg.quantiles)
    assert max(M2.dislocations.values) == max(M1.dislocations.values) == 8
    for preset in (M1, M2):
        assert "P1" in preset.source
