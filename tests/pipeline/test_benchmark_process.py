"""A detector in a process of its own: measured, and its end explained."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile

import defectscope as ds
from defectscope.core.base import Runtime
from defectscope.pipeline.benchmark_process import ProcessFailedError, end_of_process, measure
from defectscope.pipeline.named import NamedComponent
from defectscope.plugins.host import default_host


@pytest.fixture(scope="module")
def frames(tmp_path_factory):
    """Three frames, of which the second is damaged."""
    folder = tmp_path_factory.mktemp("frames")
    for k in range(3):
        pixels = np.random.default_rng(k).integers(0, 60000, (60, 80), dtype=np.uint16)
        tifffile.imwrite(folder / f"f{k}.tif", pixels)
    (folder / "f1.tif").write_bytes((folder / "f1.tif").read_bytes()[:900])
    return ds.open(folder)


@pytest.fixture(scope="module")
def detector():
    component = default_host().build("detectors", "dark-blobs", {"min_area_px": 5}, Runtime())
    return NamedComponent("blobs", component)


@pytest.fixture(scope="module")
def measured(detector, frames):
    # What this process holds must not count as what that one does.
    ballast = np.ones(2**27, np.uint8)
    result = measure(detector, frames, 1)
    del ballast
    return result


def test_it_finds_what_it_finds_here(measured, detector, frames):
    for position in (0, 2):
        found = measured.frames[position].instances
        with detector.component as component:
            (here,) = component.detect([frames[position]])
        np.testing.assert_array_equal(found.boxes, here.boxes)
        np.testing.assert_array_equal(found.scores, here.scores)


def test_a_damaged_frame_is_said_and_does_not_stop_it(measured):
    damaged = measured.frames[1]
    assert damaged.instances is damaged.detect_s is None
    assert "f1.tif" in damaged.error


def test_times_and_memory_are_those_of_the_process(measured):
    assert all(frame.detect_s > 0 for frame in measured.frames if frame.instances is not None)
    assert min(measured.import_s, measured.open_s, measured.warm_up_s) >= 0
    assert 20 < measured.memory_before_mib <= measured.peak_memory_mib < 1000
    import resource

    # Which getrusage, asked in a child, would take over from this process.
    mine = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    assert measured.memory_before_mib < mine - 100


def test_a_detector_that_cannot_travel_is_one_sentence(frames):
    class Local(ds.Detector):
        def detect(self, given):
            return []

    with pytest.raises(ProcessFailedError, match=r"'local' cannot be sent to a process of its own"):
        measure(NamedComponent("local", Local()), frames, 1)


def test_no_readable_frame_is_one_sentence(detector, frames):
    with pytest.raises(ProcessFailedError, match=r"no frame of 1 can be read; .*f1\.tif"):
        measure(detector, frames.select(1, 2, 1), 1)


@pytest.mark.parametrize(
    ("code", "done", "log", "sentence"),
    [
        (3, 0, "one\ntwo \n", "its process ended with exit code 3 before its first frame was "
         "finished: two"),
        (0, 1, "", "its process ended with exit code 0 after 1 finished frame"),
        (-9, 4, "x", "its process was ended by SIGKILL after 4 finished frames "
         "(perhaps for want of memory)"),
        (-11, 4, "x", "its process was ended by SIGSEGV after 4 finished frames"),
        (-250, 0, "", "its process was ended by signal 250 before its first frame was finished"),
    ],
)  # fmt: skip
def test_the_end_of_a_process_is_one_sentence(code, done, log, sentence):
    assert end_of_process(code, done, log) == sentence
