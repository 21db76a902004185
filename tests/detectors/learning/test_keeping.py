"""Checkpoints are on the disk before they take the place of the former one."""

from __future__ import annotations

import os

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("lightning")

from defectscope.core.errors import OutputError  # noqa: E402
from defectscope.detectors.learning.keeping import WholeFiles  # noqa: E402


@pytest.fixture
def former(tmp_path):
    path = tmp_path / "last.ckpt"
    WholeFiles().save_checkpoint({"step": 1}, path)
    return path


@pytest.mark.skipif(os.name == "nt", reason="Windows itself tells how the file is open")
def test_a_file_is_open_for_writing_while_it_is_put_on_the_disk(tmp_path, monkeypatch):
    """Windows refuses to do so for a file that is open for reading alone."""
    import fcntl

    seen = []
    monkeypatch.setattr(os, "fsync", lambda file: seen.append(fcntl.fcntl(file, fcntl.F_GETFL)))
    WholeFiles().save_checkpoint({"step": 1}, tmp_path / "last.ckpt")
    assert [flags & os.O_ACCMODE for flags in seen] == [os.O_RDWR]
    assert torch.load(tmp_path / "last.ckpt", weights_only=True) == {"step": 1}


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), RuntimeError("writer")])
def test_a_full_disk_leaves_the_former_one(former, monkeypatch, error):
    def fails(*_):
        raise error

    monkeypatch.setattr(torch, "save", fails)
    with pytest.raises(OutputError, match=r"cannot write .*last\.ckpt.*is the disk full\?"):
        WholeFiles().save_checkpoint({"step": 2}, former)
    assert torch.load(former, weights_only=True) == {"step": 1}
    assert [path.name for path in former.parent.iterdir()] == ["last.ckpt"]
