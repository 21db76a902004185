from __future__ import annotations

import os

import pytest

from defectscope.core import cores
from defectscope.core.cores import available_cores


@pytest.fixture
def groups(tmp_path, monkeypatch):
    monkeypatch.setattr(cores, "CGROUPS", tmp_path)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    (tmp_path / "cpu").mkdir()
    return tmp_path


def test_without_control_groups(groups):
    assert available_cores() == 8


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("200000 100000\n", 2),
        ("150000 100000\n", 2),
        ("1000 100000\n", 1),
        ("3200000 100000\n", 8),
        ("max 100000\n", 8),
        ("200000 0\n", 8),
        ("", 8),
        ("two cores\n", 8),
    ],
)
def test_the_quota_of_a_container(groups, text, expected):
    (groups / "cpu.max").write_text(text, encoding="ascii")
    assert available_cores() == expected


@pytest.mark.parametrize(("quota", "expected"), [("250000", 3), ("-1", 8), ("", 8)])
def test_the_quota_of_an_older_container(groups, quota, expected):
    (groups / "cpu" / "cpu.cfs_quota_us").write_text(f"{quota}\n", encoding="ascii")
    (groups / "cpu" / "cpu.cfs_period_us").write_text("100000\n", encoding="ascii")
    assert available_cores() == expected


def test_a_file_that_is_no_text(groups):
    (groups / "cpu.max").write_bytes(b"\xff\xfe\x00")
    assert available_cores() == 8
