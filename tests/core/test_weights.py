"""Weights on disk: what was saved is what is opened, and anything else is refused."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from defectscope import ComponentSpec
from defectscope.core.errors import FormatError, InputError, PluginClashError, UnknownNameError
from defectscope.core.weights import (
    PICKLES,
    WeightFiles,
    WeightsCard,
    find_weights,
    read_tensors,
    refuse_pickles,
)

TENSORS = {
    "stem.weight": np.arange(24, dtype=np.float32).reshape(2, 3, 4),
    "stem.count": np.array(7, np.int64),
    "empty": np.zeros((0, 3), np.float32),
}
ONNX = b"a network"


def card(**values):
    plain = {"detector": "heatmap", "defect_types": ("black dot",), "architecture": {"width": 3},
             "threshold": 0.25, "data": "eleven images"}  # fmt: skip
    return WeightsCard.model_validate({**plain, **values})


@pytest.fixture
def saved(tmp_path):
    """Weights whose name has a dot in it."""
    return WeightFiles.save(tmp_path / "mine-0.5.safetensors", card(), TENSORS, ONNX)


def shipped_file():
    return Path("/somewhere/shipped.safetensors")


REGISTERED = {"loops": ComponentSpec("loops", "For the tests.", f"{__name__}:shipped_file")}


def registered(monkeypatch):
    monkeypatch.setattr(ComponentSpec, "load", lambda self: shipped_file)
    return REGISTERED


class TestFiles:
    def test_three_files_of_one_stem_and_nothing_else(self, saved, tmp_path):
        names = {"mine-0.5.safetensors", "mine-0.5.onnx", "mine-0.5.json"}
        assert {path.name for path in tmp_path.iterdir()} == names
        assert saved.tensors == tmp_path / "mine-0.5.safetensors"
        assert saved.onnx == tmp_path / "mine-0.5.onnx"

    @pytest.mark.parametrize("suffix", [".safetensors", ".onnx", ".json"])
    def test_any_of_the_three_opens_them(self, saved, tmp_path, suffix):
        opened = WeightFiles.open(tmp_path / f"mine-0.5{suffix}", "heatmap")
        assert opened == saved
        found = read_tensors(opened.checked(".safetensors"))
        assert found.keys() == TENSORS.keys()
        for name, value in TENSORS.items():
            np.testing.assert_array_equal(found[name], value)
            assert found[name].dtype == value.dtype
        assert opened.checked(".onnx").read_bytes() == ONNX

    def test_a_path_may_be_text_and_text_a_path(self, saved):
        assert WeightFiles.open(str(saved.tensors)) == saved
        assert read_tensors(str(saved.tensors)).keys() == TENSORS.keys()
        assert find_weights(saved.tensors, {}) == saved.tensors
        assert WeightFiles.save(str(saved.tensors), card(), TENSORS, ONNX) == saved

    def test_the_card_holds_the_digests_of_the_files(self, saved):
        for suffix, path in (("safetensors", saved.tensors), ("onnx", saved.onnx)):
            assert saved.card.sha256[suffix] == hashlib.sha256(path.read_bytes()).hexdigest()
        assert json.loads((saved.stem.parent / "mine-0.5.json").read_text())["format"] == 1

    def test_the_same_weights_are_the_same_bytes(self, saved, tmp_path):
        again = WeightFiles.save(tmp_path / "b/x.safetensors", card(), TENSORS, ONNX)
        assert again.card == saved.card

    def test_where_there_is_no_twin_none_of_former_weights_is_left(self, saved, tmp_path):
        files = WeightFiles.save(saved.tensors, card(), TENSORS, None)
        assert not files.onnx.exists()
        with pytest.raises(InputError, match=r"mine-0\.5\.onnx"):
            files.checked(".onnx")


class TestDamage:
    @pytest.mark.parametrize("suffix", [".safetensors", ".onnx"])
    def test_another_digest(self, saved, suffix):
        path = saved.tensors.with_name(f"mine-0.5{suffix}")
        path.write_bytes(path.read_bytes() + b"x")
        with pytest.raises(FormatError, match="is damaged or another file than its card"):
            saved.checked(suffix)

    @pytest.mark.parametrize("suffix", [".safetensors", ".onnx"])
    def test_a_file_of_the_three_is_missing(self, saved, suffix):
        saved.tensors.with_name(f"mine-0.5{suffix}").unlink()
        opened = WeightFiles.open(saved.stem.with_name("mine-0.5.json"))
        with pytest.raises(InputError, match=r"belongs to the card mine-0\.5\.json"):
            opened.checked(suffix)

    def test_without_a_digest_in_the_card_nothing_is_compared(self, saved):
        files = WeightFiles(saved.stem, card())
        saved.onnx.write_bytes(b"anything")
        assert files.checked(".onnx") == saved.onnx

    def test_without_its_card(self, saved):
        saved.stem.with_name("mine-0.5.json").unlink()
        with pytest.raises(InputError, match=r"without its card mine-0\.5\.json, which lies besid"):
            WeightFiles.open(saved.tensors)

    def test_another_detector(self, saved):
        with pytest.raises(FormatError, match=r"the detector 'heatmap', not of 'yolo'"):
            WeightFiles.open(saved.tensors, "yolo")

    @pytest.mark.parametrize("length", [0, 5, 40, -1])
    def test_truncated_tensors(self, saved, length):
        data = saved.tensors.read_bytes()
        saved.tensors.write_bytes(data[:length])
        with pytest.raises(FormatError, match="truncated or no safetensors file"):
            read_tensors(saved.tensors)

    def test_no_tensors_at_all(self, tmp_path):
        with pytest.raises(InputError, match="cannot read the weights"):
            read_tensors(tmp_path / "nothing.safetensors")


CARDS = {
    "no JSON": ("{", "no card of weights: Expecting"),
    "no table": ("[1, 2]", "no card of weights: content: "),
    "bytes": (b"\xff\xfe\x00", "no card of weights: "),
    "deep": ("[" * 100_000, "no card of weights: "),
    "future format": ({"format": 2}, "no card of weights: format: "),
    "no types": ({"defect_types": []}, "no card of weights: defect_types: "),
    "threshold": ({"threshold": 1.5}, "no card of weights: threshold: "),
    "not a number": ({"threshold": float("nan")}, "no card of weights: threshold: "),
    "unknown key": ({"colour": "red"}, "no card of weights: colour: "),
}


@pytest.mark.parametrize("case", CARDS)
def test_malformed_cards_are_refused_in_one_sentence(saved, case):
    content, message = CARDS[case]
    if isinstance(content, dict):
        content = json.dumps({**saved.card.model_dump(mode="json"), **content})
    data = content if isinstance(content, bytes) else content.encode()
    (saved.stem.parent / "mine-0.5.json").write_bytes(data)
    with pytest.raises(FormatError, match=message):
        WeightFiles.open(saved.tensors)


def test_a_card_needs_what_predicting_needs():
    for name in ("detector", "defect_types", "architecture", "threshold", "data"):
        values = card().model_dump()
        del values[name]
        with pytest.raises(ValidationError, match=name):
            WeightsCard.model_validate(values)


class TestNames:
    def test_a_registered_name(self, monkeypatch):
        assert find_weights("loops", registered(monkeypatch)) == shipped_file()

    def test_a_registered_name_comes_before_a_file_of_that_name(self, monkeypatch, tmp_path):
        monkeypatch.chdir(tmp_path)
        Path("loops").mkdir()
        assert find_weights("loops", registered(monkeypatch)) == shipped_file()

    def test_a_path(self, saved):
        assert find_weights(str(saved.tensors), {}) == saved.tensors

    @pytest.mark.parametrize("name", ["lops", "loops.safetensors", "/nowhere/x.safetensors", ""])
    def test_neither(self, name, monkeypatch):
        with pytest.raises(UnknownNameError, match="registered names: loops"):
            find_weights(name, registered(monkeypatch))

    def test_a_name_that_two_plugins_offer(self, monkeypatch):
        spec = registered(monkeypatch)["loops"]
        both = {"lab/loops": spec, "defectscope/loops": spec, "defectscope/types": spec}
        with pytest.raises(PluginClashError, match="name one of defectscope/loops, lab/loops"):
            find_weights("loops", both)
        assert find_weights("lab/loops", both) == shipped_file()

    def test_a_near_miss_is_suggested(self, monkeypatch):
        with pytest.raises(UnknownNameError, match="did you mean 'loops'"):
            find_weights("lops", registered(monkeypatch))

    def test_a_file_of_another_kind(self, tmp_path):
        (tmp_path / "notes.txt").write_text("mine")
        with pytest.raises(UnknownNameError, match=r"a \.safetensors file.*names: none"):
            find_weights(str(tmp_path / "notes.txt"), {})

    @pytest.mark.parametrize("suffix", [*PICKLES, ".PT", ".Ckpt"])
    def test_a_pickle_is_refused_with_the_command_that_converts_it(self, tmp_path, suffix):
        path = tmp_path / f"foreign{suffix}"
        shutil.copy(__file__, path)
        command = f"defectscope weights convert {path} {tmp_path / 'foreign.safetensors'}"
        for refusing in (
            lambda: find_weights(str(path), {}), lambda: refuse_pickles(path),
            lambda: WeightFiles.open(path), lambda: read_tensors(path),
        ):  # fmt: skip
            with pytest.raises(FormatError) as refused:
                refusing()
            assert command in str(refused.value)
