"""The licence that cards of trained weights name."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

pytest.importorskip("torch")

from defectscope.core.weights import WeightFiles
from defectscope.detectors.learning.training import Facts, _licence


@pytest.mark.parametrize(
    ("own", "begun_with", "licence"),
    [
        ("MIT", None, "MIT"),
        ("MIT", "MIT", "MIT"),
        ("MIT", "MIT AND Apache-2.0", "MIT AND Apache-2.0"),
        ("AGPL-3.0-only", "AGPL-3.0-only", "AGPL-3.0-only"),
        ("AGPL-3.0-only", "MIT", "AGPL-3.0-only AND MIT"),
    ],
)
def test_fine_tuned_weights_keep_the_licence_of_those_they_began_with(
    monkeypatch, own, begun_with, licence
):
    facts = Facts(("out",), "best F1", lambda fitted: {}, {}, licence=own)
    card = SimpleNamespace(licence=begun_with)
    monkeypatch.setattr(WeightFiles, "open", lambda path: SimpleNamespace(card=card))
    job = SimpleNamespace(init=None if begun_with is None else "x.safetensors")
    assert _licence(job, facts) == licence
