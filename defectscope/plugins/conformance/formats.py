"""Annotation formats: what is asked of those that read and write labelled images."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from defectscope.core.base import AnnotationFormat
from defectscope.core.components import FormatSpec
from defectscope.core.datasets import Dataset, LabelledImage
from defectscope.core.errors import DefectscopeError
from defectscope.core.instances import Instances
from defectscope.plugins.conformance.basics import (
    Check,
    ConformanceError,
    NotCheckedError,
    Setup,
    expect,
)
from defectscope.plugins.conformance.files import GARBAGE, clear_error, temporary_folder
from defectscope.plugins.conformance.samples import sample_frame, sample_instances

__all__ = ["CHECKS"]

GARBAGE_SUFFIXES = (".json", ".xml", ".csv", ".txt", ".zip", ".bin")
BOX_TOLERANCE_PX = 1.0
OUTPUT_NAMES = ("out", *(f"out{suffix}" for suffix in GARBAGE_SUFFIXES))


def check_directions(component: type[AnnotationFormat], setup: Setup) -> None:
    """It reads and writes exactly as its FormatSpec declares."""
    reads, writes = _directions(component)
    expect(reads or writes, "a format must have load, save or both")
    if not isinstance(setup.spec, FormatSpec):
        raise NotCheckedError("the FormatSpec is not known here")
    expect(
        (setup.spec.reads, setup.spec.writes) == (reads, writes),
        f"the FormatSpec says reads={setup.spec.reads}, writes={setup.spec.writes}, but the "
        f"class has {'load' if reads else 'no load'} and {'save' if writes else 'no save'}",
    )


def _directions(component: type[AnnotationFormat]) -> tuple[bool, bool]:
    return (
        component.load is not AnnotationFormat.load,
        component.save is not AnnotationFormat.save,
    )


def check_accepts_any_path(component: type[AnnotationFormat], setup: Setup) -> None:
    """Asked whether it takes a path, it answers for any path."""
    with setup.opened(component) as form, temporary_folder() as folder:
        for path in (folder, folder / "missing.json", *_garbage(folder)):
            answer = form.accepts(path)
            expect(
                isinstance(answer, bool | np.bool_),
                f"accepts must return True or False, found {type(answer).__name__}",
            )


def check_unreadable_annotations(component: type[AnnotationFormat], setup: Setup) -> None:
    """What is missing or garbage gives a clear error."""
    if not _directions(component)[0]:
        raise NotCheckedError("it cannot be read")
    with setup.opened(component) as form, temporary_folder() as folder:
        with clear_error("a path that does not exist", must=True):
            form.load(folder / "missing.json")
        empty = folder / "nothing"
        empty.mkdir()
        with clear_error("an empty folder", must=False):
            form.load(empty)
        for path in _garbage(folder):
            with clear_error(f"a file of garbage ({path.name})", must=True):
                form.load(path)


def _garbage(folder: Path) -> list[Path]:
    paths = [folder / f"garbage{suffix}" for suffix in GARBAGE_SUFFIXES]
    for path in paths:
        path.write_bytes(GARBAGE)
    return paths


def check_writes(component: type[AnnotationFormat], setup: Setup) -> None:
    """It writes a dataset, images without instances included, and reads it again if it can."""
    reads, writes = _directions(component)
    if not writes:
        raise NotCheckedError("it cannot be written")
    with setup.opened(component) as form, temporary_folder() as folder:
        for name, ignored in (("plain", False), ("ignored", True)):
            (folder / name).mkdir()
            _expect_written(form, _dataset(folder / name / "images", ignored), folder / name, reads)


def _expect_written(form: AnnotationFormat, dataset: Dataset, folder: Path, reads: bool) -> None:
    path, warnings = _saved(form, dataset, folder)
    expect(
        isinstance(warnings, list) and all(isinstance(w, str) for w in warnings),
        f"save must return a list of warnings, empty or not, found {warnings!r:.80}",
    )
    expect(path.exists(), f"save must write to the path that it is given ({path.name})")
    if reads and not warnings:
        _expect_same(dataset, form.load(path))


def _saved(form: AnnotationFormat, dataset: Dataset, folder: Path) -> tuple[Path, Any]:
    refusals = []
    for name in OUTPUT_NAMES:
        try:
            return folder / name, form.save(dataset, folder / name)
        except DefectscopeError as error:
            # A format may insist on its suffix, as long as it says so.
            refusals.append(str(error))
    raise ConformanceError(f"save refuses every path; for {OUTPUT_NAMES[0]!r}: {refusals[0]}")


def _dataset(folder: Path, ignored: bool) -> Dataset:
    import cv2

    folder.mkdir()
    images = []
    for position, shape in enumerate(((64, 96), (37, 53))):
        name = f"frame{position + 1}.png"
        # Not by OpenCV itself, which fails on Windows where a path is not plain ASCII.
        cv2.imencode(".png", sample_frame(shape).pixels)[1].tofile(folder / name)
        found = sample_instances(shape, shapes=("ellipse",))
        found = replace(found, ignore=np.arange(len(found)) == 0) if ignored else found
        images.append(LabelledImage(name, found if position == 0 else found[:0], position + 1))
    return Dataset(images, folder, ("dislocation-loop", "dislocation"))


def _expect_same(dataset: Dataset, back: Any) -> None:
    expect(
        isinstance(back, Dataset),
        f"load must return a defectscope.Dataset, found {type(back).__name__}",
    )
    expected, found = ({image.stem: image.instances for image in d.images} for d in (dataset, back))
    counts = [{stem: len(one) for stem, one in images.items()} for images in (expected, found)]
    expect(
        counts[0] == counts[1],
        f"what was written must come back (or save must warn of what is lost): expected "
        f"{counts[0]} instances, found {counts[1]}",
    )
    for stem, instances in expected.items():
        differs = _lost(instances, found[stem])
        expect(
            not differs,
            f"what was written must come back (or save must warn of what is lost): in {stem} "
            f"{differs}",
        )


def _lost(expected: Instances, found: Instances) -> str:
    """Return what came back otherwise, in any order, boxes within a pixel; empty for nothing."""
    one, other = (x[np.lexsort(np.round(x.boxes).T)] for x in (expected, found))
    if not np.allclose(one.boxes, other.boxes, rtol=0, atol=BOX_TOLERANCE_PX):
        return f"boxes {one.boxes.tolist()} became {other.boxes.tolist()}"
    if one.defect_types.tolist() != other.defect_types.tolist():
        return f"defect types {one.defect_types.tolist()} became {other.defect_types.tolist()}"
    if one.ignore.tolist() != other.ignore.tolist():
        return f"ignore {one.ignore.tolist()} became {other.ignore.tolist()}"
    return ""


CHECKS: tuple[Check, ...] = (
    check_directions,
    check_accepts_any_path,
    check_unreadable_annotations,
    check_writes,
)
