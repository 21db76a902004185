"""The order of files."""

from __future__ import annotations

from pathlib import Path, PurePosixPath, PureWindowsPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from defectscope.core.file_order import natural_key, visible_files
from defectscope.generators.input_files import labelme_files
from defectscope.pipeline.input_files import ReaderTable, input_files
from defectscope.plugins.host import default_host
from defectscope.readers.formats.image_files import list_images

IN_ORDER = ["B1", "B2", "b02", "b10", "frame9", "Frame10", "frame11"]


@given(st.lists(st.text(st.sampled_from("aB0129._"), max_size=6), min_size=2, max_size=5))
def test_natural_order_is_an_order(names: list[str]) -> None:
    ordered = sorted(names, key=natural_key)
    assert sorted(set(names), key=natural_key) == list(dict.fromkeys(ordered))


@given(st.integers(0, 10**6), st.integers(0, 10**6))
def test_natural_order_goes_by_value(a: int, b: int) -> None:
    if a != b:  # else case decides
        assert (natural_key(f"img{a}.png") < natural_key(f"IMG{b}.png")) == (a < b)


def test_it_is_the_same_on_every_system() -> None:
    names = ["A/x2.png", "a/x10.png", "a/X1.png"]
    orders = [
        [p.as_posix() for p in sorted(map(kind, names), key=natural_key)]
        for kind in (PurePosixPath, PureWindowsPath)
    ]
    assert orders == [["a/X1.png", "A/x2.png", "a/x10.png"]] * 2


def test_hidden_files_and_folders_are_left_out(tmp_path: Path) -> None:
    folder = tmp_path / ".hidden above"
    for name in ("b10.txt", "b9.txt", "._b9.txt", "in/c.txt", "in/._c.txt", ".trash/d.txt", "e.md"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    (folder / "f.txt").mkdir()
    found = visible_files(folder, "**/*.txt")
    assert [p.relative_to(folder).as_posix() for p in found] == ["b9.txt", "b10.txt", "in/c.txt"]
    assert [p.name for p in visible_files(folder, "*.txt")] == ["b9.txt", "b10.txt"]


@pytest.mark.parametrize("what", ["inputs", "images of labels", "labels to draw from"])
def test_all_that_read_a_folder_have_one_order(what: str, tmp_path: Path) -> None:
    suffix = ".json" if what == "labels to draw from" else ".png"
    for name in [*IN_ORDER, f"._{IN_ORDER[0]}"]:
        (tmp_path / f"{name}{suffix}").touch()
    if what == "inputs":
        found = input_files([tmp_path], ReaderTable(default_host()), [])
    elif what == "images of labels":
        found = list_images(tmp_path)
    else:
        found = labelme_files(tmp_path)
    assert [path.stem for path in found] == IN_ORDER
