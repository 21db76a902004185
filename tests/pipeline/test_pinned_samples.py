"""The same seed gives the same pixels and truth: here, on other processors, with any workers.

``pinned_samples.json`` holds digests of one small sample of each shipped generator on each
shipped background. Where a generator is changed on purpose, write them anew:
``python tests/pipeline/test_pinned_samples.py``.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import re
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import pytest

from defectscope.generators import plugin
from defectscope.pipeline.choices import make_choices
from defectscope.pipeline.generation import generate_dataset
from defectscope.pipeline.labels import open_dataset
from defectscope.pipeline.samples import SampleMaker, SamplePlan
from defectscope.plugins.host import default_host

PINNED = Path(__file__).with_name("pinned_samples.json")
CONSTRAINTS = Path(__file__).parents[2] / "constraints.txt"
SHAPE, SEED = (120, 136), 11
OPTIONS = {
    "images": {"folder": "patches"},
    "twin": {"labels": "labels.json"},
    "dislocations": {"count": 5},
    "loops": {"count": 9, "lines_probability": 1, "bend_contour_probability": 1},
    "in-situ-loops": {"count": 9},
}
# How the processors of others compute: none of the faster instructions of this one.
OTHER_PROCESSOR = {
    "OPENCV_CPU_DISABLE": "AVX512_SKX,AVX2,AVX,FP16,SSE4.2,SSE4.1,NEON_DOTPROD,NEON_FP16",
    "OPENCV_IPP": "disabled",
    "NPY_DISABLE_CPU_FEATURES": "X86_V4 X86_V3 AVX512_SKX AVX512F AVX512CD AVX2 FMA3",
    "OPENBLAS_CORETYPE": "Nehalem",
    "GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX512F,-AVX2,-FMA,-AVX",
}


@cache
def _unpinned() -> str:
    """Return which packages have other versions than those that the digests were made with."""
    other = []
    for name in ("numpy", "scipy", "opencv-python-headless"):
        pinned = re.search(rf"^{name}==(\S+)", CONSTRAINTS.read_text(), re.MULTILINE)
        installed = importlib.metadata.version(name)
        if pinned is None or pinned[1] != installed:
            other.append(f"{name} {installed}")
    return ", ".join(other)


def cases() -> list[str]:
    """Return every shipped generator on every shipped background, and sequences."""
    backgrounds = [spec.name for spec in plugin.defectscope_backgrounds()]
    generators = [spec.name for spec in plugin.defectscope_generators()]
    stills = [
        f"{generator} on {background}" for background in backgrounds for generator in generators
    ]
    return [*stills, "in-situ-loops on texture, 3 frames"]


def prepared(folder: Path) -> None:
    """Write the files that the options name."""
    (folder / "patches").mkdir()
    rng = np.random.default_rng(3)
    for number in range(3):
        pixels = rng.integers(60, 200, (150, 160), np.uint8)
        cv2.imwrite(str(folder / "patches" / f"{number}.png"), pixels)
    labelled = rng.integers(130, 170, (150, 160), np.uint8)
    lines = [np.array([[x, 20], [x + 9, 60], [x, 99]]) for x in (30, 60, 100)]
    cv2.polylines(labelled, lines, False, 40, 3)
    cv2.imwrite(str(folder / "labelled.png"), labelled)
    shapes = [
        {"label": "dislocation", "shape_type": "linestrip", "points": line.tolist()}
        for line in lines
    ]
    document = {"shapes": shapes, "imagePath": "labelled.png", "imageData": None,
                "imageHeight": 150, "imageWidth": 160}  # fmt: skip
    (folder / "labels.json").write_text(json.dumps(document))


def plan(case: str, folder: Path) -> SamplePlan:
    generator, background, length = re.fullmatch(
        r"(\S+) on (\S+?)(?:, (\d+) frames)?", case
    ).groups()
    options = {
        name: {
            key: str(folder / value) if key in ("folder", "labels") else value
            for key, value in values.items()
        }
        for name, values in OPTIONS.items()
        if name in (generator, background)
    }
    # A twin has the proportions of its image.
    shape = (150, 160) if generator == "twin" else SHAPE
    chosen = make_choices([background, generator], options)
    return SamplePlan(chosen[0], (chosen[1],), shape, SEED, length and int(length))


def digest_of_truth(truth) -> str:
    """Return a digest of all that is labelled, lengths to 0.001 px."""
    digest = hashlib.sha256()
    for values in (truth.boxes, *(truth.lines or ()), *(truth.measurements.values())):
        digest.update(np.round(np.asarray(values, np.float64) * 1000).tobytes())
    for mask in truth.masks or ():
        digest.update(repr(mask.box).encode() + mask.bitmap.tobytes())
    names = [*truth.defect_types, *truth.measurements]
    return hashlib.sha256(digest.digest() + "\n".join(names).encode()).hexdigest()


def digests(folder: Path) -> dict[str, dict[str, str]]:
    """Return digests of the pixels and of the truth of each case."""
    found = {}
    for case in cases():
        with SampleMaker(plan(case, folder), default_host()) as maker:
            frames, record = maker.make(0)
        assert sum(len(frame.truth) for frame in frames) > 2, case
        truth = "".join(digest_of_truth(frame.truth) for frame in frames)
        found[case] = {
            "pixels": record["pixels_sha256"],
            "truth": hashlib.sha256(truth.encode()).hexdigest(),
        }
    return found


@pytest.fixture(scope="module")
def pinned():
    if _unpinned():
        pytest.skip(f"the digests are those of other versions than {_unpinned()}")
    return json.loads(PINNED.read_text())


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pinned")
    prepared(folder)
    return folder


def differing(found, pinned):
    return {
        f"{case}: {what}"
        for case in found | pinned
        for what in ("pixels", "truth")
        if found.get(case, {}).get(what) != pinned.get(case, {}).get(what)
    }


def test_this_process_gives_the_pinned_pixels_and_truth(folder, pinned):
    assert not differing(digests(folder), pinned)


@pytest.mark.skipif(sys.platform != "linux", reason="needs the environment variables of Linux")
def test_a_processor_with_fewer_instructions_does_too(folder, pinned):
    done = subprocess.run(
        [sys.executable, "-W", "ignore", __file__, str(folder)],
        env={**os.environ, **OTHER_PROCESSOR},
        capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert not differing(json.loads(done.stdout), pinned)


def test_workers_change_nothing(folder, pinned, tmp_path):
    case = "dislocations on perlin"
    found = []
    for workers in (1, 4):
        data = tmp_path / str(workers)
        generate_dataset(plan(case, folder), 6, data, workers=workers, masks=True)
        # Decoded as somebody else would.
        digest = hashlib.sha256()
        for path in sorted(data.rglob("*.png")):
            digest.update(path.relative_to(data).as_posix().encode())
            digest.update(cv2.imread(str(path), cv2.IMREAD_UNCHANGED).tobytes())
        for image in open_dataset(data, default_host()).images:
            digest.update(digest_of_truth(image.instances).encode())
        first = cv2.imread(str(data / "images/000000.png"), cv2.IMREAD_UNCHANGED)
        assert hashlib.sha256(first.tobytes()).hexdigest() == pinned[case]["pixels"]
        found.append(digest.hexdigest())
    assert found[0] == found[1]


if __name__ == "__main__":
    if sys.argv[1:]:
        print(json.dumps(digests(Path(sys.argv[1]))))
    else:
        with tempfile.TemporaryDirectory() as name:
            prepared(Path(name))
            PINNED.write_text(json.dumps(digests(Path(name)), indent=1) + "\n")
