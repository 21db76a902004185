"""What RosettaSciIO returns, made by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest


@pytest.fixture
def dataset() -> Callable[..., dict[str, Any]]:
    """Make what RosettaSciIO returns, with the first `navigate` axes for navigation."""

    def make(
        data: np.ndarray, units: list[str | None], scales: list[float], navigate: int = 0
    ) -> dict[str, Any]:
        axes = [
            {"name": f"a{k}", "units": unit, "scale": scale, "size": size, "navigate": k < navigate}
            for k, (unit, scale, size) in enumerate(zip(units, scales, data.shape, strict=True))
        ]
        return {"data": data, "axes": axes, "metadata": {"General": {"title": "t"}}}

    return make
