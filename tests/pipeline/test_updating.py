"""Updates of a watch that are ended while they write."""

from __future__ import annotations

import os
import signal
import sys
import time

import pytest

from defectscope.core.calibration import Calibration
from defectscope.core.files import atomic_path
from defectscope.pipeline import updating
from defectscope.pipeline.updating import Update, Updater

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals are those of POSIX")


class Lasting(Update):
    """Is in the middle of a file for a minute."""

    def bring_up_to_date(self, note):
        with atomic_path(self.folder / "tracks.parquet") as temporary:
            temporary.write_bytes(b"half")
            (self.folder / "begun").touch()
            time.sleep(60)


class Deaf(Lasting):
    """Does not listen either."""

    def bring_up_to_date(self, note):
        note(["a.csv", "a.png"])
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        super().bring_up_to_date(note)


@pytest.fixture
def started(tmp_path):
    def start(kind, *note):
        update = kind(tmp_path, None, [], Calibration(), "parquet", False)
        updater = Updater(update, 1.0, 0.0, *note)
        updater.start(0.0)
        return updater

    return start


def wait_for(path):
    end = time.monotonic() + 60
    while not path.exists():
        assert time.monotonic() < end
        time.sleep(0.02)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_ctrl_c_does_not_reach_an_update(started, tmp_path, capfd):
    former = signal.getsignal(signal.SIGINT)
    updater = started(Lasting)
    assert signal.getsignal(signal.SIGINT) == former
    # As soon as there is a process, while it imports, and while it writes.
    for pause in (0.0, 0.1, 0.4):
        time.sleep(pause)
        os.kill(updater._process.pid, signal.SIGINT)
    wait_for(tmp_path / "begun")
    for number in (signal.SIGINT, signal.SIGHUP):
        os.kill(updater._process.pid, number)
    time.sleep(0.2)
    assert updater._process.is_alive()
    updater.stop()
    assert capfd.readouterr().err == ""


def test_an_update_that_is_ended_takes_back_half_a_file(started, tmp_path, monkeypatch, capfd):
    # It is a nice process, which a busy machine may keep waiting.
    monkeypatch.setattr(updating, "PATIENCE_S", 300.0)
    updater = started(Lasting)
    wait_for(tmp_path / "begun")
    process = updater._process
    updater.stop()
    # By itself, and not killed for want of patience.
    assert process.exitcode == 0
    assert names(tmp_path) == ["begun"]
    assert capfd.readouterr().err == ""


def test_of_one_that_does_not_listen_nothing_stays(started, tmp_path, monkeypatch):
    monkeypatch.setattr(updating, "PATIENCE_S", 0.2)
    (tmp_path / "figures").mkdir()
    for name in (".my-notes.txt", "figures/.sizes-0123456789.png", "figures/sizes.png"):
        (tmp_path / name).touch()
    noted = []
    updater = started(Deaf, noted.append)
    wait_for(tmp_path / "begun")
    assert len(names(tmp_path)) == 4
    updater.stop()
    assert names(tmp_path) == [".my-notes.txt", "begun", "figures"]
    assert names(tmp_path / "figures") == ["sizes.png"]
    # It said which figures are ours before it was killed.
    assert noted == [["a.csv", "a.png"]]
