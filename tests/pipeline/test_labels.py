"""Opening and saving labelled data through whichever formats are installed."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from defectscope import AnnotationFormat, FormatSpec, Options, hookimpl
from defectscope.core.datasets import Dataset
from defectscope.core.errors import (
    ComponentError,
    FormatError,
    InputError,
    OptionError,
    OutputError,
    UnknownNameError,
    UsageError,
)
from defectscope.pipeline.labels import (
    detect_format,
    format_names,
    open_dataset,
    save_dataset,
)
from defectscope.plugins.host import PluginHost, PluginRecord
from defectscope.readers import plugin as shipped

PLAIN = {"images": [], "annotations": [], "categories": []}


class Everything(AnnotationFormat):
    """Accepts every path."""

    def accepts(self, path: Path) -> bool:
        return True

    def load(self, path: Path) -> Dataset:
        return Dataset([], None, tuple(self.runtime.defect_types))


class Broken(AnnotationFormat):
    """Raises wherever it can."""

    def accepts(self, path: Path) -> bool:
        raise RuntimeError("accepts failed")

    def load(self, path: Path) -> Dataset:
        raise ZeroDivisionError("load failed")

    def save(self, dataset: Dataset, path: Path) -> list[str]:
        raise ZeroDivisionError("save failed")


class Ending(AnnotationFormat):
    """Ends the program wherever it can."""

    def accepts(self, path: Path) -> bool:
        raise SystemExit(0)

    def load(self, path: Path) -> Dataset:
        raise SystemExit(0)

    def save(self, dataset: Dataset, path: Path) -> list[str]:
        raise SystemExit(0)


class Strange(AnnotationFormat):
    """Returns something else, and writes where it must not."""

    def load(self, path: Path) -> Dataset:
        return "no dataset"  # type: ignore[return-value]

    def save(self, dataset: Dataset, path: Path) -> list[str]:
        (path / "below").write_text("x")
        return []


def host_with(*specs: FormatSpec, distribution: str = "other") -> PluginHost:
    @hookimpl
    def defectscope_formats() -> list[FormatSpec]:
        return list(specs)

    host = PluginHost(entry_points=[])
    host.register(shipped, PluginRecord("readers", "defectscope", "1", "x"))
    if specs:
        plugin: Any = SimpleNamespace(defectscope_formats=defectscope_formats)
        host.register(plugin, PluginRecord("p", distribution, "1", "y"))
    return host


def spec(name: str, target: type, **values: Any) -> FormatSpec:
    return FormatSpec(name, "A format.", f"{__name__}:{target.__name__}", **values)


@pytest.fixture(autouse=True)
def _importable(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    # Test modules are imported by path; specs name them like any module.
    module = SimpleNamespace(Everything=Everything, Broken=Broken, Ending=Ending, Strange=Strange)
    monkeypatch.setitem(sys.modules, __name__, module)


@pytest.fixture
def coco(tmp_path: Path) -> Path:
    path = tmp_path / "labels.json"
    path.write_text(json.dumps(PLAIN))
    return path


def test_shipped_formats_are_found_and_told_apart(tmp_path: Path, coco: Path) -> None:
    host = host_with()
    names = ["coco", "labelme", "yolo", "pascal-voc", "imagej-csv", "imagej-roi", "napari"]
    assert format_names(host) == format_names(host, writes=True) == names
    assert detect_format(coco, host) == "coco"
    dataset = open_dataset(coco, host)
    assert dataset.images == ()
    assert dataset.warnings == ()
    targets = ["c", "l", "y", "v", "r.csv", "r.zip", "n"]
    for format_name, target in zip(names, targets, strict=True):
        save_dataset(dataset, tmp_path / target, format_name, host)
    for format_name, target in (("coco", "c"), ("yolo", "y"), ("imagej-csv", "r.csv")):
        assert detect_format(tmp_path / target, host) == format_name
    assert detect_format(tmp_path / "r.zip", host) == "imagej-roi"


def test_nothing_there(tmp_path: Path) -> None:
    for name in (None, "coco"):
        with pytest.raises(InputError, match=r"there is no file or folder .*none"):
            open_dataset(tmp_path / "none", host_with(), name)


def test_no_format_accepts(tmp_path: Path) -> None:
    (tmp_path / "a.doc").touch()
    with pytest.raises(FormatError, match=r"a\.doc is in none of .*: coco, labelme, yolo, pascal"):
        open_dataset(tmp_path / "a.doc", host_with())


def test_several_formats_accept(coco: Path) -> None:
    host = host_with(spec("everything", Everything))
    message = "could be coco and everything of other 1 .*name the format .* --no-plugin other$"
    with pytest.raises(FormatError, match=message):
        detect_format(coco, host)
    dataset = open_dataset(coco, host)
    assert dataset.defect_types == ()
    (warning,) = dataset.warnings
    assert "could be coco and everything of other 1" in warning
    assert warning.endswith(
        "is read as coco: leave out the other with --no-plugin other, or convert it first (--from "
        "NAME)"
    )
    assert open_dataset(coco, host, "everything").images == []


def test_several_formats_of_plugins_accept(tmp_path: Path) -> None:
    (tmp_path / "a.doc").touch()
    host = host_with(spec("everything", Everything), spec("more", Everything))
    with pytest.raises(FormatError, match=r"everything of .* more of .* --no-plugin other$"):
        open_dataset(tmp_path / "a.doc", host)


def test_formats_of_one_name_are_told_apart_by_distribution(coco: Path) -> None:
    host = host_with(spec("coco", Everything))
    with pytest.raises(FormatError, match="could be defectscope/coco and other/coco"):
        detect_format(coco, host)
    assert "read as defectscope/coco" in open_dataset(coco, host).warnings[0]
    assert open_dataset(coco, host, "other/coco").images == []


def test_broken_plugins_do_not_hide_the_others(tmp_path: Path, coco: Path) -> None:
    missing = FormatSpec("missing", "Not there.", "no_such_module_anywhere:X")
    host = host_with(spec("broken", Broken), missing)
    assert detect_format(coco, host) == "coco"
    (tmp_path / "a.doc").touch()
    with pytest.raises(FormatError, match=r"could not be asked: broken: accepts failed; missing: "):
        open_dataset(tmp_path / "a.doc", host)


def test_components_that_raise_are_named(tmp_path: Path, coco: Path) -> None:
    host = host_with(spec("broken", Broken), spec("strange", Strange))
    with pytest.raises(
        ComponentError, match=r"'broken' of other 1 .* failed while it read .*: ZeroDivision"
    ):
        open_dataset(coco, host, "broken")
    with pytest.raises(
        ComponentError, match=r"'broken' of other 1 .* failed while it wrote .*: ZeroDivision"
    ):
        save_dataset(Dataset([]), tmp_path / "out", "broken", host)
    with pytest.raises(ComponentError, match=r"'strange' of other 1 .* must return a Dataset"):
        open_dataset(coco, host, "strange")
    with pytest.raises(OutputError, match=r"cannot write .*: No such file or directory"):
        save_dataset(Dataset([]), tmp_path / "out", "strange", host)


def test_a_component_that_ends_the_program_is_named(tmp_path: Path, coco: Path) -> None:
    host = host_with(spec("ending", Ending))
    assert detect_format(coco, host) == "coco"
    with pytest.raises(ComponentError, match=r"'ending' of other 1 .* while it read .*SystemExit"):
        open_dataset(coco, host, "ending")
    with pytest.raises(ComponentError, match=r"'ending' of other 1 .* while it wrote .*SystemExit"):
        save_dataset(Dataset([]), tmp_path / "out", "ending", host)


def test_directions(tmp_path: Path, coco: Path) -> None:
    host = host_with(
        spec("reads", Everything, writes=False), spec("writes", Everything, reads=False)
    )
    assert "writes" not in format_names(host)
    with pytest.raises(UsageError, match="'writes' can only be written; formats to read are: coco"):
        open_dataset(coco, host, "writes")
    with pytest.raises(UsageError, match="'reads' can only be read; formats to write are: coco"):
        save_dataset(Dataset([]), tmp_path / "out", "reads", host)


def test_unknown_names_and_options(coco: Path) -> None:
    host = host_with()
    with pytest.raises(UnknownNameError, match=r"no format 'coca'.*did you mean 'coco'"):
        open_dataset(coco, host, "coca")
    with pytest.raises(OptionError, match="'coco' has no option 'x'"):
        open_dataset(coco, host, "coco", {"x": 1})


def test_formats_know_the_defect_types(coco: Path) -> None:
    host = host_with(spec("everything", Everything))
    assert open_dataset(coco, host, "everything").defect_types == tuple(host.defect_types())
    assert issubclass(Everything.Options, Options)
