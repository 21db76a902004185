"""Folders written whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from defectscope.core.errors import OutputError
from defectscope.readers.formats.folder_output import whole_folder


def names(folder: Path) -> list[str]:
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def test_new_folder_appears_whole(tmp_path: Path) -> None:
    with whole_folder(tmp_path / "a/out") as folder:
        (folder / "x.txt").write_text("x")
        assert not (tmp_path / "a/out").exists()
    assert names(tmp_path) == ["a/out/x.txt"]
    # As accessible as any folder that its owner makes.
    (tmp_path / "plain").mkdir()
    assert (tmp_path / "a/out").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_failure_leaves_nothing(tmp_path: Path) -> None:
    def fail() -> None:
        with whole_folder(tmp_path / "out") as folder:
            (folder / "x.txt").write_text("x")
            raise ValueError("stop")

    with pytest.raises(ValueError, match="stop"):
        fail()
    assert list(tmp_path.iterdir()) == []


def test_existing_folder_keeps_other_files(tmp_path: Path) -> None:
    (tmp_path / "out/images").mkdir(parents=True)
    (tmp_path / "out/images/a.png").write_text("image")
    (tmp_path / "out/x.txt").write_text("old")
    with whole_folder(tmp_path / "out") as folder:
        (folder / "sub").mkdir()
        (folder / "sub/y.txt").write_text("y")
        (folder / "x.txt").write_text("new")
    assert names(tmp_path) == ["out/images/a.png", "out/sub/y.txt", "out/x.txt"]
    assert (tmp_path / "out/x.txt").read_text() == "new"


@pytest.mark.parametrize("full", [True, False])
def test_folder_that_must_stay_where_it_is(
    tmp_path: Path, full: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As of a mounted one: it cannot be removed, and nothing can be moved into it from outside."""
    out = tmp_path / "out"
    out.mkdir()
    if full:
        (out / "x.txt").write_text("old")
    renamed = Path.replace

    def replace(self: Path, target: Path) -> Path:
        assert self.is_relative_to(out)
        return renamed(self, target)

    monkeypatch.setattr(Path, "replace", replace)
    monkeypatch.setattr(Path, "rename", replace)
    before = out.stat().st_ino
    with whole_folder(out) as folder:
        (folder / "x.txt").write_text("new")
    assert out.stat().st_ino == before
    assert names(tmp_path) == ["out/x.txt"]
    assert [path.name for path in out.iterdir()] == ["x.txt"]


def test_link_to_an_empty_folder(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    try:
        (tmp_path / "out").symlink_to(tmp_path / "there", target_is_directory=True)
    except OSError:
        pytest.skip("links cannot be made here")
    with whole_folder(tmp_path / "out") as folder:
        (folder / "x.txt").write_text("x")
    assert names(tmp_path / "there") == ["x.txt"]
    assert (tmp_path / "out").is_symlink()


def test_file_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("x")
    with (
        pytest.raises(OutputError, match="a file of that name exists"),
        whole_folder(tmp_path / "out"),
    ):
        pytest.fail("must not be entered")
    (tmp_path / "file").write_text("x")
    with (
        pytest.raises(OutputError, match="cannot write"),
        whole_folder(tmp_path / "file/out"),
    ):
        pytest.fail("must not be entered")
