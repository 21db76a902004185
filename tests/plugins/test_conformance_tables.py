"""The checks of trackers, analyses, readers and formats notice what is wrong."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pandas as pd
import pytest

import defectscope as ds
from defectscope.plugins.conformance import Setup, check_class

COUNTER = itertools.count()


class Loners(ds.Tracker):
    """A tracker that keeps the contract."""

    def link(self, detections, geometry=None):
        return detections.assign(particle=range(len(detections)))


class NoTable(Loners):
    def link(self, detections, geometry=None):
        return np.arange(len(detections))


class NoParticle(Loners):
    def link(self, detections, geometry=None):
        return detections.copy()


class FloatParticle(Loners):
    def link(self, detections, geometry=None):
        return detections.assign(particle=np.arange(len(detections), dtype=float))


class InPlace(Loners):
    def link(self, detections, geometry=None):
        detections["particle"] = range(len(detections))
        return detections


class AllOne(Loners):
    def link(self, detections, geometry=None):
        return detections.assign(particle=np.zeros(len(detections), int))


class MovesRows(Loners):
    def link(self, detections, geometry=None):
        tracks = super().link(detections)
        return tracks.assign(x=tracks["x"] + 1)


class LosesColumns(Loners):
    def link(self, detections, geometry=None):
        return super().link(detections)[["frame", "x", "y", "particle"]]


class Repeats(Loners):
    def link(self, detections, geometry=None):
        return pd.concat([detections, detections]).assign(particle=range(2 * len(detections)))


class NeedsRows(Loners):
    def link(self, detections, geometry=None):
        detections["frame"].iloc[0]
        return super().link(detections)


class NoGeometry(Loners):
    def link(self, detections):
        return super().link(detections)


class NeverForgets(Loners):
    """The n-th detection of a frame is particle n, however long ago the last one was."""

    def link(self, detections, geometry=None):
        return detections.assign(particle=detections.groupby("frame").cumcount())


class NextIndexOnly(Loners):
    """Takes the n-th detection of a frame up again in the frame of the next index."""

    def link(self, detections, geometry=None):
        number = detections.groupby("frame").cumcount()
        runs = pd.Series(detections["frame"].unique()).sort_values()
        runs = pd.Series((runs.diff() != 1).cumsum().to_numpy(), index=runs)
        run = detections["frame"].map(runs)
        return detections.assign(particle=(1000 * run + number).astype(int))


class FickleTracker(Loners):
    def link(self, detections, geometry=None):
        start = next(COUNTER)
        return detections.assign(particle=range(start, start + len(detections)))


class FillsGaps(Loners):
    """May add rows, for it says that they are interpolated."""

    def link(self, detections, geometry=None):
        tracks = super().link(detections)
        if "origin" not in tracks.columns or tracks.empty:
            return tracks
        added = tracks.iloc[:1].assign(frame=9999, origin="interpolated")
        return pd.concat([tracks, added], ignore_index=True)


class MeanScore(ds.Analysis):
    """An analysis that keeps the contract."""

    def analyse(self, tables):
        table = tables.detections.groupby("frame")["score"].mean().reset_index()
        return [ds.Finding("mean-score", "Mean score", table)]


class ADict(MeanScore):
    def analyse(self, tables):
        return {"mean": 1}


class PathAsName(MeanScore):
    def analyse(self, tables):
        return [ds.Finding("../up", "Up", tables.detections)]


class TwoOfAName(MeanScore):
    def analyse(self, tables):
        return super().analyse(tables) * 2


class NoTitle(MeanScore):
    def analyse(self, tables):
        return [ds.Finding("a", "", tables.detections)]


class NotATable(MeanScore):
    def analyse(self, tables):
        return [ds.Finding("a", "A", [1, 2])]


class NotAFigure(MeanScore):
    def analyse(self, tables):
        return [ds.Finding("a", "A", tables.detections, figure="figure.png")]


class ChangesTables(MeanScore):
    def analyse(self, tables):
        tables.frames["extra"] = 1
        return super().analyse(tables)


class NeedsTracks(MeanScore):
    def analyse(self, tables):
        tables.tracks.groupby("particle")
        return super().analyse(tables)


class NeedsDetections(MeanScore):
    def analyse(self, tables):
        tables.detections["score"].iloc[0]
        return super().analyse(tables)


class NeedsFrames(MeanScore):
    def analyse(self, tables):
        tables.frames["frame"].iloc[0]
        return super().analyse(tables)


class FickleAnalysis(MeanScore):
    def analyse(self, tables):
        return [ds.Finding("n", "N", pd.DataFrame({"n": [next(COUNTER)]}))]


class NpyFrames(ds.FrameSequence):
    def __init__(self, path):
        self.path, self.indices, self.names, self.warnings = path, (0,), (path.name,), []

    def read(self, position):
        try:
            return np.load(self.path)
        except (OSError, EOFError, ValueError) as error:
            raise ds.InputError(f"{self.path.name} is no NumPy array: {error}") from error


class Npy(ds.Reader):
    """A reader that keeps the contract."""

    def read(self, path):
        return NpyFrames(path)


class BareErrors(Npy):
    def read(self, path):
        np.load(path)
        return NpyFrames(path)


class ReadsAnything(Npy):
    def read(self, path):
        frames = NpyFrames(path)
        frames.read = lambda position: np.eye(9, dtype=np.uint8)
        return frames


class WrongNames(Npy):
    def read(self, path):
        frames = NpyFrames(path)
        frames.names = ()
        return frames


class NotASequence(Npy):
    def read(self, path):
        return [ds.Frame(np.load(path))]


class Unpicklable(Npy):
    def read(self, path):
        frames = NpyFrames(path)
        frames.handle = lambda: None
        return frames


class Counts(ds.AnnotationFormat):
    """A format that keeps the contract, in both directions."""

    def accepts(self, path):
        return path.suffix == ".json" and path.is_file()

    def load(self, path):
        try:
            rows = json.loads(path.read_text(encoding="utf-8"))
            images = [self.image(*row) for row in rows]
        except (OSError, ValueError, TypeError) as error:
            raise ds.FormatError(f"{path.name} is no list of boxes: {error}") from error
        return ds.Dataset(images)

    def image(self, name, shape, boxes, types, ignore):
        found = ds.Instances(shape, boxes, defect_types=types, ignore=ignore)
        return ds.LabelledImage(name, found)

    def save(self, dataset, path):
        rows = [
            (
                i.file_name,
                i.instances.image_shape,
                i.instances.boxes.tolist(),
                i.instances.defect_types.tolist(),
                i.instances.ignore.tolist(),
            )
            for i in dataset.images
        ]
        path.write_text(json.dumps(rows))
        return []


class Neither(Counts):
    load, save = ds.AnnotationFormat.load, ds.AnnotationFormat.save


class OnlyWrites(Counts):
    load = ds.AnnotationFormat.load


class AcceptsByOpening(Counts):
    def accepts(self, path):
        return path.read_text().startswith("[")


class AcceptsMaybe(Counts):
    def accepts(self, path):
        return None


class BareJson(Counts):
    def load(self, path):
        return json.loads(path.read_text())


class LoadsAnything(Counts):
    def load(self, path):
        return ds.Dataset([])


class NoWarnings(Counts):
    def save(self, dataset, path):
        super().save(dataset, path)


class WritesElsewhere(Counts):
    def save(self, dataset, path):
        return super().save(dataset, path.with_suffix(".json"))


class RefusesAll(Counts):
    def save(self, dataset, path):
        raise ds.OutputError(f"{path.name} is not good enough")


class InsistsOnJson(Counts):
    def save(self, dataset, path):
        if path.suffix != ".json":
            raise ds.OutputError("a list of boxes is a .json file")
        return super().save(dataset, path)


class LosesImages(Counts):
    def save(self, dataset, path):
        return super().save(ds.Dataset(dataset.images[:1]), path)


class ShiftsBoxes(Counts):
    def image(self, name, shape, boxes, types, ignore):
        boxes = [[x0 + 3, y0, x1 + 3, y1] for x0, y0, x1, y1 in boxes]
        return super().image(name, shape, boxes, types, ignore)


class ForgetsTypes(Counts):
    def image(self, name, shape, boxes, types, ignore):
        return super().image(name, shape, boxes, ["black dot"] * len(types), ignore)


class ForgetsIgnore(Counts):
    def image(self, name, shape, boxes, types, ignore):
        return super().image(name, shape, boxes, types, None)


class LoadsADict(Counts):
    def load(self, path):
        super().load(path)
        return {}


class LosesImagesButSaysSo(LosesImages):
    def save(self, dataset, path):
        super().save(dataset, path)
        return ["images without instances are left out"]


NPY = ds.ReaderSpec("npy", "One array.", "a:B", suffixes=(".npy",))
BOTH = ds.FormatSpec("counts", "Boxes.", "a:B")
BROKEN = [
    ("trackers", NoTable, "links_rows", "found a ndarray"),
    ("trackers", NoParticle, "links_rows", "a column 'particle', found the columns frame"),
    ("trackers", FloatParticle, "links_rows", "found float64"),
    ("trackers", InPlace, "links_rows", "must not change the table"),
    ("trackers", AllOne, "links_rows", r"found particle \[0\] twice in frame \[461\]"),
    ("trackers", MovesRows, "links_rows", "leave the rows as they are"),
    ("trackers", LosesColumns, "links_rows", "missing: time_s"),
    ("trackers", Repeats, "links_rows", "not return a row twice"),
    ("trackers", NeedsRows, "links_nothing", "raised IndexError"),
    ("trackers", NeverForgets, "long_holes", "goes on after 100,000 frames"),
    ("trackers", NextIndexOnly, "counts_in_steps", "frame_step times 5 .* found 4 particles and"),
    ("trackers", NoGeometry, "takes_geometry", "raised TypeError"),
    ("trackers", FickleTracker, "linking_repeats", "same rows and particles"),
    ("analyses", ADict, "finds_in_tables", "list of defectscope.Finding"),
    ("analyses", PathAsName, "finds_in_tables", "file stem"),
    ("analyses", TwoOfAName, "finds_in_tables", "occurs once"),
    ("analyses", NoTitle, "finds_in_tables", "needs a title"),
    ("analyses", NotATable, "finds_in_tables", "found list"),
    ("analyses", NotAFigure, "finds_in_tables", "found str"),
    ("analyses", ChangesTables, "finds_in_tables", "must not change the tables"),
    ("analyses", NeedsTracks, "copes_with_less", "raised AttributeError"),
    ("analyses", NeedsDetections, "copes_with_less", "raised IndexError"),
    ("analyses", NeedsFrames, "copes_with_less", "raised IndexError"),
    ("analyses", FickleAnalysis, "analysis_repeats", "same findings"),
    ("readers", BareErrors, "unreadable_files", r"missing.*found FileNotFoundError"),
    ("readers", ReadsAnything, "unreadable_files", "must give an error, found none"),
    ("readers", WrongNames, "reads_the_example", "1 frames, found 1 and 0"),
    ("readers", NotASequence, "reads_the_example", "FrameSequence, found list"),
    ("readers", Unpicklable, "reads_the_example", "pickle|local object"),
    ("formats", Neither, "directions", "load, save or both"),
    ("formats", OnlyWrites, "directions", "reads=True.*no load and save"),
    ("formats", AcceptsByOpening, "accepts_any_path", "raised IsADirectoryError"),
    ("formats", AcceptsMaybe, "accepts_any_path", "found NoneType"),
    ("formats", BareJson, "unreadable_annotations", "does not exist.*FileNotFoundError"),
    ("formats", LoadsAnything, "unreadable_annotations", "must give an error, found none"),
    ("formats", NoWarnings, "writes", "list of warnings"),
    ("formats", WritesElsewhere, "writes", "write to the path"),
    ("formats", RefusesAll, "writes", "refuses every path; for 'out': out is not good enough"),
    ("formats", LosesImages, "writes", "must come back"),
    ("formats", ShiftsBoxes, "writes", "boxes .* became"),
    ("formats", ForgetsTypes, "writes", "defect types .* became"),
    ("formats", ForgetsIgnore, "writes", "ignore .* became"),
    ("formats", LoadsADict, "writes", "Dataset, found dict"),
]
GOOD = [
    ("trackers", Loners),
    ("trackers", FillsGaps),
    ("analyses", MeanScore),
    ("readers", Npy),
    ("formats", Counts),
    ("formats", InsistsOnJson),
    ("formats", LosesImagesButSaysSo),
]


@pytest.fixture
def setups(tmp_path):
    np.save(tmp_path / "example.npy", np.eye(16, dtype=np.uint8))
    plain = Setup()
    return {
        "trackers": plain,
        "analyses": plain,
        "readers": Setup(spec=NPY, example=tmp_path / "example.npy"),
        "formats": Setup(spec=BOTH),
    }


@pytest.mark.parametrize(("family", "component"), GOOD)
def test_good_components_pass(family, component, setups):
    results = check_class(family, component, setups[family])
    assert not [result for result in results if result.status != "passed"]


@pytest.mark.parametrize(
    ("family", "component", "check", "message"), BROKEN, ids=[b[1].__name__ for b in BROKEN]
)
def test_broken_components_fail(family, component, check, message, setups):
    results = check_class(family, component, setups[family])
    failed = {result.name: result.message for result in results if result.status == "failed"}
    assert check in failed
    with pytest.raises(AssertionError, match=message):
        raise AssertionError(failed[check])


@pytest.mark.parametrize("suffixes", [("npy",), ".npy", (".",), (3,), None])
def test_suffixes_that_no_file_has_are_refused(suffixes):
    with pytest.raises(ValueError, match="reader 'npy' needs a tuple of suffixes with their dot"):
        ds.ReaderSpec("npy", "One array.", "a:B", suffixes=suffixes)


@pytest.mark.parametrize("suffixes", [(), (".NPY",)])
def test_suffixes(suffixes):
    spec = ds.ReaderSpec("npy", "One array.", "a:B", suffixes=suffixes)
    results = {r.name: r for r in check_class("readers", Npy, Setup(spec=spec))}
    assert results["declares_suffixes"].status == "failed"
    assert repr(suffixes) in results["declares_suffixes"].message


def test_what_is_not_known_is_skipped():
    results = {r.name: r.status for r in check_class("readers", Npy)}
    assert results["declares_suffixes"] == results["reads_the_example"] == "skipped"
    assert {r.name: r.status for r in check_class("formats", Counts)}["directions"] == "skipped"
