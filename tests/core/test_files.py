from __future__ import annotations

import errno
import json
import os
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from defectscope.core.errors import FormatError, OutputError
from defectscope.core.files import (
    atomic_folder,
    atomic_path,
    contents,
    inside,
    write_json,
    write_text,
)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_what_systems_put_into_folders_is_not_counted(tmp_path):
    (tmp_path / "lost+found").mkdir()
    for name in (".DS_Store", "._notes.txt", "Thumbs.db", "desktop.ini", "Desktop.ini"):
        (tmp_path / name).touch()
    assert contents(tmp_path) == contents(tmp_path / "none") == []
    for name in ("notes.txt", ".hidden", "Thumbs.db.txt"):
        (tmp_path / name).touch()
    assert [path.name for path in contents(tmp_path)] == [".hidden", "Thumbs.db.txt", "notes.txt"]


class TestAtomicWriting:
    def test_the_file_appears_at_the_end(self, tmp_path):
        target = tmp_path / "new" / "folders" / "a.json"
        with atomic_path(target) as temporary:
            assert temporary.parent == target.parent
            assert temporary.suffix == ".json"
            temporary.write_text("{}", encoding="utf-8")
            assert not target.exists()
        assert target.read_text(encoding="utf-8") == "{}"
        assert names(target.parent) == ["a.json"]

    @pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
    def test_a_failure_leaves_nothing_behind(self, tmp_path, error):
        def write():
            with atomic_path(tmp_path / "a.txt") as temporary:
                temporary.write_text("half", encoding="utf-8")
                raise error("stop")

        with pytest.raises(error, match="stop"):
            write()
        assert names(tmp_path) == []

    def test_a_failure_leaves_the_older_file(self, tmp_path):
        write_text(tmp_path / "a.txt", "whole")

        def write():
            with atomic_path(tmp_path / "a.txt") as temporary:
                temporary.write_text("half", encoding="utf-8")
                raise RuntimeError("stop")

        with pytest.raises(RuntimeError, match="stop"):
            write()
        assert names(tmp_path) == ["a.txt"]
        assert (tmp_path / "a.txt").read_text(encoding="utf-8") == "whole"

    def test_a_full_disk_is_an_output_error(self, tmp_path):
        def write():
            with atomic_path(tmp_path / "a.txt"):
                raise OSError(28, "No space left on device")

        with pytest.raises(OutputError, match=r"cannot write .*a\.txt: No space left on device"):
            write()
        assert names(tmp_path) == []

    def test_a_folder_that_cannot_be_made(self, tmp_path):
        write_text(tmp_path / "file", "")
        with pytest.raises(OutputError, match=r"cannot write .*file.inner.txt: "):
            write_text(tmp_path / "file" / "inner.txt", "x")

    def test_a_folder_in_the_place_of_the_file(self, tmp_path):
        (tmp_path / "a.txt").mkdir()
        with pytest.raises(OutputError, match=r"cannot write .*a\.txt: "):
            write_text(tmp_path / "a.txt", "x")
        assert names(tmp_path) == ["a.txt"]

    @pytest.mark.skipif(os.name == "nt", reason="Windows has no file modes")
    def test_the_mode_is_that_of_any_new_file(self, tmp_path):
        write_text(tmp_path / "a.txt", "x")
        (tmp_path / "b.txt").write_text("x", encoding="utf-8")
        assert (tmp_path / "a.txt").stat().st_mode == (tmp_path / "b.txt").stat().st_mode

    def test_json(self, tmp_path):
        value = {"name": "a/2⟨111⟩", "counts": [1, 2.5, None]}
        write_json(tmp_path / "a.json", value)
        text = (tmp_path / "a.json").read_text(encoding="utf-8")
        assert json.loads(text) == value
        assert "⟨111⟩" in text
        assert text.endswith("}\n")

    def test_json_of_other_values(self, tmp_path):
        with pytest.raises(TypeError):
            write_json(tmp_path / "a.json", {"path": object()})
        assert names(tmp_path) == []
        write_json(tmp_path / "a.json", {"path": Path("x"), "n": 1j}, default=str)
        written = json.loads((tmp_path / "a.json").read_text(encoding="utf-8"))
        assert written == {"path": "x", "n": "1j"}


class TestAtomicFolder:
    @pytest.fixture
    def former(self, tmp_path):
        folder = tmp_path / "a"
        folder.mkdir()
        write_text(folder / "old.txt", "old")
        return folder

    def put(self, folder):
        with atomic_folder(folder) as temporary:
            (temporary / "new.txt").write_text("new", encoding="utf-8")

    def test_the_folder_appears_at_the_end(self, tmp_path):
        with atomic_folder(tmp_path / "new" / "a") as temporary:
            assert temporary.parent == tmp_path / "new"
            assert names(tmp_path / "new") == [temporary.name]
        assert names(tmp_path / "new") == ["a"]

    def test_it_takes_the_place_of_a_former_one(self, former):
        self.put(former)
        assert names(former) == ["new.txt"]
        assert names(former.parent) == ["a"]

    def test_a_former_one_that_nobody_can_delete(self, former, monkeypatch):
        """On Windows a file that somebody reads cannot be deleted."""
        real = shutil.rmtree

        def rmtree(path, ignore_errors=False):
            if (path / "old.txt").exists():
                if ignore_errors:
                    return
                raise PermissionError(errno.EACCES, "used by another process")
            real(path, ignore_errors=ignore_errors)

        monkeypatch.setattr(shutil, "rmtree", rmtree)
        self.put(former)
        assert names(former) == ["new.txt"]

    @pytest.mark.parametrize("denied", ["former", "new"])
    def test_a_former_one_stays_where_renaming_fails(self, former, monkeypatch, denied):
        """On Windows a folder cannot be renamed while a file in it is open."""
        real = Path.replace

        def replace(self, target):
            is_new = (self / "new.txt").exists()
            if is_new == (denied == "new"):
                raise PermissionError(errno.EACCES, "used by another process")
            return real(self, target)

        monkeypatch.setattr(Path, "replace", replace)
        with pytest.raises(OutputError, match=r"cannot write .*a: used by another process"):
            self.put(former)
        assert names(former) == ["old.txt"]
        assert names(former.parent) == ["a"]


class TestInside:
    @pytest.mark.parametrize(
        ("name", "expected"),
        [
            ("a.png", "a.png"),
            ("images/a.png", "images/a.png"),
            ("images\\a.png", "images/a.png"),
            ("./a.png", "a.png"),
            ("images//a.png", "images/a.png"),
            ("a..b.png", "a..b.png"),
            ("..a/b.png", "..a/b.png"),
            ("Messung 5 µm.png", "Messung 5 µm.png"),
        ],
    )
    def test_names_below_the_folder(self, name, expected):
        assert inside(Path("set"), name) == Path("set", *expected.split("/"))

    @pytest.mark.parametrize(
        "name",
        [
            "",
            ".",
            "..",
            "../a.png",
            "a/../../b.png",
            "a/../b.png",
            "..\\a.png",
            "a\\..\\..\\b.png",
            "/etc/passwd",
            "//server/share/a.png",
            "\\a.png",
            "\\\\server\\share\\a.png",
            "C:\\a.png",
            "C:/a.png",
            "c:a.png",
            "\\\\?\\C:\\a.png",
            "a\0b.png",
        ],
    )
    def test_names_that_lead_elsewhere_are_refused(self, name):
        with pytest.raises(FormatError, match="is not the name of a file inside") as caught:
            inside(Path("set"), name)
        assert repr(name) in str(caught.value)
        assert str(Path("set")) in str(caught.value)

    @given(st.text(alphabet="ab./\\: C\0", max_size=12))
    def test_whatever_is_let_through_stays_inside(self, name):
        folder = Path("/set/images") if os.name != "nt" else Path("C:/set/images")
        try:
            path = inside(folder, name)
        except FormatError:
            return
        resolved = Path(os.path.normpath(path))
        assert folder in resolved.parents
        assert "\\" not in name or os.sep == "\\" or "\\" not in str(path)
