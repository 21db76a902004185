"""What a training changes of the process, and gives back."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("lightning")

from defectscope import OutputError, Runtime  # noqa: E402
from defectscope.core.errors import OptionError  # noqa: E402
from defectscope.detectors.learning import trainer  # noqa: E402


@pytest.fixture
def threads():
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


def test_torch_gets_its_threads_back(tmp_path, monkeypatch, threads):
    seen = []

    def fails(*_, **__):
        seen.append(torch.get_num_threads())
        raise OutputError("the disk is full")

    monkeypatch.setattr(trainer, "_trainer", lambda *_: SimpleNamespace(fit=fails))
    job = SimpleNamespace(out=tmp_path / "a.safetensors", resume=False)
    settings = trainer.Settings(10, 5, 0.9, None, "32", 1, None)
    with pytest.raises(OutputError, match="the disk is full"):
        trainer.fit(torch.nn.Linear(1, 1), None, None, job, settings, Runtime(threads=2))
    assert seen == [2]
    assert torch.get_num_threads() == 3


def test_several_gpus_without_cuda_are_refused():
    with pytest.raises(OptionError, match=r"devices = 2 are GPUs; add --device cuda"):
        trainer.expect_device(Runtime("cpu"), 2)
    trainer.expect_device(Runtime("cpu"), 1)
