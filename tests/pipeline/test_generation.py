"""Datasets written frame by frame: nothing half, nothing lost, nothing kept that was let go."""

from __future__ import annotations

import gc
import json
import weakref
from concurrent.futures import BrokenExecutor
from typing import ClassVar

import numpy as np
import pytest
from pydantic import Field

import defectscope as ds
from defectscope.core.errors import ComponentError, FormatError, OutputError, UsageError
from defectscope.pipeline import generation
from defectscope.pipeline.choices import Choice
from defectscope.pipeline.generation import DatasetWriter, generate_dataset
from defectscope.pipeline.labels import open_dataset
from defectscope.pipeline.redrawing import draw_again
from defectscope.pipeline.samples import SampleMaker, SamplePlan
from defectscope.plugins.testing import isolated_host
from defectscope.readers import plugin as readers

SHAPE = (16, 20)


class Plain(ds.Background):
    """Nothing but grey."""

    def render(self, shape, rng):
        return np.full(shape, 0.5, np.float32), {"grey": 0.5}


class DotsOptions(ds.Options):
    """Options of the test generator."""

    fail_at: int = Field(-1, description="frame at which to raise")
    more: int = Field(0, description="frames more or less than asked for")
    pixel_size_nm: float | None = Field(None, description="nm")


class Dots(ds.Generator):
    """One dot a frame, which says how far it has come."""

    Options = DotsOptions
    options: DotsOptions
    defect_types = ("black dot",)
    # What outside looks on at: called before each frame with its number.
    watch: ClassVar = staticmethod(lambda frame: None)
    pixels_alive: ClassVar[list] = []

    @property
    def calibration(self):
        size = self.options.pixel_size_nm
        return ds.Calibration(pixel_size_nm=size, dose_start_dpa=0.5, dose_per_frame_dpa=0.25)

    def draw(self, canvas, rng):
        canvas[3:6, 4:8] = rng.random()
        self.last_parameters = {"stills": 1}
        return ds.Instances(canvas.shape, [[4, 3, 8, 6]], defect_types="black dot")

    def sequence(self, canvas, rng, length):
        self.last_parameters = {}
        for frame in range(length + self.options.more):
            Dots.watch(frame)
            if frame == self.options.fail_at:
                raise RuntimeError("out of ink")
            pixels = canvas.copy()
            Dots.pixels_alive.append(weakref.ref(pixels))
            truth = self.draw(pixels, rng).with_measurements({"track_id": [7]}, {"track_id": ""})
            yield pixels, truth
            del pixels
        self.last_parameters = {"drawn": length}


class Crowd(ds.Generator):
    """Has no room for what was asked for in every other sample."""

    def draw(self, canvas, rng):
        self.last_parameters = {"left_out": 3 * (self.sample_number % 2)}
        return ds.Instances.empty(canvas.shape)


class Still(ds.Generator):
    """Cannot move."""

    def draw(self, canvas, rng):
        return ds.Instances.empty(canvas.shape)


class Lines(Still):
    """Says that it draws lines."""

    defect_types = ("line",)


class Asking(Still):
    """Asks the runtime what it draws, and tells of it in values of numpy."""

    def draw(self, canvas, rng):
        title = self.runtime.defect_types["black dot"].title
        self.last_parameters = {"title": title, "count": np.int64(3), "xy": np.array([1.5, 2.5])}
        return super().draw(canvas, rng)


class Caption(Still):
    """Hides a part of the image."""

    def draw(self, canvas, rng):
        self.covered = np.zeros(canvas.shape, bool)
        self.covered[4:, 4 : 4 + self.options.width_px] = True
        return ds.Instances.empty(canvas.shape)

    class Options(ds.Options):
        """How much."""

        width_px: int = Field(4, description="px")


class Unready(Still):
    """Does not let its base class initialise it."""

    def __init__(self, options, runtime):
        self.options, self.runtime = options, runtime


class Plugin:
    """Registers the components above."""

    @ds.hookimpl
    def defectscope_backgrounds(self):
        return [ds.ComponentSpec("plain", "Grey.", f"{__name__}:Plain")]

    @ds.hookimpl
    def defectscope_generators(self):
        return [
            ds.ComponentSpec("dots", "Dots.", f"{__name__}:Dots"),
            ds.ComponentSpec("crowd", "Nothing.", f"{__name__}:Crowd"),
            ds.ComponentSpec("still", "Nothing.", f"{__name__}:Still"),
            ds.ComponentSpec("caption", "Text.", f"{__name__}:Caption"),
            ds.ComponentSpec("asking", "Nothing.", f"{__name__}:Asking"),
            ds.ComponentSpec("lines", "Nothing.", f"{__name__}:Lines"),
            ds.ComponentSpec("unready", "Nothing.", f"{__name__}:Unready"),
        ]


@pytest.fixture(scope="module")
def host():
    return isolated_host(Plugin(), readers)


@pytest.fixture(autouse=True)
def unwatched(monkeypatch):
    monkeypatch.setattr(Dots, "watch", staticmethod(lambda frame: None))
    monkeypatch.setattr(Dots, "pixels_alive", [])


def plan(length=None, name="dots", seed=0, **options):
    return SamplePlan(Choice("plain", "plain"), (Choice(name, name, options),), SHAPE, seed, length)


@pytest.mark.parametrize("interrupted", [False, True])
def test_what_found_no_room_is_said_once_with_its_number(host, tmp_path, interrupted, monkeypatch):
    crowd = plan(name="crowd")
    if interrupted:
        monkeypatch.setattr(generation, "_joined", lambda *_: None)
        generate_dataset(crowd, 3, tmp_path / "data", host)
        monkeypatch.undo()
    dataset = generate_dataset(crowd, 5, tmp_path / "data", host, resume=interrupted)
    (text,) = dataset.warnings
    assert text.startswith(
        "crowd: there was no room for 6 of the defects that were asked for, in 2"
    )
    assert not generate_dataset(plan(), 2, tmp_path / "dots", host).warnings


@pytest.mark.parametrize("parameters", [[3, 4], [], None, "none", 5])
def test_parameters_of_another_kind_are_written_as_they_are(
    host, tmp_path, parameters, monkeypatch
):
    monkeypatch.setattr(Still, "last_parameters", property(lambda s: parameters, lambda s, v: None),
                        raising=False)  # fmt: skip
    assert not generate_dataset(plan(name="still"), 1, tmp_path, host).warnings
    (drawn,) = json.loads((tmp_path / "parameters" / "000000.json").read_text())["generators"]
    assert drawn["parameters"] == parameters


def test_a_component_that_cannot_be_closed_costs_no_dataset(host, tmp_path, monkeypatch):
    def close(self):
        raise RuntimeError("cannot close")

    monkeypatch.setattr(Still, "close", close)
    data = tmp_path / "data"
    still = plan(name="still")
    for how in ({}, {"resume": True}, {"overwrite": True}):
        dataset = generate_dataset(still, 3, data, host, **how)
        (text,) = dataset.warnings
        assert "'still'" in text
        assert "failed while it closed: RuntimeError: cannot close" in text
        assert len(dataset.images) == 3
    again = draw_again(data / "parameters" / "000001.json", tmp_path / "again", host)
    assert [text] == list(again.warnings)
    # Where nothing collects it, it is raised.
    with pytest.raises(ComponentError, match="failed while it closed"), SampleMaker(still, host):
        pass


def files(folder):
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


def contents(folder):
    return {name: (folder / name).read_bytes() for name in files(folder)}


def test_frames_are_on_disk_before_the_next_is_drawn(host, tmp_path, monkeypatch):
    seen = []

    def watch(frame):
        gc.collect()
        alive = sum(ref() is not None for ref in Dots.pixels_alive)
        seen.append((len(list((tmp_path / "data").glob("images/*.png"))), alive))

    monkeypatch.setattr(Dots, "watch", staticmethod(watch))
    told = []
    generate_dataset(
        plan(6), 1, tmp_path / "data", host, progress=lambda *values: told.append(values)
    )
    assert [count for count, _ in seen] == list(range(6))
    # However long the sequence, hardly more than the frame at hand is in memory.
    assert max(alive for _, alive in seen) <= 2
    assert told == [("generate", done, 6) for done in range(7)]


def test_a_sequence_is_what_the_contract_says(host, tmp_path):
    dataset = generate_dataset(plan(3, pixel_size_nm=0.4), 2, tmp_path / "data", host)
    read = open_dataset(tmp_path / "data", host)
    expected = [(k, 0.4, 0.5 + 0.25 * k) for k in range(3)] * 2
    for images in (dataset.images, read.images):
        assert [(i.frame, i.pixel_size_nm, i.dose_dpa) for i in images] == expected
    assert [i.stem for i in read.images][:3] == ["000000-0000", "000000-0001", "000000-0002"]
    record = json.loads((tmp_path / "data/parameters/000001.json").read_text())
    assert record["generators"][0]["parameters"] == {"drawn": 3}
    assert len(record["pixels_sha256"]) == 64


def test_stills_have_the_scale_and_the_dose_that_their_generators_agree_on(host, tmp_path):
    dataset = generate_dataset(plan(pixel_size_nm=0.3), 2, tmp_path / "data", host)
    for image in dataset.images:
        assert (image.frame, image.pixel_size_nm, image.dose_dpa) == (None, 0.3, 0.5)
    two = SamplePlan(
        Choice("plain", "plain"),
        tuple(Choice("dots", f"d{k}", {"pixel_size_nm": s}) for k, s in enumerate((0.3, 0.4))),
        SHAPE,
    )
    (image,) = generate_dataset(two, 1, tmp_path / "two", host).images
    assert (image.pixel_size_nm, image.dose_dpa) == (None, 0.5)


def test_a_generator_is_told_what_is_registered_and_tells_what_it_drew(host, tmp_path):
    generate_dataset(plan(name="asking"), 1, tmp_path / "data", host)
    record = json.loads((tmp_path / "data/parameters/000000.json").read_text())
    assert record["generators"][0]["parameters"] == {
        "title": "Black dot",
        "count": 3,
        "xy": [1.5, 2.5],
    }


def test_a_generator_knows_what_those_beside_it_label(host):
    both = (Choice("dots", "dots"), Choice("lines", "lines"))
    told = []
    for generators, length in ((both, None), (both[::-1], None), (both[:1], 2)):
        made = SampleMaker(SamplePlan(Choice("plain", "plain"), generators, SHAPE, 0, length), host)
        with made as maker:
            maker.make(0)
            told.append([named.component.labelled_types for named in maker._generators])
    assert told == [[{"black dot", "line"}] * 2] * 2 + [[{"black dot"}]]


@pytest.mark.parametrize(("width", "hidden"), [(4, True), (2, False)])
def test_what_a_caption_hides_is_neither_hit_nor_miss(width, hidden, host):
    dots, caption = Choice("dots", "dots"), Choice("caption", "caption", {"width_px": width})
    flags = []
    for generators in ((dots, caption), (caption, dots)):
        with SampleMaker(SamplePlan(Choice("plain", "plain"), generators, SHAPE), host) as maker:
            flags.append([maker.make(k)[0][0].truth.ignore.tolist() for k in range(2)])
    # What is drawn later lies on top.
    assert flags == [[[hidden]] * 2, [[False]] * 2]


def test_what_is_drawn_at_once_is_the_same(host):
    with SampleMaker(plan(4), host) as maker:
        frames, record = maker.make(3)
        sample = maker.sample(3)
        with pytest.raises(RuntimeError, match="complete after its last frame"):
            _ = sample.parameters
        for one, other in zip(frames, sample, strict=True):
            np.testing.assert_array_equal(one.pixels, other.pixels)
        assert sample.parameters == record


def interrupt_at(drawn, monkeypatch):
    """Interrupt the drawing of this frame, counted from 1; return the list of those begun."""
    starts = []

    def watch(frame):
        starts.append(frame)
        if len(starts) == drawn:
            raise KeyboardInterrupt

    monkeypatch.setattr(Dots, "watch", staticmethod(watch))
    return starts


def test_a_sample_that_fails_leaves_nothing_and_is_gone_on_with(host, tmp_path, monkeypatch):
    whole = generate_dataset(plan(5), 2, tmp_path / "whole", host, masks=True)
    starts = interrupt_at(8, monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        generate_dataset(plan(5), 2, tmp_path / "data", host, masks=True)
    left = files(tmp_path / "data")
    assert not [name for name in left if "000001" in name]
    assert len([name for name in left if name.startswith("images/")]) == 5
    assert ".truth/000000.json" in left
    monkeypatch.setattr(Dots, "watch", staticmethod(lambda frame: starts.append(frame)))
    starts.clear()
    again = generate_dataset(
        plan(5), 2, tmp_path / "data", host, masks=True, resume=True, whole={1}
    )
    assert starts == list(range(5))
    assert contents(tmp_path / "data") == contents(tmp_path / "whole")
    assert len(again.images) == len(whole.images)
    kept = ["track_id" in image.instances.measurements for image in again.images]
    assert kept == [False] * 5 + [True] * 5


def test_a_dataset_is_replaced_once_a_sample_of_the_new_one_is_there(host, tmp_path):
    folder = tmp_path / "data"
    generate_dataset(plan(5), 3, folder, host, masks=True)
    former = contents(folder)
    with pytest.raises(ComponentError, match="out of ink"):
        generate_dataset(plan(4, fail_at=2), 2, folder, host, overwrite=True)
    assert contents(folder) == former
    told = []
    follow = {"progress": lambda *values: told.append(values)}
    generate_dataset(plan(4), 2, folder, host, overwrite=True, **follow)
    assert told == [("generate", done, 8) for done in range(9)]
    generate_dataset(plan(4), 2, tmp_path / "whole", host)
    assert contents(folder) == contents(tmp_path / "whole")


def test_what_replaces_a_dataset_is_gone_on_with(host, tmp_path, monkeypatch):
    folder = tmp_path / "data"
    generate_dataset(plan(5), 3, folder, host)
    starts = interrupt_at(8, monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        generate_dataset(plan(4), 2, folder, host, overwrite=True)
    assert not [name for name in files(folder) if "000001" in name]
    generate_dataset(plan(4), 2, folder, host, resume=True)
    assert starts == [*range(4), *range(4), *range(4)]
    generate_dataset(plan(4), 2, tmp_path / "whole", host)
    assert contents(folder) == contents(tmp_path / "whole")


def interrupted(folder, host, monkeypatch):
    """Leave two of five samples, and the image of a third as a kill does."""
    interrupt_at(9, monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        generate_dataset(plan(4), 5, folder, host)
    monkeypatch.setattr(Dots, "watch", staticmethod(lambda frame: None))
    (folder / "images/000002-0000.png").write_bytes(b"not whole")


def test_a_complete_dataset_is_not_drawn_anew(host, tmp_path, monkeypatch):
    folder = tmp_path / "data"
    made = generate_dataset(plan(4, pixel_size_nm=0.4), 2, folder, host)
    former = contents(folder)
    monkeypatch.setattr(Dots, "watch", staticmethod(lambda frame: pytest.fail("it draws")))
    again = generate_dataset(plan(4, pixel_size_nm=0.4), 2, folder, host, resume=True)
    assert again.folder == made.folder
    assert [image.file_name for image in again.images] == [i.file_name for i in made.images]
    assert again.defect_types == made.defect_types
    assert contents(folder) == former


OTHERS = {
    "seed": ({"seed": 3}, "seed was 0, now it is 3"),
    "length": ({"length": 5}, "length was 4, now it is 5"),
    "option": ({"pixel_size_nm": 2.0}, "dots.pixel_size_nm was None, now it is 2.0"),
}


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("case", OTHERS)
def test_what_differs_from_the_dataset_to_go_on_with_is_said(
    case, whole, host, tmp_path, monkeypatch
):
    folder = tmp_path / "data"
    if whole:
        generate_dataset(plan(4), 5, folder, host)
    else:
        interrupted(folder, host, monkeypatch)
    former = contents(folder)
    values, message = OTHERS[case]
    with pytest.raises(UsageError, match=message):
        generate_dataset(plan(**{"length": 4, **values}), 5, folder, host, resume=True)
    with pytest.raises(UsageError, match="masks was False, now it is True"):
        generate_dataset(plan(4), 5, folder, host, resume=True, masks=True)
    assert contents(folder) == former


@pytest.mark.parametrize("count", [1, 3])
def test_a_complete_dataset_has_its_number_of_samples(count, host, tmp_path):
    generate_dataset(plan(), 2, tmp_path, host)
    message = f"is complete with 2 samples, and --count asks for {count}; give --count 2, or"
    with pytest.raises(UsageError, match=message):
        generate_dataset(plan(), count, tmp_path, host, resume=True)


def test_an_interrupted_dataset_may_grow_and_not_shrink(host, tmp_path, monkeypatch):
    folder = tmp_path / "data"
    interrupted(folder, host, monkeypatch)
    for count in (1, 2):
        with pytest.raises(UsageError, match=f"has 3 samples, .* for {count}; give --count 3 or m"):
            generate_dataset(plan(4), count, folder, host, resume=True)
    generate_dataset(plan(4), 7, folder, host, resume=True)
    generate_dataset(plan(4), 7, tmp_path / "whole", host)
    assert contents(folder) == contents(tmp_path / "whole")


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"background": 3, "generators": []}'])
def test_what_is_no_plan_is_neither_gone_on_with_nor_replaced(text, host, tmp_path):
    (tmp_path / "dataset.json").write_text(text)
    (tmp_path / "images").mkdir()
    (tmp_path / "images/mine.png").touch()
    for how in ("resume", "overwrite"):
        with pytest.raises(OutputError, match="is no plan of a dataset that generate wrote"):
            generate_dataset(plan(), 1, tmp_path, host, **{how: True})
    assert files(tmp_path) == ["dataset.json", "images/mine.png"]


class Pool:
    """Stands in for a pool of processes."""

    chunks: ClassVar[list] = []

    def __init__(self, *_, **__):
        pass

    def map(self, function, numbers, chunksize):
        Pool.chunks.append(chunksize)
        raise BrokenExecutor

    def shutdown(self, **_):
        pass


@pytest.mark.parametrize(
    ("count", "length", "chunk"), [(4, None, 1), (20, None, 2), (100, None, 4), (100, 3, 1)]
)
def test_every_worker_has_something_to_do(count, length, chunk, host, tmp_path, monkeypatch):
    monkeypatch.setattr(generation, "worker_pool", Pool)
    message = "a worker process died.*__main__.*fewer --workers.*--resume"
    with pytest.raises(OutputError, match=message):
        generate_dataset(plan(length), count, tmp_path / "data", host, workers=2)
    assert Pool.chunks.pop() == chunk
    assert not (tmp_path / "data").exists()


def test_a_dataset_is_not_both_gone_on_with_and_replaced(host, tmp_path):
    with pytest.raises(UsageError, match="choose one"):
        generate_dataset(plan(), 1, tmp_path / "data", host, resume=True, overwrite=True)
    assert not (tmp_path / "data").exists()


BAD = {
    "raises": ({"fail_at": 2}, r"'dots' .* failed for sample 0, frame 2: RuntimeError: out of ink"),
    "too few": ({"more": -1}, "must yield 4 frames, not 3"),
    "too many": ({"more": 1}, "must yield 4 frames, found more"),
}


@pytest.mark.parametrize("case", BAD)
def test_generators_that_do_not_do_as_told(case, host, tmp_path):
    options, message = BAD[case]
    with pytest.raises(ComponentError, match=message):
        generate_dataset(plan(4, **options), 1, tmp_path / "data", host)
    # The plan may stay; nothing of the sample does.
    assert set(files(tmp_path / "data")) <= {"dataset.json"}


def test_a_generator_without_the_parts_of_its_base_class_is_named(host, tmp_path):
    message = "'unready' of .* failed for sample 0: AttributeError: .* 'last_parameters'"
    with pytest.raises(ComponentError, match=message):
        generate_dataset(plan(name="unready"), 1, tmp_path / "data", host)


def test_stills_are_no_sequences(host, tmp_path):
    message = "^still draws stills only; leave out --length, or .* sequences such as dots$"
    with pytest.raises(UsageError, match=message):
        generate_dataset(plan(4, name="still"), 1, tmp_path / "data", host)
    assert not (tmp_path / "data").exists()


def test_a_sequence_is_drawn_again(host, tmp_path):
    generate_dataset(plan(4, pixel_size_nm=0.4), 2, tmp_path / "data", host)
    source = tmp_path / "data/parameters/000001.json"
    (tmp_path / "again").mkdir()
    dataset = draw_again(source, tmp_path / "again", host)
    assert dataset.folder == tmp_path / "again"
    assert files(tmp_path / "again") == [
        "annotations.json",
        *(f"images/000001-{k:04d}.png" for k in range(4)),
        "parameters/000001.json",
    ]
    for k in range(4):
        name = f"images/000001-{k:04d}.png"
        assert (tmp_path / "again" / name).read_bytes() == (tmp_path / "data" / name).read_bytes()
    (image, *_) = open_dataset(tmp_path / "again", host).images
    assert image.dose_dpa == 0.5
    with pytest.raises(OutputError, match="again exists; choose another"):
        draw_again(source, tmp_path / "again", host)


@pytest.mark.parametrize("made", [False, True])
def test_other_pixels_are_not_written(made, host, tmp_path):
    generate_dataset(plan(4), 1, tmp_path / "data", host)
    source = tmp_path / "data/parameters/000000.json"
    record = json.loads(source.read_text())
    source.write_text(json.dumps({**record, "pixels_sha256": "0" * 64}))
    if made:
        (tmp_path / "again").mkdir()
    with pytest.raises(FormatError, match="comes out with other pixels here"):
        draw_again(source, tmp_path / "again", host)
    assert (tmp_path / "again").exists() == made
    assert not made or not any((tmp_path / "again").iterdir())


@pytest.mark.parametrize(("length", "name"), [(10_000, "000002-0000"), (10_001, "000002-00000")])
def test_names_sort_in_the_order_of_long_sequences(length, name, host):
    with SampleMaker(plan(length), host) as maker:
        assert next(iter(maker.sample(2))).name == name


def test_a_writer_counts_what_it_wrote(host, tmp_path):
    counted = []
    with SampleMaker(plan(3), host) as maker:
        DatasetWriter(tmp_path).write(maker.sample(0), lambda: counted.append(1))
    assert len(counted) == 3


def test_a_dataset_of_another_version_is_not_gone_on_with(host, tmp_path, monkeypatch):
    interrupted(tmp_path / "data", host, monkeypatch)
    assert (tmp_path / "data/dataset.json").is_file()
    record = json.loads((tmp_path / "data/dataset.json").read_text())
    assert record["versions"]["defectscope"] == ds.__version__
    (tmp_path / "data/dataset.json").write_text(
        json.dumps(record | {"versions": {**record["versions"], "defectscope": "0.0.1"}})
    )
    with pytest.raises(UsageError, match=r"begun with .*defectscope 0\.0\.1"):
        generate_dataset(plan(4), 5, tmp_path / "data", host, resume=True)
    # Those of earlier versions say nothing of it.
    del record["versions"]
    (tmp_path / "data/dataset.json").write_text(json.dumps(record))
    assert len(generate_dataset(plan(4), 5, tmp_path / "data", host, resume=True).images) == 20
