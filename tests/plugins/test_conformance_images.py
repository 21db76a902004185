"""The checks of backgrounds, generators, detectors and post-processors notice what is wrong."""

from __future__ import annotations

import itertools
import random
from typing import ClassVar

import numpy as np
import pytest
from pydantic import ConfigDict, Field

import defectscope as ds
from defectscope.plugins.conformance import Setup, check_class

# Classes stand at module level, for the checks pickle them.


class Noise(ds.Background):
    """A background that keeps the contract."""

    def render(self, shape, rng):
        return rng.random(shape, dtype=np.float32), {"mean": np.float64(0.5)}


class WrongShape(Noise):
    def render(self, shape, rng):
        return rng.random(shape[::-1], dtype=np.float32), {}


class WrongDtype(Noise):
    def render(self, shape, rng):
        return rng.random(shape), {}


class OutOfRange(Noise):
    def render(self, shape, rng):
        return 2 * rng.random(shape, dtype=np.float32), {}


class NoParameters(Noise):
    def render(self, shape, rng):
        return rng.random(shape, dtype=np.float32)


class ListOfParameters(Noise):
    def render(self, shape, rng):
        return rng.random(shape, dtype=np.float32), [1]


class CircularParameters(Noise):
    def render(self, shape, rng):
        parameters: dict = {}
        parameters["self"] = parameters
        return rng.random(shape, dtype=np.float32), parameters


class OwnSeed(Noise):
    def render(self, shape, rng):
        return np.random.default_rng().random(shape, dtype=np.float32), {}


class GlobalSeed(Noise):
    def render(self, shape, rng):
        np.random.seed(int(rng.integers(9)))  # noqa: NPY002
        return np.random.random(shape).astype(np.float32), {}  # noqa: NPY002


class OtherParameters(Noise):
    def render(self, shape, rng):
        return rng.random(shape, dtype=np.float32), {"when": next(COUNTER)}


COUNTER = itertools.count()


class KeepsItsArray(Noise):
    def open(self):
        self.kept = {}

    def render(self, shape, rng):
        if shape not in self.kept:
            self.kept[shape] = rng.random(shape, dtype=np.float32)
        return self.kept[shape], {}


class ReadOnly(Noise):
    def render(self, shape, rng):
        return np.broadcast_to(np.float32(0.5), shape), {}


class Square(ds.Generator):
    """A generator that keeps the contract, sequences included."""

    defect_types = ("black dot",)

    def draw(self, canvas, rng):
        x, y = rng.integers(0, np.array(canvas.shape[::-1]) - 9)
        return self._at(canvas, int(x), int(y))

    def _at(self, canvas, x, y, **columns):
        canvas[y : y + 9, x : x + 9] *= 0.5
        box = [[x, y, x + 9, y + 9]]
        return ds.Instances(canvas.shape, box, defect_types=["black dot"], measurements=columns)

    def sequence(self, canvas, rng, length):
        for step in range(length):
            frame = canvas.copy()
            yield frame, self._at(frame, 5 + step, 5, track_id=[3])


class DrawsOnACopy(Square):
    def draw(self, canvas, rng):
        return super().draw(canvas.copy(), rng)


class DrawsNothing(Square):
    def draw(self, canvas, rng):
        return ds.Instances.empty(canvas.shape)


class TooBright(Square):
    def draw(self, canvas, rng):
        truth = super().draw(canvas, rng)
        canvas += 0.6
        return truth


class OtherFrameShape(Square):
    def draw(self, canvas, rng):
        canvas *= 0.9
        return ds.Instances((5, 5), [[0, 0, 2, 2]], defect_types=["black dot"])


class TruthOutside(Square):
    def draw(self, canvas, rng):
        return super().draw(canvas, rng).moved(500, 0, canvas.shape)


class LineOutside(Square):
    def draw(self, canvas, rng):
        canvas *= 0.9
        line = np.array([[0, 0], [5, 900.0]])
        return ds.Instances(canvas.shape, [[0, 0, 5, 5]], defect_types=["black dot"], lines=[line])


class MaskOutside(Square):
    def draw(self, canvas, rng):
        canvas *= 0.9
        mask = ds.Mask(-3, 0, np.ones((6, 6), bool))
        return ds.Instances(canvas.shape, [[0, 0, 3, 6]], defect_types=["black dot"], masks=[mask])


class MaskBeside(Square):
    def draw(self, canvas, rng):
        canvas *= 0.9
        mask = ds.Mask(2, 12, np.ones((4, 4), bool))
        box = [[12, 2, 16, 6]]
        return ds.Instances(canvas.shape, box, defect_types=["black dot"], masks=[mask])


class UndeclaredType(Square):
    defect_types = ("dislocation",)


class NoTypes(Square):
    defect_types = ()


class UsesItsOwnRandomness(Square):
    def draw(self, canvas, rng):
        return super().draw(canvas, np.random.default_rng())


class UsesTheGlobalOne(Square):
    def draw(self, canvas, rng):
        random.random()
        return super().draw(canvas, rng)


class TooShort(Square):
    def sequence(self, canvas, rng, length):
        yield from itertools.islice(super().sequence(canvas, rng, length), 1)


class NoTracks(Square):
    def sequence(self, canvas, rng, length):
        for _ in range(length):
            yield canvas, self._at(canvas, 5, 5)


class HalfTracks(Square):
    def sequence(self, canvas, rng, length):
        for _ in range(length):
            yield canvas, self._at(canvas, 5, 5, track_id=[0.5])


class OtherSequence(Square):
    def sequence(self, canvas, rng, length):
        for _ in range(length):
            yield canvas, self._at(canvas, next(COUNTER) % 50, 5, track_id=[1])


class Darkest(ds.Detector):
    """A detector that keeps the contract."""

    defect_types = ("black dot",)

    def detect(self, frames):
        return [self.one(frame) for frame in frames]

    def one(self, frame):
        y, x = np.unravel_index(frame.pixels.argmin(), frame.shape)
        return self.box(frame, x, y)

    def box(self, frame, x, y, score=0.5, shape=None):
        box = [[x, y, x + 1, y + 1]]
        return ds.Instances(shape or frame.shape, box, [score], ["black dot"])


class ATuple(Darkest):
    def detect(self, frames):
        return tuple(super().detect(frames))


class OneForAll(Darkest):
    def detect(self, frames):
        return super().detect(frames[:1])


class NoInstances(Darkest):
    def one(self, frame):
        return [[0, 0, 1, 1]]


class TransposedShape(Darkest):
    def one(self, frame):
        return self.box(frame, 1, 1, shape=frame.shape[::-1])


class OnlyBytes(Darkest):
    def one(self, frame):
        np.bincount(frame.pixels.astype(np.uint8, casting="safe").ravel())
        return super().one(frame)


class OnlyEvenSizes(Darkest):
    def one(self, frame):
        frame.pixels.reshape(-1, 2, frame.shape[1])
        return super().one(frame)


class NeedsContrast(Darkest):
    def one(self, frame):
        low, high = np.percentile(frame.pixels, (5, 95))
        if low == high:
            raise ZeroDivisionError("no contrast")
        return super().one(frame)


class FarAway(Darkest):
    def one(self, frame):
        return self.box(frame, 4000, 0)


class Confident(Darkest):
    def one(self, frame):
        return self.box(frame, 0, 0, score=1.5)


class Undeclared(Darkest):
    defect_types = ("dislocation",)


class DeclaresNothing(Darkest):
    defect_types = ()


class OwnScore(Darkest):
    def one(self, frame):
        return super().one(frame).with_measurements({"score": [0.5]}, {})


class OwnTwin(Darkest):
    def one(self, frame):
        columns = {"depth_px": [2.0], "depth_nm": [2.0]}
        return super().one(frame).with_measurements(columns, {"depth_px": "px", "depth_nm": "nm"})


class WritesPixels(Darkest):
    def one(self, frame):
        if frame.pixels.flags.writeable:
            frame.pixels[0, 0] = frame.pixels.max()
        return super().one(frame)


class NeedsWriteable(Darkest):
    def one(self, frame):
        frame.pixels.sort()
        return super().one(frame)


class Fickle(Darkest):
    def one(self, frame):
        return self.box(frame, next(COUNTER) % 5, 0)


class LooksAround(Darkest):
    def detect(self, frames):
        return [self.box(frame, len(frames), 0) for frame in frames]


class Silent(ds.Options):
    """Options that break every rule, one at a time."""

    sigma_px: float = 2.0


class Required(ds.Options):
    sigma_px: float = Field(description="blur, px")


class BadDefault(ds.Options):
    sigma_px: float = Field(-1.0, gt=0, description="blur, px")


class Lenient(ds.Options):
    model_config = ConfigDict(extra="ignore", frozen=True)


class Opaque(ds.Options):
    model_config = ConfigDict(arbitrary_types_allowed=True, frozen=True, extra="forbid")
    when: object = Field(default_factory=object, description="cannot be written")


class SilentOptions(Darkest):
    Options = Silent


class RequiredOptions(Darkest):
    Options = Required


class BadDefaultOptions(Darkest):
    Options = BadDefault


class LenientOptions(Darkest):
    Options = Lenient


class OpaqueOptions(Darkest):
    Options = Opaque


class NoOptions(Darkest):
    Options = dict


class ForgetsOptions(Darkest):
    def __init__(self, options=None, runtime=None):
        self.options, self.runtime = None, runtime


class ForgetsRuntime(Darkest):
    def __init__(self, options=None, runtime=None):
        super().__init__(options)


class EntersAnother(Darkest):
    def __enter__(self):
        super().__enter__()


class OpensOnce(Darkest):
    def open(self):
        if hasattr(self, "opened"):
            raise RuntimeError("opened twice")
        self.opened = True


class Swallows(Darkest):
    def __exit__(self, *error):
        return True


class ForgotTheComma(Darkest):
    defect_types = "black dot"


class Unpicklable(Darkest):
    def __init__(self, options=None, runtime=None):
        super().__init__(options, runtime)
        self.session = lambda: None


class FindsNothing(Darkest):
    """Keeps the contract too."""

    def one(self, frame):
        return ds.Instances.empty(frame.shape)


class BoxArea(ds.PostProcessor):
    """A post-processor for ellipses that keeps the contract."""

    shapes = ("ellipse",)
    columns: ClassVar = {"box_area_px": "px2"}

    def process(self, frame, instances):
        mine = self.mine(instances)
        x0, y0, x1, y1 = instances.boxes.T
        area = np.where(mine, (x1 - x0) * (y1 - y0), np.nan)
        return instances.with_measurements({"box_area_px": area}, self.columns)

    def mine(self, instances):
        types = self.runtime.defect_types
        return np.array([types[n].shape in self.shapes for n in instances.defect_types], bool)


class NoShapes(BoxArea):
    shapes = ()


class CamelCase(BoxArea):
    columns: ClassVar = {"BoxArea": ""}


class TakenName(BoxArea):
    columns: ClassVar = {"score": ""}


class TakenTwin(BoxArea):
    columns: ClassVar = {"box_area_px": "px2", "box_area_nm2": ""}


class TakenDiameter(BoxArea):
    columns: ClassVar = {"major_px": "px", "minor_px": "px", "diameter_px": "px"}


class WrongUnit(BoxArea):
    columns: ClassVar = {"box_area_px": "um"}


class AreaInPx(BoxArea):
    columns: ClassVar = {"box_area_px": "px"}


class NoTwin(BoxArea):
    columns: ClassVar = {"box_area": "px2"}


class NoDegrees(BoxArea):
    columns: ClassVar = {"box_angle": "deg"}


class ForgetsColumn(BoxArea):
    columns: ClassVar = {"box_area_px": "px2", "other": ""}


class ExtraColumn(BoxArea):
    columns: ClassVar = {}


class OtherUnit(BoxArea):
    def process(self, frame, instances):
        found = super().process(frame, instances)
        return found.with_measurements(found.measurements, {"box_area_px": "px"})


class DropsOthersColumns(BoxArea):
    def process(self, frame, instances):
        bare = ds.Instances(
            instances.image_shape, instances.boxes, instances.scores, instances.defect_types,
            masks=instances.masks,
        )  # fmt: skip
        return super().process(frame, bare)


class Doubles(BoxArea):
    def process(self, frame, instances):
        found = super().process(frame, instances)
        return ds.Instances.concatenate([found, found])


class StumblesOnNothing(BoxArea):
    def process(self, frame, instances):
        if not len(instances):
            return ds.Instances.empty(instances.image_shape)
        return super().process(frame, instances)


class WritesBoxes(BoxArea):
    def process(self, frame, instances):
        instances.boxes[:] += 0.25
        return super().process(frame, instances)


class NeedsBytes(BoxArea):
    def process(self, frame, instances):
        if frame.pixels.dtype != np.uint8:
            raise TypeError("uint8 only")
        return super().process(frame, instances)


class NeedsMasks(BoxArea):
    def process(self, frame, instances):
        [mask.area_px for mask in instances.masks]
        return super().process(frame, instances)


class RefusesBoxes(BoxArea):
    def process(self, frame, instances):
        if len(instances) and instances.masks is None:
            raise ds.ComponentError("this post-processor needs masks; use a detector with masks")
        return super().process(frame, instances)


class MeasuresEverything(BoxArea):
    def mine(self, instances):
        return np.ones(len(instances), bool)


class DropsUnsaid(BoxArea):
    def process(self, frame, instances):
        return super().process(frame, instances[:1])


class DropsOthers(BoxArea):
    drops = True

    def process(self, frame, instances):
        return super().process(frame, instances[self.mine(instances)])


class MixesOrder(BoxArea):
    def process(self, frame, instances):
        return super().process(frame, instances[::-1])


class ShiftsOthers(BoxArea):
    def process(self, frame, instances):
        found = super().process(frame, instances)
        keep = self.mine(found)
        parts = [found[keep], found[~keep].moved(0, 0.5, found.image_shape)]
        return ds.Instances.concatenate(parts)


class FicklePost(BoxArea):
    def process(self, frame, instances):
        found = super().process(frame, instances)
        area = found.measurements["box_area_px"] + next(COUNTER)
        return found.with_measurements({"box_area_px": area}, self.columns)


BROKEN = [
    ("backgrounds", WrongShape, "renders_what_was_asked", r"expected \(128, 160\), found \(160"),
    ("backgrounds", WrongDtype, "renders_what_was_asked", "float32 array, found float64"),
    ("backgrounds", OutOfRange, "renders_what_was_asked", r"within \[0, 1\]"),
    ("backgrounds", NoParameters, "renders_what_was_asked", r"must return \(pixels, parameters\)"),
    ("backgrounds", ListOfParameters, "records_its_parameters", "must be a dictionary"),
    ("backgrounds", CircularParameters, "records_its_parameters", "JSON file"),
    ("backgrounds", OwnSeed, "background_repeats", "same pixels"),
    ("backgrounds", GlobalSeed, "background_repeats", "global generator"),
    ("backgrounds", OtherParameters, "background_repeats", "same parameters"),
    ("backgrounds", KeepsItsArray, "keeps_nothing_drawn_on", "return a new array each time"),
    ("backgrounds", ReadOnly, "keeps_nothing_drawn_on", "must be writeable"),
    ("generators", DrawsOnACopy, "draws_in_place", "in place"),
    ("generators", DrawsNothing, "draws_in_place", "nothing was drawn"),
    ("generators", TooBright, "draws_in_place", r"within \[0, 1\]"),
    ("generators", OtherFrameShape, "draws_in_place", "image_shape"),
    ("generators", TruthOutside, "truth_fits", "boxes must lie within"),
    ("generators", LineOutside, "truth_fits", "lines must lie within"),
    ("generators", MaskOutside, "truth_fits", "masks must lie within"),
    ("generators", MaskBeside, "truth_fits", "mask of an instance must lie on its box"),
    ("generators", UndeclaredType, "truth_fits", "found: black dot"),
    ("generators", NoTypes, "truth_fits", "set defect_types"),
    ("generators", UsesItsOwnRandomness, "drawing_repeats", "same pixels"),
    ("generators", UsesTheGlobalOne, "drawing_repeats", "global generator"),
    ("generators", TooShort, "sequences", "expected 4 frames, found 1"),
    ("generators", NoTracks, "sequences", "'track_id'"),
    ("generators", HalfTracks, "sequences", "whole number"),
    ("generators", OtherSequence, "sequences", "same sequence"),
    ("detectors", ATuple, "answers_every_frame", "found a tuple"),
    ("detectors", OneForAll, "answers_every_frame", "expected 3, found 1"),
    ("detectors", NoInstances, "answers_every_frame", "found list"),
    ("detectors", TransposedShape, "answers_every_frame", "image_shape"),
    ("detectors", OnlyBytes, "any_bit_depth", r"raised TypeError.*test_conformance_images.py:\d+"),
    ("detectors", OnlyEvenSizes, "any_size", "raised ValueError"),
    ("detectors", NeedsContrast, "frames_without_defects", "raised ZeroDivisionError"),
    ("detectors", FarAway, "detections_fit", "boxes must lie within"),
    (
        "detectors",
        Confident,
        "detections_fit",
        r"scores must lie within \[0, 1\], found 1.5 to 1.5",
    ),
    ("detectors", Undeclared, "detections_fit", "found: black dot"),
    ("detectors", DeclaresNothing, "detections_fit", "set defect_types"),
    ("detectors", OwnScore, "measurements_have_own_names", "'score' would replace one"),
    ("detectors", OwnTwin, "measurements_have_own_names", "'depth_nm' would replace one"),
    ("detectors", WritesPixels, "pixels_stay", "must not change the pixels"),
    ("detectors", NeedsWriteable, "pixels_stay", "pixels|read-only"),
    ("detectors", Fickle, "detection_repeats", "same detections every time"),
    ("detectors", LooksAround, "frames_are_independent", "alone and in a batch"),
    ("detectors", SilentOptions, "options_are_described", "none for: sigma_px"),
    ("detectors", RequiredOptions, "options_have_defaults", "without one: sigma_px"),
    ("detectors", BadDefaultOptions, "options_have_defaults", "'sigma_px' breaks its own limits"),
    ("detectors", LenientOptions, "unknown_options_are_refused", "forbid"),
    ("detectors", OpaqueOptions, "options_survive_json", "raised"),
    ("detectors", NoOptions, "options_are_described", "subclass of defectscope.Options"),
    ("detectors", ForgetsOptions, "built_from_options_and_runtime", "found None"),
    ("detectors", ForgetsRuntime, "built_from_options_and_runtime", "keep the runtime"),
    ("detectors", EntersAnother, "context_manager", "the component itself, found None"),
    ("detectors", OpensOnce, "context_manager", "opened twice"),
    ("detectors", Swallows, "exceptions_pass_through", "must not return a true value"),
    ("detectors", ForgotTheComma, "declares_names", r"write defect_types = \('black dot',\)"),
    ("detectors", Unpicklable, "survives_pickling", "survive pickling"),
    ("postprocessors", NoShapes, "declares_its_columns", "shapes must name"),
    ("postprocessors", CamelCase, "declares_its_columns", "snake_case, found 'BoxArea'"),
    ("postprocessors", TakenName, "declares_its_columns", "'score' would replace one"),
    ("postprocessors", TakenTwin, "declares_its_columns", "'box_area_nm2' would replace one"),
    ("postprocessors", TakenDiameter, "declares_its_columns", "'diameter_px' would replace one"),
    ("postprocessors", WrongUnit, "declares_its_columns", "found 'um'"),
    ("postprocessors", AreaInPx, "declares_its_columns", "must be 'px2', found 'px'"),
    ("postprocessors", NoTwin, "declares_its_columns", "must end in _px"),
    ("postprocessors", NoDegrees, "declares_its_columns", "must end in _deg"),
    ("postprocessors", ForgetsColumn, "adds_its_columns", "missing: other"),
    ("postprocessors", ExtraColumn, "adds_its_columns", "not declared: box_area_px"),
    ("postprocessors", OtherUnit, "adds_its_columns", "must be 'px2' as declared, found 'px'"),
    ("postprocessors", DropsOthersColumns, "adds_its_columns", "missing: marker"),
    ("postprocessors", Doubles, "adds_its_columns", "as many or fewer"),
    ("postprocessors", DropsUnsaid, "adds_its_columns", "must declare drops = True, found 1 for"),
    ("postprocessors", StumblesOnNothing, "handles_nothing", "missing: box_area_px"),
    ("postprocessors", WritesBoxes, "adds_its_columns", "must not change"),
    ("postprocessors", NeedsBytes, "any_bit_depth", "raised TypeError"),
    ("postprocessors", NeedsMasks, "boxes_alone", "raised TypeError"),
    ("postprocessors", MeasuresEverything, "other_shapes_pass", "must be NaN"),
    ("postprocessors", DropsOthers, "other_shapes_pass", "pass through unchanged"),
    ("postprocessors", MixesOrder, "other_shapes_pass", "unchanged and in order"),
    ("postprocessors", ShiftsOthers, "other_shapes_pass", "pass through unchanged"),
    ("postprocessors", FicklePost, "processing_repeats", "same geometry"),
]


@pytest.mark.parametrize(
    ("family", "component"),
    [
        ("backgrounds", Noise),
        ("generators", Square),
        ("detectors", Darkest),
        ("detectors", FindsNothing),
        ("postprocessors", BoxArea),
        ("postprocessors", RefusesBoxes),
    ],
)
def test_good_components_pass(family, component):
    results = check_class(family, component)
    assert not [result for result in results if result.status != "passed"]


@pytest.mark.parametrize(
    ("family", "component", "check", "message"), BROKEN, ids=[b[1].__name__ for b in BROKEN]
)
def test_broken_components_fail(family, component, check, message):
    failed = {r.name: r.message for r in check_class(family, component) if r.status == "failed"}
    assert check in failed
    with pytest.raises(AssertionError, match=message):
        raise AssertionError(failed[check])


def test_every_check_is_known_to_catch_something():
    families = {family for family, *_ in BROKEN}
    known = {(family, check) for family, _, check, _ in BROKEN}
    common = {check for family, check in known if family == "detectors"}
    for family in families:
        good = {"backgrounds": Noise, "generators": Square, "detectors": Darkest,
                "postprocessors": BoxArea}[family]  # fmt: skip
        for result in check_class(family, good):
            assert (family, result.name) in known or result.name in common, result.name


def test_stills_need_no_sequences():
    class Still(Square):
        sequence = ds.Generator.sequence

    (result,) = [r for r in check_class("generators", Still) if r.name == "sequences"]
    assert result == ("sequences", result.title, "skipped", "it draws stills only")


class AsksForAFolder(Noise):
    def open(self):
        raise ds.OptionError("option folder is needed: a folder of images")


def test_what_needs_an_option_is_skipped_and_says_so():
    results = {result.name: result for result in check_class("backgrounds", AsksForAFolder)}
    assert results["options_survive_json"].status == "passed"
    assert results["background_repeats"].status == "skipped"
    assert "option folder is needed" in results["background_repeats"].message


class WithOption(ds.Options):
    level: float = Field(0.5, ge=0, le=1, description="grey level")


class Flat(ds.Background):
    Options = WithOption

    def render(self, shape, rng):
        return np.full(shape, self.options.level, np.float32), {"level": self.options.level}


def test_options_reach_the_component():
    results = check_class("backgrounds", Flat, Setup({"level": 0.25}))
    assert {result.status for result in results} == {"passed"}
    results = check_class("backgrounds", Flat, Setup({"level": 2}))
    assert "level = 2" in {r.name: r.message for r in results}["background_repeats"]
