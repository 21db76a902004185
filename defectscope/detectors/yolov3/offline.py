"""ultralytics, kept from the network: the only module here that imports it.

By itself it looks for servers when it is imported, sends statistics, asks for newer versions, pip-
installs what it misses, and downloads a font and weights. All that is off before it is imported,
its settings lie in a folder that is removed at the end, and what it changes for the whole process
is put back. ultralytics is AGPL-3.0, an optional extra.
"""

from __future__ import annotations

import atexit
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from defectscope.core.errors import MissingPackageError

if TYPE_CHECKING:
    from types import ModuleType

__all__ = ["expect_ultralytics", "offline_ultralytics", "own_yaml"]

SETTINGS = {
    "YOLO_OFFLINE": "true",
    "YOLO_AUTOINSTALL": "false",
    "YOLO_VERBOSE": "false",
    "ULTRALYTICS_SAFE_LOAD": "true",
}


def expect_ultralytics(purpose: str) -> None:
    """Check that ultralytics and torch are installed.

    Raises
    ------
    MissingPackageError
        One of them is not.
    """
    for package in ("torch", "ultralytics"):
        if find_spec(package) is None:
            raise MissingPackageError(package, "yolo,torch", purpose)


def offline_ultralytics(purpose: str = "yolov3") -> ModuleType:
    """Return the package, imported so that it calls nobody.

    Raises
    ------
    MissingPackageError
        It is not installed.
    """
    expect_ultralytics(purpose)
    if "ultralytics" not in sys.modules:
        os.environ.update(SETTINGS, YOLO_CONFIG_DIR=_settings_folder())
    with _nothing_changed():
        for part in ("nn.tasks", "utils.loss", "utils.patches"):
            import_module(f"ultralytics.{part}")
    return sys.modules["ultralytics"]


def _settings_folder() -> str:
    folder = Path(tempfile.mkdtemp(prefix="defectscope-yolo-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    # A font of this name keeps it from downloading one.
    import matplotlib

    fonts = folder / "Ultralytics"
    fonts.mkdir()
    shutil.copy(Path(matplotlib.get_data_path()) / "fonts/ttf/DejaVuSans.ttf", fonts / "Arial.ttf")
    return str(folder)


@contextmanager
def _nothing_changed() -> Iterator[None]:
    """Undo what the import sets for everybody: threads, printing, how torch saves and PIL opens."""
    import cv2
    import numpy as np
    import torch
    from PIL import Image

    # Theirs would install a package for every file that is no image.
    opened = Image.open
    threads, printing, save = cv2.getNumThreads(), np.get_printoptions(), torch.save
    environment = dict(os.environ)
    try:
        yield
    finally:
        cv2.setNumThreads(threads)
        np.set_printoptions(**printing)
        torch.set_printoptions(profile="default")  # type: ignore[no-untyped-call]
        torch.save = save
        Image.open = opened
        for name in set(os.environ) - set(environment):
            del os.environ[name]


def own_yaml(variant: str) -> dict[str, Any]:
    """Return what ultralytics' own YAML file of a variant says."""
    import yaml

    package = offline_ultralytics()
    path = Path(str(package.__file__)).parent / "cfg" / "models" / "v3" / f"{variant}.yaml"
    return dict(yaml.safe_load(path.read_text(encoding="utf-8")))
