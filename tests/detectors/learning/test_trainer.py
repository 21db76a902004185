"""What a training changes of the process, and gives back."""

from __future__ import annotations

import time
from types import SimpleNamespace

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("lightning")

import pandas as pd  # noqa: E402
from lightning.pytorch import LightningModule  # noqa: E402
from torch.utils.data import DataLoader  # noqa: E402

from defectscope import OutputError, Runtime  # noqa: E402
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


class Line(LightningModule):
    """Learns a line, a step every hundredth of a second."""

    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(1, 1)

    def training_step(self, batch, _):
        time.sleep(0.01)
        return self.layer(batch).square().mean()

    def validation_step(self, batch, _):
        self.log_dict({"score": 0.5, "threshold": 0.5, "f1": 0.5})

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.01)


class Useless(Line):
    """Learns, and finds nothing."""

    def validation_step(self, batch, _):
        self.log_dict({"score": 0.0, "threshold": 0.5, "f1": 0.0})


def test_of_states_that_find_nothing_the_last_is_kept(tmp_path):
    (tmp_path / "a.training").mkdir()
    job = SimpleNamespace(
        out=tmp_path / "a.safetensors", resume=False, say=print, progress=lambda *_: None
    )
    settings = trainer.Settings(20, 5, 0.9, None, "32", 1, None)
    module, batches = Useless(), DataLoader(torch.ones(100, 1), batch_size=1)
    begun = module.layer.weight.item()
    found = trainer.fit(
        module, lambda *_: batches, DataLoader(torch.ones(1, 1)), job, settings, Runtime(threads=1)
    )
    assert (found.step, found.f1) == (20, 0.0)
    first = torch.load(tmp_path / "a.training" / "best.ckpt", weights_only=True)
    assert int(first["global_step"]) == 5
    moved = [abs(s["layer.weight"].item() - begun) for s in (first["state_dict"], found.state)]
    assert moved[1] > moved[0] > 0


@pytest.mark.parametrize(("steps", "minutes"), [(100_000, 0.003), (7, None), (10, None)])
def test_the_last_state_is_validated_once_however_training_ends(tmp_path, steps, minutes):
    (tmp_path / "a.training").mkdir()
    said = []
    job = SimpleNamespace(
        out=tmp_path / "a.safetensors", resume=False, say=said.append, progress=lambda *_: None
    )
    settings = trainer.Settings(
        steps, 5 if minutes is None else 99_999, 0.9, None, "32", 1, minutes
    )
    batches = DataLoader(torch.ones(100_000, 1), batch_size=1)
    found = trainer.fit(
        Line(), lambda *_: batches, DataLoader(torch.ones(1, 1)), job, settings, Runtime(threads=1)
    )
    curve = pd.read_csv(tmp_path / "a.training" / "curve.csv")["step"].tolist()
    assert curve == {7: [5, 7], 10: [5, 10]}.get(steps, curve[-1:])
    assert len(said) == len(curve)
    assert found.step in curve
