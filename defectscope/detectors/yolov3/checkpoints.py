"""ultralytics' ``.pt`` files: whole objects, of which only known classes of layers are opened."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from defectscope import WeightFiles, WeightsCard
from defectscope.core.errors import FormatError, InputError
from defectscope.core.torch_errors import what_was_refused
from defectscope.detectors.learning.export import onnx_bytes
from defectscope.detectors.learning.networks import expect_shapes
from defectscope.detectors.yolov3.architecture import STRIDES, Architecture
from defectscope.detectors.yolov3.network import YoloNetwork
from defectscope.detectors.yolov3.offline import offline_ultralytics, own_yaml

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["convert"]

# Where classes of layers live; nothing else is made when a file is opened.
LAYERS = ("torch.nn.modules.", "ultralytics.nn.modules.", "ultralytics.nn.tasks")
PLAIN = ("ultralytics.utils.IterableSimpleNamespace",)
# From which score ultralytics itself shows what it found.
THRESHOLD = 0.25


def convert(source: Path, out: Path, defect_types: Sequence[str]) -> WeightFiles:
    """Write weights with twin and card from a file that ultralytics' training left.

    Parameters
    ----------
    source, out
        The ``.pt`` file, and the ``.safetensors`` file to write.
    defect_types
        Names in the order of its classes; its own names where none are given.

    Raises
    ------
    InputError
        There is no such file.
    FormatError
        It holds something else than a model of these variants, or another number of classes.
    """
    content = _opened(source)
    model = content.get("ema") or content.get("model")
    layout = getattr(model, "yaml", None)
    if not isinstance(model, nn.Module) or not isinstance(layout, Mapping):
        raise FormatError(
            f"{source} holds no model of ultralytics; give the best.pt or last.pt of its training, "
            "or leave out --detector to convert plain tensors"
        )
    own = getattr(model, "names", None) or {}
    names = tuple(defect_types) or tuple(str(own[k]) for k in sorted(own))
    architecture = _architecture(source, layout)
    if len(names) != architecture.classes:
        raise FormatError(
            f"{source} knows {architecture.classes} classes ({', '.join(map(str, own.values()))}), "
            f"found {len(names)} names of defect types ({', '.join(names)}); give one for each"
        )
    network = YoloNetwork(architecture)
    state = {f"net.{name}": value.float() for name, value in model.state_dict().items()}
    expect_shapes(source, state, network.state_dict())
    # As the files hold them, so that the twin gives the same numbers.
    state = {k: v.half().float() if v.ndim == 4 else v for k, v in state.items()}
    network.load_state_dict({name: state[name] for name in network.state_dict()})
    card = WeightsCard(
        detector="yolov3", title=f"converted from {source.name}", defect_types=names,
        architecture=architecture.model_dump(mode="json"), threshold=THRESHOLD,
        threshold_from="ultralytics' default", data="unknown: trained with ultralytics",
        licence=str(content.get("license") or "AGPL-3.0-only"),
    )  # fmt: skip
    arrays = {
        name: value.numpy().astype(np.float16) if value.ndim == 4 else value.numpy()
        for name, value in network.state_dict().items()
    }
    example = torch.zeros(1, 1, 128, 128)
    twin = onnx_bytes(network.eval(), example, architecture.outputs, weight_bits=16)
    return WeightFiles.save(out, card, arrays, twin)


def _architecture(source: Path, layout: Mapping[str, Any]) -> Architecture:
    for variant in STRIDES:
        own = own_yaml(variant)
        if all(layout.get(part) == own[part] for part in ("backbone", "head")):
            break
    else:
        raise FormatError(
            f"{source} holds the network of {layout.get('yaml_file', 'another YAML file')}; "
            f"yolov3 can use {', '.join(STRIDES)}"
        )
    channels = layout.get("channels", layout.get("ch", 3))
    if channels not in (1, 3):
        raise FormatError(f"{source} takes {channels} channels; 1 or 3 are possible")
    return Architecture(
        variant=variant, channels=channels, width=layout.get("width_multiple", 1.0),
        classes=layout["nc"], levels="unit",
    )  # fmt: skip


def _opened(path: Path) -> Mapping[str, Any]:
    if not path.is_file():
        raise InputError(f"there is no file {path}")
    offline_ultralytics("converting files of ultralytics")
    try:
        needed = torch.serialization.get_unsafe_globals_in_checkpoint(str(path))
    except Exception as error:
        raise FormatError(
            f"{path} is damaged, or no torch checkpoint ({type(error).__name__}); copy it again"
        ) from error
    known = dict(_known(needed))
    foreign = [name for name in needed if name not in known]
    if foreign:
        raise FormatError(
            f"{path} holds more than layers of ultralytics' networks ({', '.join(foreign[:3])}), "
            "which could run code when it is opened; save its state_dict alone where it was made"
        )
    try:
        with torch.serialization.safe_globals(list(known.values())), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what torch thinks of old pickles is no user's concern
            content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise FormatError(
            f"{path} cannot be opened ({what_was_refused(error)}); it may be of another "
            "version of ultralytics"
        ) from error
    return content if isinstance(content, Mapping) else {}


def _known(names: Sequence[str]) -> Iterator[tuple[str, Any]]:
    for name in names:
        place, _, attribute = name.rpartition(".")
        if not (name in PLAIN or name.startswith(LAYERS)):
            continue
        try:
            found = getattr(import_module(place), attribute, None)
        except ImportError:
            continue
        if name in PLAIN or (isinstance(found, type) and issubclass(found, nn.Module)):
            yield name, found
