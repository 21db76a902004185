from __future__ import annotations

import hashlib
import importlib.metadata
import platform
import sys
from importlib.metadata import version

import pytest

from defectscope.core import provenance
from defectscope.core.provenance import file_digest, package_versions


@pytest.fixture
def small_limits(monkeypatch):
    monkeypatch.setattr(provenance, "WHOLE_FILE_LIMIT_BYTES", 100)
    monkeypatch.setattr(provenance, "SAMPLE_BYTES", 10)


def written(folder, content):
    file = folder / "movie.mp4"
    file.write_bytes(content)
    return file


def test_a_whole_file_has_its_sha256(tmp_path):
    file = written(tmp_path, b"abc")
    assert file_digest(file) == f"sha256:{hashlib.sha256(b'abc').hexdigest()}"
    assert file_digest(file) == file_digest(file)
    assert file_digest(written(tmp_path, b"")) == f"sha256:{hashlib.sha256(b'').hexdigest()}"


def test_a_file_of_several_chunks(tmp_path):
    content = bytes(range(256)) * 10_000
    expected = hashlib.sha256(content).hexdigest()
    assert file_digest(written(tmp_path, content)) == f"sha256:{expected}"


@pytest.mark.usefixtures("small_limits")
def test_above_the_limit_a_file_is_sampled(tmp_path):
    at_limit, above = bytes(100), bytes(101)
    assert file_digest(written(tmp_path, at_limit)).startswith("sha256:")
    sampled = file_digest(written(tmp_path, above))
    assert sampled.startswith("sha256-sampled:")
    assert sampled == file_digest(written(tmp_path, above))


@pytest.mark.usefixtures("small_limits")
@pytest.mark.parametrize("place", [0, 9, 100, 109, 190, 199])
def test_a_sampled_digest_sees_start_middle_and_end(tmp_path, place):
    content = bytearray(200)
    before = file_digest(written(tmp_path, content))
    content[place] = 1
    assert file_digest(written(tmp_path, content)) != before


@pytest.mark.usefixtures("small_limits")
def test_a_sampled_digest_sees_the_size(tmp_path):
    assert file_digest(written(tmp_path, bytes(200))) != file_digest(written(tmp_path, bytes(201)))


def test_the_limits_are_as_documented():
    assert provenance.WHOLE_FILE_LIMIT_BYTES == 64 * 1024 * 1024
    assert provenance.SAMPLE_BYTES == 1024 * 1024


def test_versions_of_what_is_installed():
    found = package_versions(["numpy", "no-such-package"])
    assert found == {"python": platform.python_version(), "numpy": version("numpy")}
    assert package_versions()["defectscope"] == version("defectscope")


@pytest.mark.parametrize("name", ["imagecodecs", "laptrack", "openvino", "torchvision"])
def test_what_decides_about_numbers_is_told_without_an_import(name, monkeypatch):
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "1.2")
    before = set(sys.modules)
    assert package_versions()[name] == "1.2"
    assert set(sys.modules) == before
