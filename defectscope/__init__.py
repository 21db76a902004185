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
    from defectscope.core.base import Generator as Generator
    from defectscope.core.base import PostProcessor as PostProcessor
    from defectscope.core.base import Reader as Reader
    from defectscope.core.base import Runtime as Runtime
    from defectscope.core.base import Tracker as Tracker
    from defectscope.core.base import TrainableDetector as TrainableDetector
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
    from defectscope.core.errors import InputGoneError as InputGoneError
    from defectscope.core.errors import MissingPackageError as MissingPackageError
    from defectscope.core.errors import OptionError as OptionError
    from defectscope.core.errors import OutputError as OutputError
    from defectscope.core.errors import PluginClashError as PluginClashError
    from defectscope.core.errors import PluginError as PluginError
    from defectscope.core.errors import PluginLoadError as PluginLoadError
    from defectscope.core.errors import UnfitOptionError as UnfitOptionError
    from defectscope.core.errors import UnknownNameError as UnknownNameError
    from defectscope.core.errors import UsageError as UsageError
    from defectscope.core.errors import WorkersLostError as WorkersLostError
    from defectscope.core.fields import Fields as Fields
    from defectscope.core.fields import counted_fields as counted_fields
    from defectscope.core.findings import Finding as Finding
    from defectscope.core.findings import KeyNumber as KeyNumber
    from defectscope.core.findings import Tables as Tables
    from defectscope.core.frames import Frame as Frame
    from defectscope.core.frames import FrameSequence as FrameSequence
    from defectscope.core.instances import Instances as Instances
    from defectscope.core.masks import Mask as Mask
    from defectscope.core.options import Options as Options
    from defectscope.core.training import TrainingData as TrainingData
    from defectscope.core.training import TrainingJob as TrainingJob
    from defectscope.core.weights import WeightFiles as WeightFiles
    from defectscope.core.weights import WeightsCard as WeightsCard
    from defectscope.core.weights import read_tensors as read_tensors
    from defectscope.pipeline.analysing import analyze as analyze
    from defectscope.pipeline.api import Pipeline as Pipeline
    from defectscope.pipeline.api import evaluate as evaluate
    from defectscope.pipeline.api import load_run as load_run
    from defectscope.pipeline.benchmark import benchmark as benchmark
    from defectscope.pipeline.converting import open_dataset as open_dataset
    from defectscope.pipeline.converting import save_dataset as save_dataset
    from defectscope.pipeline.generating import generate as generate
    from defectscope.pipeline.linking import track as track
    from defectscope.pipeline.opening import open_frames as open  # noqa: F401
    from defectscope.pipeline.results import Result as Result
    from defectscope.pipeline.training import train as train
    from defectscope.plugins.markers import hookimpl as hookimpl
    from defectscope.plugins.named_weights import find_weights as find_weights

# Where public names live; `open` has another name at home, where it would hide the builtin.
_MODULES = {
    "core.base": (
        "Analysis", "AnnotationFormat", "Background", "Component", "Detector", "Generator",
        "PostProcessor", "Reader", "Runtime", "Tracker", "TrainableDetector",
    ),
    "core.calibration": ("Calibration",),
    "core.components": ("ComponentSpec", "FormatSpec", "ReaderSpec"),
    "core.datasets": ("Dataset", "LabelledImage"),
    "core.defect_types": ("DefectType",),
    "core.errors": (
        "ComponentError", "DamagedFrameError", "DefectscopeError", "FormatError", "InputError",
        "InputGoneError", "MissingPackageError", "OptionError", "OutputError", "PluginClashError",
        "PluginError", "PluginLoadError", "UnfitOptionError", "UnknownNameError", "UsageError",
        "WorkersLostError",
    ),
    "core.fields": ("Fields", "counted_fields"),
    "core.findings": ("Finding", "KeyNumber", "Tables"),
    "core.frames": ("Frame", "FrameSequence"),
    "core.instances": ("Instances",),
    "core.masks": ("Mask",),
    "core.options": ("Options",),
    "core.training": ("TrainingData", "TrainingJob"),
    "core.weights": ("WeightFiles", "WeightsCard", "read_tensors"),
    "pipeline.analysing": ("analyze",),
    "pipeline.api": ("Pipeline", "evaluate", "load_run"),
    "pipeline.benchmark": ("benchmark",),
    "pipeline.converting": ("open_dataset", "save_dataset"),
    "pipeline.generating": ("generate",),
    "pipeline.linking": ("track",),
    "pipeline.opening": ("open",),
    "pipeline.results": ("Result",),
    "pipeline.training": ("train",),
    "plugins.markers": ("hookimpl",),
    "plugins.named_weights": ("find_weights",),
}  # fmt: skip
_HOMES = {name: module for module, names in _MODULES.items() for name in names}
_NAMES_AT_HOME = {"open": "open_frames"}

# `open` is public too, but a star import must not hide the builtin.
__all__ = ["__version__", *(name for name in _HOMES if name != "open")]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'defectscope' has no attribute {name!r}")
    module = importlib.import_module(f"defectscope.{_HOMES[name]}")
    value = getattr(module, _NAMES_AT_HOME.get(name, name))
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*__all__, "open"])
