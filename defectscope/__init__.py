"""Find, measure and follow crystalline defects in TEM and STEM images and in-situ videos.

Everything a script, a notebook or a plugin needs is here. Names are imported when they are
first used, so that ``import defectscope`` costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from defectscope._version import __version__

if TYPE_CHECKING:
    from defectscope.core.base import Analysis as Analysis
    from defectscope.core.base import AnnotationFormat as AnnotationFormat
    from defectscope.core.base import Background as Background
    from defectscope.core.base import Component as Component
    from defectscope.core.base import Detector as Detector
    from defectscope.core.base import Finding as Finding
    from defectscope.core.base import Generator as Generator
    from defectscope.core.base import PostProcessor as PostProcessor
    from defectscope.core.base import Reader as Reader
    from defectscope.core.base import Runtime as Runtime
    from defectscope.core.base import Tables as Tables
    from defectscope.core.base import Tracker as Tracker
    from defectscope.core.calibration import Calibration as Calibration
    from defectscope.core.components import ComponentSpec as ComponentSpec
    from defectscope.core.components import FormatSpec as FormatSpec
    from defectscope.core.components import ReaderSpec as ReaderSpec
    from defectscope.core.datasets import Dataset as Dataset
    from defectscope.core.datasets import LabelledImage as LabelledImage
    from defectscope.core.defect_types import DefectType as DefectType
    from defectscope.core.errors import ComponentError as ComponentError
    from defectscope.core.errors import DamagedFrameError as DamagedFrameError
    from defectscope.core.errors import DefectscopeError as DefectscopeError
    from defectscope.core.errors import FormatError as FormatError
    from defectscope.core.errors import InputError as InputError
    from defectscope.core.errors import MissingPackageError as MissingPackageError
    from defectscope.core.errors import OptionError as OptionError
    from defectscope.core.errors import OutputError as OutputError
    from defectscope.core.errors import PluginClashError as PluginClashError
    from defectscope.core.errors import PluginError as PluginError
    from defectscope.core.errors import PluginLoadError as PluginLoadError
    from defectscope.core.errors import UnknownNameError as UnknownNameError
    from defectscope.core.errors import UsageError as UsageError
    from defectscope.core.frames import Frame as Frame
    from defectscope.core.frames import FrameSequence as FrameSequence
    from defectscope.core.instances import Instances as Instances
    from defectscope.core.masks import Mask as Mask
    from defectscope.core.options import Options as Options
    from defectscope.pipeline.api import Pipeline as Pipeline
    from defectscope.pipeline.api import evaluate as evaluate
    from defectscope.pipeline.api import load_run as load_run
    from defectscope.pipeline.api import open_frames as open  # noqa: A004
    from defectscope.pipeline.results import Result as Result
    from defectscope.plugins.markers import hookimpl as hookimpl

# public name -> module that holds it, and its name there where that differs
_HOMES: dict[str, tuple[str, str | None]] = {
    **{
        name: ("defectscope.core.base", None)
        for name in (
            "Analysis", "AnnotationFormat", "Background", "Component", "Detector", "Finding",
            "Generator", "PostProcessor", "Reader", "Runtime", "Tables", "Tracker",
        )
    },
    **{
        name: ("defectscope.core.errors", None)
        for name in (
            "ComponentError", "DamagedFrameError", "DefectscopeError", "FormatError",
            "InputError", "MissingPackageError", "OptionError", "OutputError",
            "PluginClashError", "PluginError", "PluginLoadError", "UnknownNameError",
            "UsageError",
        )
    },
    "Calibration": ("defectscope.core.calibration", None),
    "ComponentSpec": ("defectscope.core.components", None),
    "FormatSpec": ("defectscope.core.components", None),
    "ReaderSpec": ("defectscope.core.components", None),
    "Dataset": ("defectscope.core.datasets", None),
    "LabelledImage": ("defectscope.core.datasets", None),
    "DefectType": ("defectscope.core.defect_types", None),
    "Frame": ("defectscope.core.frames", None),
    "FrameSequence": ("defectscope.core.frames", None),
    "Instances": ("defectscope.core.instances", None),
    "Mask": ("defectscope.core.masks", None),
    "Options": ("defectscope.core.options", None),
    "Pipeline": ("defectscope.pipeline.api", None),
    "Result": ("defectscope.pipeline.results", None),
    "evaluate": ("defectscope.pipeline.api", None),
    "load_run": ("defectscope.pipeline.api", None),
    "open": ("defectscope.pipeline.api", "open_frames"),
    "hookimpl": ("defectscope.plugins.markers", None),
}  # fmt: skip

# `open` is public too, but a star import must not hide the builtin.
__all__ = ["__version__", *(name for name in _HOMES if name != "open")]  # noqa: PLE0604


def __getattr__(name: str) -> Any:
    try:
        module, attribute = _HOMES[name]
    except KeyError:
        raise AttributeError(f"module 'defectscope' has no attribute {name!r}") from None
    value = getattr(importlib.import_module(module), attribute or name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*__all__, "open"])
