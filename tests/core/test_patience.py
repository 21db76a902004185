from __future__ import annotations

import errno
import sys
from pathlib import Path

import pytest

from defectscope.core import patience
from defectscope.core.errors import OutputError
from defectscope.core.files import write_text
from defectscope.core.patience import patiently


class Holder:
    """A program that holds a file while others try to replace it for the first times."""

    times = 3
    tries = 0

    def deny(self):
        self.tries += 1
        if self.tries <= self.times:
            raise PermissionError(errno.EACCES, "used by another process")


@pytest.fixture
def path(tmp_path):
    write_text(tmp_path / "a.txt", "old")
    return tmp_path / "a.txt"


@pytest.fixture
def holder(path, monkeypatch):
    holder, real = Holder(), Path.replace

    def replace(self, target):
        holder.deny()
        return real(self, target)

    monkeypatch.setattr(Path, "replace", replace)
    monkeypatch.setattr(patience, "PAUSE_S", 0.001)
    return holder


def test_windows_gets_another_try(path, holder, monkeypatch):
    monkeypatch.setattr(sys, "platform", "win32")
    write_text(path, "new")
    assert path.read_text(encoding="utf-8") == "new"
    assert holder.tries == 4


def test_patience_has_an_end(path, holder, monkeypatch):
    holder.times = 10**6
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr(patience, "PATIENCE_S", 0.02)
    with pytest.raises(OutputError, match=r"cannot write .*a\.txt: used by another process"):
        write_text(path, "new")
    assert path.read_text(encoding="utf-8") == "old"
    assert holder.tries > 1


def test_elsewhere_a_denial_is_final(path, holder, monkeypatch):
    monkeypatch.setattr(sys, "platform", "linux")
    with pytest.raises(OutputError, match="used by another process"):
        write_text(path, "new")
    assert holder.tries == 1


def test_other_errors_are_final(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "platform", "win32")
    with pytest.raises(FileNotFoundError):
        patiently((tmp_path / "nowhere").stat)
