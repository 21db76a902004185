"""Backgrounds and generators that return what no sample can be made of."""

from __future__ import annotations

import re
from typing import ClassVar

import cv2
import numpy as np
import pytest
from pydantic import Field

import defectscope as ds
from defectscope.core.errors import ComponentError
from defectscope.pipeline.choices import Choice
from defectscope.pipeline.generation import generate_dataset
from defectscope.pipeline.samples import SamplePlan
from defectscope.plugins.testing import isolated_host
from defectscope.readers import plugin as readers

SHAPE = (16, 20)
GREY = np.full(SHAPE, 0.5, np.float32)
BOX = [[4, 3, 8, 6]]


def truth(shape=SHAPE, boxes=BOX, **measurements):
    return ds.Instances(shape, boxes, defect_types="black dot", measurements=measurements)


def spoilt(value):
    pixels = GREY.copy()
    pixels[3, 4] = value
    return pixels


class CaseOptions(ds.Options):
    """Which answer to give."""

    case: str = Field("", description="a key of ANSWERS")


class Rendering(ds.Background):
    """Returns one of the answers."""

    Options = CaseOptions
    options: CaseOptions
    ANSWERS: ClassVar = {
        "pixels alone": GREY,
        "nothing": None,
        "a list of grey values": (GREY.tolist(), {}),
        "another size": (GREY[:8], {}),
        "another type": (GREY.astype(np.float64), {}),
        "NaN": (spoilt(np.nan), {}),
        "infinite": (spoilt(-np.inf), {}),
        "0 to 255": (255 * spoilt(0), {}),
        "a little too bright": (spoilt(1.4), {}),
        "no names": (GREY, [0.5]),
    }

    def render(self, shape, rng):
        return self.ANSWERS.get(self.options.case, (GREY.copy(), {}))


class Drawing(ds.Generator):
    """Returns one of the answers."""

    Options = CaseOptions
    options: CaseOptions
    defect_types = ("black dot",)
    STILLS: ClassVar = {
        "nothing": None,
        "a list": [truth()],
        "another size": truth((8, 20)),
        "NaN": truth(),
        "0 to 255": truth(),
        "beyond the frame": truth(boxes=[*BOX, [12, 3, 25, 6]]),
        "another type": ds.Instances(SHAPE, BOX * 2, defect_types=["black dot", "mystery"]),
        "another type that is ignored": ds.Instances(
            SHAPE, BOX, defect_types="mystery", ignore=[True]
        ),
        "hardly beyond the frame": truth(boxes=[[-0.6, 3, 20.7, 16]]),
        "a cover of another size": truth(),
    }
    SEQUENCES: ClassVar = {
        "": (GREY, truth(track_id=[7])),
        "no defects": (GREY, ds.Instances.empty(SHAPE)),
        "pixels alone": GREY,
        "frames of another size": (GREY[:8], truth((8, 20), track_id=[7])),
        "truth of another size": (GREY, truth((8, 20), track_id=[7])),
        "NaN": (spoilt(np.nan), truth(track_id=[7])),
        "0 to 255": (255 * GREY, truth(track_id=[7])),
        "beyond the frame": (GREY, truth(boxes=[[-9, 3, 8, 6]], track_id=[7])),
        "no truth": (GREY, None),
        "no ids": (GREY, truth(size=[3.0])),
        "half an id": (GREY, truth(track_id=[0.5])),
        "an unknown id": (GREY, truth(track_id=[np.nan])),
        "named ids": (GREY, truth(track_id=["a"])),
        "one id twice": (GREY, truth(boxes=BOX * 2, track_id=[7, 7])),
        "no scale": (GREY, truth(track_id=[7])),
    }

    @property
    def calibration(self):
        return None if self.options.case == "no scale" else ds.Calibration()

    def draw(self, canvas, rng):
        if self.options.case == "NaN":
            canvas[3, 4] = np.nan
        if self.options.case == "0 to 255":
            canvas *= 255
        if self.options.case == "a cover of another size":
            self.covered = np.zeros((8, 8), bool)
        return self.STILLS[self.options.case]

    def sequence(self, canvas, rng, length):
        yield GREY, truth(track_id=[7])
        yield self.SEQUENCES[self.options.case]


class Plugin:
    """Registers both."""

    @ds.hookimpl
    def defectscope_backgrounds(self):
        return [ds.ComponentSpec("rendering", "Grey.", f"{__name__}:Rendering")]

    @ds.hookimpl
    def defectscope_generators(self):
        return [ds.ComponentSpec("drawing", "A dot.", f"{__name__}:Drawing")]


@pytest.fixture(scope="module")
def host():
    return isolated_host(Plugin(), readers)


def refusal(host, folder, background="", generator="", length=None):
    """Return what is said where a component gives a wrong answer."""
    plan = SamplePlan(
        Choice("rendering", "rendering", {"case": background}),
        (Choice("drawing", "drawing", {"case": generator}),),
        SHAPE,
        length=length,
    )
    with pytest.raises(ComponentError, match="for sample 0") as caught:
        generate_dataset(plan, 1, folder, host)
    assert not [path for path in folder.rglob("*") if path.is_file()]
    return re.sub(
        r" \(case='.*?'\) of test-distribution 0 \(plugin 'Plugin'\)", "", str(caught.value)
    )


@pytest.mark.parametrize(
    ("case", "message"),
    [
        ("pixels alone", r"must render \(pixels, parameters\) for sample 0, found ndarray"),
        ("nothing", "must render .* found NoneType"),
        ("a list of grey values", r"must render float32 pixels of \(16, 20\) .* found list"),
        ("another size", r"must render .* found float32 of \(8, 20\)"),
        ("another type", r"must render .* found float64 of \(16, 20\)"),
        ("NaN", "must render finite grey values for sample 0, found NaN"),
        ("infinite", "must render finite grey values for sample 0, found infinite ones"),
        ("0 to 255", r"must render grey values of 0 to 1 for sample 0, found 0 to 127\.5"),
        ("no names", "must render .* with a dictionary of parameters for sample 0, found list"),
    ],
)
def test_backgrounds(case, message, host, tmp_path):
    said = refusal(host, tmp_path / "data", background=case)
    assert re.match(f"'rendering' {message}", said), said


@pytest.mark.parametrize(
    ("case", "message"),
    [
        ("nothing", "must return its truth as Instances for sample 0, found NoneType"),
        ("a list", "must return its truth as Instances for sample 0, found list"),
        ("another size", r"must return the truth of an image of \(16, 20\) .* one of \(8, 20\)"),
        ("NaN", "must leave finite grey values for sample 0, found NaN"),
        ("0 to 255", r"must leave grey values of 0 to 1 for sample 0, found 127\.5 to 127\.5"),
        ("beyond the frame", "must return boxes .* 20 x 16 px for sample 0, found 12, 3, 25, 6"),
        ("another type", r"must label the types that it declares .black dot. .* found mystery"),
        ("a cover of another size", r"must say what it covered .* found bool of \(8, 8\)"),
    ],
)
def test_stills(case, message, host, tmp_path):
    said = refusal(host, tmp_path / "data", generator=case)
    assert re.match(f"'drawing' {message}", said), said


@pytest.mark.parametrize(
    ("case", "message"),
    [
        ("pixels alone", r"must yield \(pixels, truth\) for sample 0, frame 1, found ndarray"),
        ("frames of another size", r"must yield float32 pixels of .* found float32 of \(8, 20\)"),
        ("truth of another size", "must return the truth of an image of .* frame 1, found one of"),
        ("NaN", "must yield finite grey values for sample 0, frame 1, found NaN"),
        ("0 to 255", r"must yield grey values of 0 to 1 for sample 0, frame 1, found 127\.5 to"),
        ("beyond the frame", "must return boxes inside .* sample 0, frame 1, found -9, 3, 8, 6"),
        ("no truth", "must return its truth as Instances .* found NoneType"),
        ("no ids", "must give the truth .* a measurement 'track_id' .* found size"),
        ("half an id", r"must give .* a whole number for sample 0, frame 1, found \[0\.5\]"),
        ("an unknown id", r"must give .* a whole number .* found \[nan\]"),
        ("named ids", r"must give .* a whole number .* found \['a'\]"),
        ("one id twice", r"must give every .* a 'track_id' of its own, .* found \[7, 7\]"),
        ("no scale", "failed for sample 0: AttributeError: .* 'pixel_size_nm'"),
    ],
)
def test_sequences(case, message, host, tmp_path):
    said = refusal(host, tmp_path / "data", generator=case, length=2)
    assert re.match(f"'drawing' {message}", said), said


def test_what_goes_a_little_beyond_grey_and_frame_is_taken(host, tmp_path):
    choices = (
        Choice("rendering", "rendering", {"case": "a little too bright"}),
        (Choice("drawing", "drawing", {"case": "hardly beyond the frame"}),),
    )
    folder = tmp_path / "data"
    generate_dataset(SamplePlan(*choices, SHAPE), 1, folder, host)
    pixels = cv2.imread(str(folder / "images" / "000000.png"), cv2.IMREAD_UNCHANGED)
    assert pixels[3, 4] == 255


def test_types_of_what_is_ignored_need_not_be_declared(host, tmp_path):
    choices = (
        Choice("rendering", "rendering"),
        (Choice("drawing", "drawing", {"case": "another type that is ignored"}),),
    )
    dataset = generate_dataset(SamplePlan(*choices, SHAPE), 1, tmp_path / "data", host)
    assert dataset.images[0].instances.defect_types.tolist() == ["mystery"]


def test_a_frame_without_defects_needs_no_ids(host, tmp_path):
    choices = (
        Choice("rendering", "rendering"),
        (Choice("drawing", "drawing", {"case": "no defects"}),),
    )
    dataset = generate_dataset(SamplePlan(*choices, SHAPE, length=2), 1, tmp_path / "data", host)
    assert [len(image.instances) for image in dataset.images] == [1, 0]
