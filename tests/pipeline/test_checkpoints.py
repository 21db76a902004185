"""Foreign checkpoints: their tensors come in, their code does not."""

from __future__ import annotations

import io
import os
import pickle
import zipfile
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest

from defectscope.core.errors import FormatError, InputError
from defectscope.pipeline.checkpoints import read_checkpoint

torch = pytest.importorskip("torch")

STATE = OrderedDict(
    [("stem.weight", torch.arange(12.0).reshape(3, 4)), ("stem.count", torch.tensor(7))]
)


def saved(folder: Path, content: object, name: str = "a.pt", **more: object) -> Path:
    torch.save(content, folder / name, **more)
    return folder / name


def expect_state(found):
    assert list(found) == list(STATE)
    for name, value in STATE.items():
        np.testing.assert_array_equal(found[name], value.numpy())
        assert found[name].dtype == value.numpy().dtype


@pytest.mark.parametrize("zipped", [True, False])
def test_a_plain_state_dict(tmp_path, zipped):
    path = saved(tmp_path, STATE, _use_new_zipfile_serialization=zipped)
    expect_state(read_checkpoint(path))


@pytest.mark.parametrize("place", ["state_dict", "model_state_dict", "model", "module", "net"])
def test_the_model_of_a_training_checkpoint(tmp_path, place):
    content = {"epoch": 3, place: dict(STATE), "optimizer": {"lr": 0.1, "m": torch.zeros(3)}}
    expect_state(read_checkpoint(saved(tmp_path, content)))


def test_the_averaged_model_comes_first_and_wrappers_are_looked_into(tmp_path):
    other = {"stem.weight": torch.zeros(1)}
    expect_state(read_checkpoint(saved(tmp_path, {"ema": dict(STATE), "model": other})))
    expect_state(read_checkpoint(saved(tmp_path, {"state_dict": {"model": dict(STATE)}})))


def test_a_lightning_checkpoint(tmp_path):
    content = {
        "epoch": 0, "global_step": 9, "pytorch-lightning_version": "2.6.6", "state_dict": STATE,
        "loops": {"fit_loop": {"state_dict": {}}}, "callbacks": {}, "lr_schedulers": [],
        "optimizer_states": [{"state": {0: {"exp_avg": torch.zeros(2)}}, "param_groups": []}],
    }  # fmt: skip
    expect_state(read_checkpoint(saved(tmp_path, content, "last.ckpt")))


def test_kinds_of_tensors(tmp_path):
    base = torch.arange(12.0).reshape(3, 4)
    content = {
        "half": base.half(), "brain": base.bfloat16(), "strided": base.T,
        "learned": torch.nn.Parameter(base), "flags": base > 3, "none": torch.zeros(0, 3),
    }  # fmt: skip
    found = read_checkpoint(saved(tmp_path, content))
    assert found["half"].dtype == np.float16
    assert found["brain"].dtype == np.float32
    np.testing.assert_array_equal(found["brain"], base.numpy())
    np.testing.assert_array_equal(found["strided"], base.numpy().T)
    assert found["strided"].flags.c_contiguous
    np.testing.assert_array_equal(found["learned"], base.numpy())
    assert found["flags"].dtype == bool
    assert found["none"].shape == (0, 3)


class Code:
    """Leaves a file where it is opened."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self):
        return os.mkdir, (str(self.mark),)


@pytest.mark.parametrize("plain", [True, False])
def test_code_is_refused_and_does_not_run(tmp_path, plain):
    mark = tmp_path / "it ran"
    content = {"state_dict": STATE, "extra": Code(mark)}
    path = tmp_path / "evil.pt"
    if plain:
        path.write_bytes(pickle.dumps({"extra": Code(mark)}))
    else:
        saved(tmp_path, content, "evil.pt")
    with pytest.raises(FormatError, match=r"evil\.pt is damaged, .*, or holds code") as refused:
        read_checkpoint(path)
    assert plain or f"it asks for {os.name}.mkdir)" in str(refused.value)
    # Torch's own text tells how to run it.
    assert not {"weights_only", "trust", "Weights"} & set(str(refused.value).split())
    assert not mark.exists()


def test_of_a_plain_pickle_only_its_error_is_told(tmp_path, recwarn):
    path = tmp_path / "plain.pkl"
    path.write_bytes(pickle.dumps({"x": 1}, protocol=4))
    with pytest.raises(FormatError):
        read_checkpoint(path)
    assert not recwarn.list


@pytest.mark.parametrize("part", [0, 0.1, 0.5, 0.98])
def test_truncated(tmp_path, part):
    path = saved(tmp_path, STATE)
    data = path.read_bytes()
    path.write_bytes(data[: int(part * len(data))])
    with pytest.raises(FormatError, match="is damaged") as refused:
        read_checkpoint(path)
    assert "\n" not in str(refused.value)


def archive():
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("a.txt", "x")
    return buffer.getvalue()


@pytest.mark.parametrize("content", [b"text\n", b"PK\x03\x04", archive(), bytes(1000)])
def test_other_files(tmp_path, content):
    (tmp_path / "a.pt").write_bytes(content)
    with pytest.raises(FormatError, match="is damaged"):
        read_checkpoint(tmp_path / "a.pt")


@pytest.mark.parametrize("content", [{}, [1, 2], torch.zeros(3), {"epoch": 3}, {"model": {}}])
def test_without_tensors_by_name(tmp_path, content):
    with pytest.raises(FormatError, match="holds no tensors by name"):
        read_checkpoint(saved(tmp_path, content))


def test_no_file(tmp_path):
    for path in (tmp_path / "no.pt", tmp_path):
        with pytest.raises(InputError, match="there is no file"):
            read_checkpoint(path)
