"""Recipes of training data: what they say is what is drawn, and mistakes in them are named."""

from __future__ import annotations

import json
import pickle
from contextlib import nullcontext

import cv2
import numpy as np
import pytest

from defectscope.core.errors import FormatError, InputError, OptionError, UnknownNameError
from defectscope.core.provenance import file_digest
from defectscope.pipeline.recipes import Recipe, RecipeData
from defectscope.pipeline.samples import SampleMaker
from defectscope.plugins.host import PluginHost, default_host

PLAIN = """
title = "two kinds"
defect_types = ["dislocation-loop", "dot"]
seed = 3

[rename]
"black dot" = "dot"

[[source]]
share = 3
generators = ["in-situ-loops"]
size = [80, 64]
options.in-situ-loops.count = 3

[[source]]
background = "foil"
generators = ["loops"]
bit_depth = 16
size = 96
[source.options.loops]
mixture = { "black dot" = 1 }
count = 4
lines_probability = 0
"""


@pytest.fixture
def read(tmp_path):
    """Return a function that reads a recipe from text."""

    def from_text(text):
        path = tmp_path / "recipe.toml"
        path.write_text(text) if isinstance(text, str) else path.write_bytes(text)
        return RecipeData.read(path)

    return from_text


@pytest.fixture
def data(read):
    with read(PLAIN) as opened:
        yield opened


def kinds(data, numbers):
    """Return which source each number comes from: the first one draws 8 bits."""
    return [0 if data.load(n)[0].dtype == np.uint8 else 1 for n in numbers]


def test_frames_are_as_the_sources_say(data):
    sources = kinds(data, range(20))
    assert {0, 1} == set(sources)
    for number, source in enumerate(sources):
        pixels, truth = data.load(number)
        assert pixels.shape == truth.image_shape == ((64, 80), (96, 96))[source]
        assert pixels.dtype == (np.uint8, np.uint16)[source]
        assert set(truth.defect_types) <= {("dislocation-loop", "dot")[source]}
    assert data.title == "two kinds"
    assert data.defect_types == ("dislocation-loop", "dot")
    assert data.length is None


def test_sources_come_as_often_as_their_shares_say(data):
    rng_only = [
        int(np.searchsorted(data._steps, np.random.default_rng([3, n]).random(), side="right"))
        for n in range(2000)
    ]
    assert np.mean(rng_only) == pytest.approx(0.25, abs=0.03)
    assert kinds(data, range(12)) == rng_only[:12]


def test_a_number_is_a_frame_whoever_draws_it_and_when(data, read):
    numbers = (5, 0, 2**31 + 4, 5)
    expected = [data.load(n) for n in numbers]
    with pickle.loads(pickle.dumps(read(PLAIN))) as other:
        for number, (pixels, truth) in zip(reversed(numbers), reversed(expected), strict=True):
            again, same = other.load(number)
            np.testing.assert_array_equal(again, pixels)
            np.testing.assert_array_equal(same.boxes, truth.boxes)
    assert not np.array_equal(data.load(0)[0], data.load(2**31)[0])


def drawn_by_generate(data, number, seed):
    """Return what a dataset of each source's options has under a number."""
    frames = []
    for source in data._recipe.source:
        with SampleMaker(source.plan(seed), default_host()) as maker:
            frames.append(maker.make(number)[0][0].pixels)
    return frames


@pytest.mark.parametrize("number", range(4))
def test_generate_draws_other_frames(data, number):
    pixels = data.load(number)[0]
    for seed in (3, 4):
        for other in drawn_by_generate(data, number, seed):
            assert not np.array_equal(pixels, other)


def test_sources_of_one_kind_draw_different_frames(read):
    source = PLAIN[PLAIN.index("[[source]]") : PLAIN.rindex("[[source]]")]
    text = PLAIN[: PLAIN.index("[[source]]")] + source + source
    with read(text) as data:
        one, other = (maker.make(0)[0][0].pixels for maker in data._makers)
    assert not np.array_equal(one, other)


def test_trainings_of_before_go_on_with_the_frames_that_they_had(read):
    with read(PLAIN.replace("seed = 3", "seed = 3\nstreams = 1")) as data:
        for number in range(8):
            (source,) = kinds(data, [number])
            expected = drawn_by_generate(data, number, 3 + source)[source]
            np.testing.assert_array_equal(data.load(number)[0], expected)
        assert "streams" not in data.recipe()
    assert read(PLAIN).recipe()["streams"] == 2


def test_trainings_of_before_go_on_where_no_background_was_named(read):
    assert [source["background"] for source in read(PLAIN).recipe()["source"]] == [
        "texture", "foil",
    ]  # fmt: skip
    named = PLAIN.replace('"foil"', '"defectscope/foil"')
    assert read(named).recipe()["source"][1]["background"] == "defectscope/foil"


def test_another_seed_gives_other_frames(data, read):
    with read(PLAIN.replace("seed = 3", "seed = 4")) as other:
        assert not np.array_equal(other.load(1)[0], data.load(1)[0])


def test_the_recipe_is_kept_whole(data, read):
    named = PLAIN.replace("share = 3", 'share = 3\nbackground = "texture"')
    assert Recipe.model_validate(data.recipe()) == read(named)._recipe


@pytest.mark.parametrize("opened", [False, True])
def test_a_recipe_knows_digests_of_the_files_that_it_draws_from(read, tmp_path, opened):
    sizes = tmp_path / "sizes.json"
    text = PLAIN + f"sizes = {json.dumps(str(sizes))}\n"
    found = []
    for size in (9, 11):
        known = {"major_px": [size], "aspect": [1], "per_megapixel": [1]}
        sizes.write_text(json.dumps({"types": {"black dot": known}}))
        data = read(text)
        with data if opened else nullcontext():
            found.append(data.depends_on())
            # It stays open.
            assert not opened or kinds(data, range(6)) == kinds(data, range(6))
    (source,) = found[0]
    assert source == "source 2"
    assert list(found[0][source]["loops"]["files"]) == ["sizes.json"]
    assert found[0] != found[1]
    assert not read(PLAIN).depends_on()


def test_only_files_that_are_seen_in_frames_are_shown(read, tmp_path):
    for k in range(2):
        pixels = np.full((120, 120), 99 + k, np.uint8)
        cv2.imwrite(str(tmp_path / f"{k}.png"), pixels)
    labels = {
        "shapes": [{"label": "line", "points": [[9, 9], [70, 80]], "shape_type": "linestrip"}],
        "imagePath": "0.png", "imageWidth": 120, "imageHeight": 120,
    }  # fmt: skip
    (tmp_path / "labels.json").write_text(json.dumps(labels))
    known = {"major_px": [9], "aspect": [1], "per_megapixel": [1]}
    (tmp_path / "sizes.json").write_text(json.dumps({"types": {"black dot": known}}))

    def shown(*sources):
        head = 'defect_types = ["dot", "dislocation"]\nrename = { "black dot" = "dot" }\n'
        return read(head + "".join(f"[[source]]\n{text}" for text in sources)).shown_files()

    path = {p.name: json.dumps(str(p)) for p in tmp_path.iterdir()}
    loops = f"generators = ['loops']\noptions.loops.sizes = {path['sizes.json']}\n"
    images = f"background = 'images'\noptions.images.folder = {json.dumps(str(tmp_path))}\n"
    twin = f"generators = ['t=twin']\noptions.t.labels = {path['labels.json']}\n"
    digest = {name: file_digest(tmp_path / name) for name in path}
    assert shown(loops) == set()
    every = {digest["0.png"], digest["1.png"]}
    assert shown(loops, loops + images) == shown(loops + images) == every
    assert shown(twin) == {digest["labels.json"], digest["0.png"]}


def test_what_is_drawn_must_be_listed(read):
    with (
        read(PLAIN.replace('"black dot" = "dot"', "")) as data,
        pytest.raises(FormatError, match=r"draws black dot, but its defect_types are .*\[rename\]"),
    ):
        kinds(data, range(20))


@pytest.mark.parametrize("name", ["loops.toml", "loops-training.toml", "loops-large-training.toml"])
def test_shipped_recipes_can_be_read(name):
    from importlib.resources import files

    from defectscope.detectors.heatmap.options import HeatmapTrainingOptions
    from defectscope.pipeline.choices import read_config

    path = files("defectscope.weights") / "recipes" / name
    if name == "loops.toml":
        assert RecipeData.read(path).defect_types == ("dislocation-loop",)
    else:
        HeatmapTrainingOptions(**read_config(path)["heatmap"])


WRONG = {
    "no TOML": ("title = ", FormatError, r"recipe\.toml is no TOML file: "),
    "other bytes": (b"\xff\xfe", FormatError, "is no TOML file"),
    "nothing": ("", FormatError, r"recipe\.toml: defect_types: Field required; a recipe has def"),
    "no source": ('title = "x"\ndefect_types = ["a"]', FormatError, "source: Field required"),
    "renamed": (PLAIN.replace('"black dot" = "dot"', '"black dots" = "dot"'), FormatError,
                r"\[rename\] names 'black dots' \(did you mean 'black dot'\?\), which none of"),
    "unlabelled": ('unlabelled = ["line"]\n' + PLAIN, FormatError,
                   "unlabelled names 'line'.*they draw .*black dot, dislocation-loop"),
    "types": (PLAIN.replace('["dislocation-loop", "dot"]', '["loop", "dots"]'), FormatError,
              r"draws its defect_types, loop, dots; what they draw is called .*dislocation-loop"),
    "no types": (PLAIN.replace('["dislocation-loop", "dot"]', "[]"), FormatError, "defect_types: "),
    "unknown key": ('colour = "red"\n' + PLAIN, FormatError, "colour: Extra inputs"),
    "key of a source": (PLAIN.replace("share", "shares"), FormatError, r"source\.0\.shares: "),
    "share": (PLAIN.replace("share = 3", "share = 0"), FormatError, r"source\.0\.share: "),
    "size": (PLAIN.replace("size = 96", "size = 8"), FormatError, r"source\.1\.size"),
    "sides": (PLAIN.replace("[80, 64]", "[80]"), FormatError, r"source\.0\.size"),
    "streams": ("streams = 3\n" + PLAIN, FormatError, r"recipe\.toml: streams: "),
    "depth": (PLAIN.replace("= 16", "= 12"), FormatError, r"source\.1\.bit_depth: .*8 or 16"),
    "generator": (
        PLAIN.replace('["loops"]', '["lops"]').replace("options.loops", "options.lops"),
        UnknownNameError, "no generator 'lops'.*did you mean 'loops'",
    ),
    "no generator": (PLAIN.replace('["loops"]', "[]"), FormatError, r"source\.1\.generators: "),
    "background": (PLAIN.replace('"foil"', '"fol"'), UnknownNameError, "no background 'fol'"),
    "options of nobody": (
        PLAIN.replace("in-situ-loops.count", "loops.count"), OptionError, "are given for 'loops'",
    ),
    "option": (PLAIN.replace("count = 4", "cuont = 4"), OptionError, "has no option 'cuont'"),
    "value": (PLAIN.replace("count = 4", "count = -4"), OptionError, r"loops\.count"),
}  # fmt: skip


def test_a_type_that_nobody_draws_is_warned_of(read):
    assert read(PLAIN).warnings == ()
    (text,) = read(PLAIN.replace('-loop", "dot"]', '-loop", "dots"]')).warnings
    assert text.startswith("no generator of the recipe draws 'dots' (did you mean 'dot'?), one of")


def test_the_title_is_that_of_the_file_by_default(read):
    assert read(PLAIN.replace('title = "two kinds"', "")).title == "recipe"


@pytest.mark.parametrize("case", WRONG)
def test_mistakes_are_named_before_anything_is_drawn(read, case):
    text, error, message = WRONG[case]
    with pytest.raises(error, match=message):
        read(text)


def test_a_recipe_that_is_not_there(tmp_path):
    with pytest.raises(InputError, match=r"cannot read the recipe .*no\.toml: No such file"):
        RecipeData.read(tmp_path / "no.toml")


def test_a_plugin_that_is_kept_out_draws_nothing(tmp_path):
    (tmp_path / "recipe.toml").write_text(PLAIN)
    host = PluginHost(blocked=["generators"], allowed=())
    with pytest.raises(
        UnknownNameError, match=r"no background 'defectscope/texture'.*plugins blocked: 1"
    ):
        RecipeData.read(tmp_path / "recipe.toml", host)


def test_a_copy_in_a_worker_needs_no_host(data):
    copy = pickle.loads(pickle.dumps(data))
    with copy:
        np.testing.assert_array_equal(copy.load(5)[0], data.load(5)[0])
