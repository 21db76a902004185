"""Microscope formats: real files, and small ones written here."""

from __future__ import annotations

import importlib.util
import json
import pickle
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from defectscope import DamagedFrameError, InputError, MissingPackageError, Runtime
from defectscope.readers.microscope import (
    SUFFIXES,
    MicroscopeFrames,
    MicroscopeOptions,
    MicroscopeReader,
)

Dataset = Callable[..., dict[str, Any]]

STACK = np.random.default_rng(0).integers(0, 4096, (5, 24, 32)).astype(np.uint16)


@pytest.fixture
def _rsciio() -> None:
    pytest.importorskip("rsciio", reason="RosettaSciIO (extra 'microscope') is not installed")


needs_rsciio = pytest.mark.usefixtures("_rsciio")


def opened(path: Path, **options: Any) -> MicroscopeFrames:
    return MicroscopeReader(MicroscopeOptions(**options), Runtime()).read(path)


def write_mrc(path: Path, stack: np.ndarray, angstrom: float | None = 2.0) -> Path:
    """Write MRC2014 by hand; `angstrom` is the pixel, None leaves the cell empty."""
    modes = {"int8": 0, "int16": 1, "float32": 2, "uint16": 6}
    header = np.zeros(256, "<i4")
    header[:3] = stack.shape[::-1]
    header[3] = modes[stack.dtype.name]
    if angstrom is not None:
        header[7:10] = stack.shape[::-1]
        header.view("<f4")[10:13] = np.array(stack.shape[::-1]) * angstrom
    header[16:19] = 1, 2, 3
    header[27] = 20140
    header.view("u1")[208:216] = list(b"MAP DD\0\0")
    path.write_bytes(header.tobytes() + stack.tobytes())
    return path


def write_emd(path: Path, datasets: dict[str, tuple[np.ndarray, list[tuple[str, str]]]]) -> Path:
    """Write Berkeley's EMD by hand: datasets with their axes (name, unit), 0.5 a step."""
    h5py = pytest.importorskip("h5py", reason="h5py is not installed")
    with h5py.File(path, "w") as file:
        file.attrs["version_major"], file.attrs["version_minor"] = 0, 2
        for title, (data, axes) in datasets.items():
            group = file.create_group(f"data/{title}")
            group.attrs["emd_group_type"] = 1
            group["data"] = data
            for k, (name, unit) in enumerate(axes):
                axis = group.create_dataset(f"dim{k + 1}", data=np.arange(data.shape[k]) * 0.5)
                axis.attrs["name"], axis.attrs["units"] = name, unit
    return path


def write_velox(path: Path, stacks: dict[str, np.ndarray], with_spectra: bool = False) -> Path:
    """Write Thermo Fisher's EMD by hand: stacks (n, y, x) of 0.4 nm a pixel, 1.75 s a frame."""
    h5py = pytest.importorskip("h5py", reason="h5py is not installed")
    metadata = {
        "BinaryResult": {
            "PixelSize": {"height": "4e-10", "width": "4e-10"},
            "PixelUnitX": "m",
            "PixelUnitY": "m",
            "Offset": {"x": "0", "y": "0"},
            "DetectorIndex": "0",
        },
        "Scan": {"FrameTime": "1.75"},
        "Detectors": {"Detector-0": {"DetectorName": "HAADF", "DetectorType": "ScanningDetector"}},
        "Acquisition": {"AcquisitionStartDatetime": {"DateTime": "1481000000"}},
        "Optics": {"AccelerationVoltage": "200000", "CameraLength": "0.1"},
        "Stage": {"AlphaTilt": "0", "Position": {"x": "0", "y": "0", "z": "0"}},
        "Instrument": {"InstrumentModel": "Talos", "InstrumentId": "1"},
        "Core": {"MetadataDefinitionVersion": "7.9"},
    }
    text = np.frombuffer(json.dumps(metadata).encode(), np.uint8)
    with h5py.File(path, "w") as file:
        version = json.dumps({"format": "Velox", "version": "7"})
        file.create_dataset("Version", data=np.array([version.encode()], object),
                            dtype=h5py.string_dtype())  # fmt: skip
        for identity, stack in stacks.items():
            group = file.create_group(f"Data/Image/{identity}")
            data = np.moveaxis(stack, 0, -1)
            group.create_dataset("Data", data=data, chunks=(*data.shape[:2], 1))
            group["Metadata"] = np.tile(text[:, None], len(stack))
        if with_spectra:
            file.create_group("Data/SpectrumImage")
            file.create_group("Presentation/Displays/ImageDisplay")
    return path


IMAGE_AXES = [("y", "[n_m]"), ("x", "[n_m]")]


@needs_rsciio
@pytest.mark.parametrize("kind", ["uint16", "int16", "float32", "int8"])
def test_mrc_stacks_are_exact(tmp_path: Path, kind: str) -> None:
    stack = (STACK % 200).astype(kind)
    frames = opened(write_mrc(tmp_path / "a.mrc", stack))
    assert frames.names == tuple(f"a.mrc#{k}" for k in range(5))
    for position in (0, 1, 4, 2):
        assert np.array_equal(frames[position].pixels, stack[position])
    assert frames[0].pixels.dtype == (np.uint16 if kind == "uint16" else np.float32)
    assert frames.calibration.pixel_size_nm == pytest.approx(0.2)
    copy = pickle.loads(pickle.dumps(frames))
    assert np.array_equal(copy.read(3), stack[3])
    frames.close()
    assert np.array_equal(frames.read(3), stack[3])


@needs_rsciio
@pytest.mark.parametrize(("flags", "kind"), [(0, np.uint8), (1, np.int8)])
def test_bytes_of_mrc_files_by_imod(tmp_path: Path, flags: int, kind: type[np.generic]) -> None:
    path = write_mrc(tmp_path / "a.mrc", STACK.astype(np.int8))
    content = bytearray(path.read_bytes())
    content[152:160] = np.array([1146047817, flags], "<i4").tobytes()
    path.write_bytes(content)
    assert np.array_equal(opened(path).read(2), STACK[2].astype(kind))


@needs_rsciio
def test_a_big_endian_mrc_is_refused(tmp_path: Path) -> None:
    path = write_mrc(tmp_path / "a.mrc", STACK)
    content = bytearray(path.read_bytes())
    content[212:214] = b"\x11\x11"
    path.write_bytes(content)
    with pytest.raises(InputError, match="big-endian"):
        opened(path)


@needs_rsciio
def test_other_suffixes_and_a_name_with_movie(tmp_path: Path) -> None:
    folder = tmp_path / "movie_1"
    folder.mkdir()
    frames = opened(write_mrc(folder / "movie.REC", STACK[:1]))
    assert frames.names == ("movie.REC",)
    assert np.array_equal(frames.read(0), STACK[0])


@needs_rsciio
@pytest.mark.parametrize(
    ("angstrom", "expected", "warned"), [(None, None, 0), (1.0, 0.1, 1), (3.5, 0.35, 0)]
)
def test_scale_of_mrc(
    tmp_path: Path, angstrom: float | None, expected: float | None, warned: int
) -> None:
    frames = opened(write_mrc(tmp_path / "a.mrc", STACK, angstrom))
    size = frames.calibration.pixel_size_nm
    assert size == (None if expected is None else pytest.approx(expected))
    assert len(frames.warnings) == warned


@needs_rsciio
def test_a_cut_off_mrc_is_refused(tmp_path: Path) -> None:
    path = write_mrc(tmp_path / "a.mrc", STACK)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(InputError, match=r"a\.mrc is cut off .*5 of 32 x 24 px"):
        opened(path)


@needs_rsciio
@pytest.mark.parametrize("suffix", [*SUFFIXES])
@pytest.mark.parametrize("content", [b"", b"this is text, not an image", b"\xff" * 3000])
def test_other_files_of_that_name(tmp_path: Path, suffix: str, content: bytes) -> None:
    path = tmp_path / f"fake{suffix}"
    path.write_bytes(content)
    with pytest.raises(InputError, match=rf"fake\{suffix}"):
        opened(path)


@needs_rsciio
@pytest.mark.parametrize("order", ["n y x", "y x n", "x y n"])
def test_emd_axes_go_by_their_names(tmp_path: Path, order: str) -> None:
    letters = order.split()
    stored = np.transpose(STACK, ["nyx".index(letter) for letter in letters])
    axes = {"n": ("time", "[s]"), "y": ("y", "[n_m]"), "x": ("x", "[n_m]")}
    path = write_emd(tmp_path / "a.emd", {"stack": (stored, [axes[k] for k in letters])})
    frames = opened(path)
    assert len(frames) == 5
    for position in (0, 4, 1):
        assert np.array_equal(frames.read(position), STACK[position])
    assert frames.calibration.pixel_size_nm == pytest.approx(0.5)
    assert frames.calibration.frame_interval_s == pytest.approx(0.5)
    frames.close()
    path.unlink()


@needs_rsciio
def test_a_stack_of_velox(tmp_path: Path) -> None:
    frames = opened(write_velox(tmp_path / "a.emd", {"0123": STACK}))
    assert frames.names == tuple(f"a.emd#{k}" for k in range(5))
    for position in (0, 4, 1):
        assert np.array_equal(frames[position].pixels, STACK[position])
    assert frames.calibration.pixel_size_nm == pytest.approx(0.4)
    assert frames.calibration.frame_interval_s == pytest.approx(1.75)
    assert frames.warnings == []
    copy = pickle.loads(pickle.dumps(frames))
    frames.close()
    assert np.array_equal(copy.read(3), STACK[3])
    copy.close()


@needs_rsciio
def test_spectra_beside_images_of_velox_name_the_package_that_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "sparse" else found(name)
    )
    path = write_velox(tmp_path / "a.emd", {"0123": STACK[:1]}, with_spectra=True)
    with pytest.raises(MissingPackageError) as caught:
        opened(path)
    assert "needs the package sparse" in str(caught.value)
    assert 'pip install "rosettasciio[eds-stream]"' in str(caught.value)


@needs_rsciio
def test_one_of_several_stacks_is_chosen(tmp_path: Path) -> None:
    second = STACK[:2] + np.uint16(7)
    path = write_velox(tmp_path / "a.emd", {"a": STACK, "b": second})
    with opened(path) as frames:
        assert len(frames) == 7
        assert frames.calibration.pixel_size_nm == pytest.approx(0.4)
        # Where one stack ends and the next begins, no frame interval lies between.
        assert frames.calibration.frame_interval_s is None
        assert any("--set microscope.dataset=1" in text for text in frames.warnings)
    with opened(path, dataset=2) as frames:
        assert [np.array_equal(f.pixels, s) for f, s in zip(frames, second, strict=True)] == [
            True,
            True,
        ]
        assert frames.calibration.frame_interval_s == pytest.approx(1.75)
        assert frames.warnings == []
    with pytest.raises(InputError, match=r"no dataset 3 of images; it holds 1 .*5 of 32 x 24 px"):
        opened(path, dataset=3)


@needs_rsciio
def test_images_are_taken_out_of_several_datasets(tmp_path: Path) -> None:
    first, second = STACK[0], STACK[1, :16]
    spectrum = (np.arange(50.0), [("energy", "[eV]")])
    path = write_emd(
        tmp_path / "a.emd",
        {"haadf": (first, IMAGE_AXES), "bf": (second, IMAGE_AXES), "eels": spectrum},
    )
    frames = opened(path)
    assert sorted(frame.shape for frame in frames) == [(16, 32), (24, 32)]
    assert len(frames.warnings) == 1
    assert "holds 3 datasets" in frames.warnings[0]
    assert "'haadf' (1 of 32 x 24 px)" in frames.warnings[0]
    assert "left out: a spectrum" in frames.warnings[0]


@needs_rsciio
def test_images_that_differ_in_pixel_size(tmp_path: Path) -> None:
    axes = [("y", "[u_m]"), ("x", "[u_m]")]
    path = write_emd(tmp_path / "a.emd", {"a": (STACK[0], IMAGE_AXES), "b": (STACK[1], axes)})
    assert any("differ in pixel size (0.5 nm, 500 nm)" in text for text in opened(path).warnings)


@needs_rsciio
def test_hyperspy_files(tmp_path: Path, dataset: Dataset) -> None:
    hspy = pytest.importorskip("rsciio.hspy", reason="h5py is not installed")
    signal = dataset(STACK, ["s", "nm", "nm"], [1.75, 0.4, 0.4], navigate=1) | {
        "attributes": {"_lazy": False, "ragged": False},
        "original_metadata": {},
        "learning_results": {},
        "package_info": {},
        "models": {},
        "tmp_parameters": {},
    }
    for axis in signal["axes"]:
        axis |= {"offset": 0.0, "_type": "UniformDataAxis"}
    path = tmp_path / "a.hspy"
    hspy.file_writer(str(path), signal)
    frames = opened(path)
    assert np.array_equal(frames[4].pixels, STACK[4])
    assert frames.calibration.pixel_size_nm == pytest.approx(0.4)
    assert frames.calibration.frame_interval_s == pytest.approx(1.75)
    frames.close()
    assert np.array_equal(frames[1].pixels, STACK[1])
    frames.close()


@needs_rsciio
@pytest.mark.parametrize("suffix", [".mrc", ".emd"])
def test_one_frame_is_held_at_a_time(tmp_path: Path, suffix: str) -> None:
    stack = np.zeros((80, 128, 128), np.uint16)
    stack[:, :9] = np.arange(1, 81)[:, None, None]
    path = tmp_path / f"a{suffix}"
    if suffix == ".mrc":
        write_mrc(path, stack)
    else:
        write_emd(path, {"stack": (stack, [("time", "[s]"), *IMAGE_AXES])})
    opened(path).read(0)  # imports
    tracemalloc.start()
    try:
        frames = opened(path)
        for position in range(len(frames)):
            assert frames.read(position)[0, 0] == position + 1
        _, peak = tracemalloc.get_traced_memory()
        frames.close()
    finally:
        tracemalloc.stop()
    assert peak < stack.nbytes / 2


@needs_rsciio
def test_a_file_that_disappears_is_a_damaged_frame(tmp_path: Path) -> None:
    frames = opened(write_mrc(tmp_path / "a.mrc", STACK))
    frames.close()
    (tmp_path / "a.mrc").unlink()
    with pytest.raises(DamagedFrameError, match=r"a\.mrc#1: .*No such file"):
        frames.read(1)


def test_colours_of_digital_micrograph(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dataset: Dataset
) -> None:
    colours = np.zeros(STACK[0].shape, [(name, "u1") for name in "BGRA"])
    for name in "RGB":
        colours[name] = STACK[0] % 256
    datasets = [dataset(colours, ["nm", "nm"], [0.4, 0.4])]
    monkeypatch.setattr("defectscope.readers.microscope.load_datasets", lambda *_: datasets)
    frames = opened(tmp_path / "a.dm4")
    assert np.array_equal(frames[0].pixels, STACK[0] % 256)


@pytest.mark.parametrize("module", ["rsciio", "rsciio.mrc"])
def test_without_rosettasciio_the_extra_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: str
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingPackageError) as caught:
        opened(write_mrc(tmp_path / "a.mrc", STACK))
    assert "rosettasciio" in str(caught.value)
    assert 'pip install "defectscope[microscope]"' in str(caught.value)
