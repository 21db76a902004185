"""What computes a network: ONNX Runtime, OpenVINO or torch, with the same numbers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from defectscope.core.errors import FormatError, MissingPackageError, OptionError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from defectscope import Runtime, WeightFiles

__all__ = ["Engine", "EngineName", "open_engine"]

EngineName = Literal["onnx", "openvino", "torch"]
Arrays = tuple["NDArray[np.float32]", ...]


class Engine(ABC):
    """Computes the outputs of a network with one input."""

    @abstractmethod
    def __call__(self, batch: NDArray[np.float32]) -> Arrays:
        """Return the outputs for an (n, channels, H, W) batch."""


def open_engine(
    name: EngineName, files: WeightFiles, runtime: Runtime, network: Callable[[], Any]
) -> Engine:
    """Return a network ready to compute.

    Parameters
    ----------
    name
        Which package computes.
    files
        The weights.
    runtime
        Threads and device.
    network
        Builds the torch module of these weights, with its weights in it.

    Raises
    ------
    MissingPackageError
        The package is not installed.
    OptionError
        It cannot use the device.
    FormatError
        It cannot read the file.
    """
    if runtime.device == "cuda" and name == "openvino":
        raise OptionError('the engine \'openvino\' has no CUDA; use engine = "torch" or "onnx"')
    if name == "torch":
        return _Torch(runtime, network)
    return (_OpenVino if name == "openvino" else _Onnx)(files, runtime)


class _Onnx(Engine):
    def __init__(self, files: WeightFiles, runtime: Runtime) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = max(1, runtime.threads)
        options.inter_op_num_threads = 1
        # Threads that wait by spinning take the cores from what runs beside the network.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 3
        provider = "CPUExecutionProvider"
        if runtime.device == "cuda":
            provider = "CUDAExecutionProvider"
            if provider not in onnxruntime.get_available_providers():
                raise OptionError(
                    "CUDA was asked for, but the ONNX Runtime installed here runs on the CPU "
                    'only; install onnxruntime-gpu, set engine = "torch", or leave out --device'
                )
        path = files.checked(".onnx")
        try:
            self._session = onnxruntime.InferenceSession(str(path), options, providers=[provider])
        except Exception as error:
            raise FormatError(
                f"{path} is no network that ONNX Runtime can read: {error}"
            ) from error
        self._input = self._session.get_inputs()[0].name

    def __call__(self, batch: NDArray[np.float32]) -> Arrays:
        return tuple(self._session.run(None, {self._input: batch}))


class _OpenVino(Engine):
    def __init__(self, files: WeightFiles, runtime: Runtime) -> None:
        try:
            import openvino
        except ImportError as error:
            raise MissingPackageError("openvino", "openvino", "the engine 'openvino'") from error
        path = files.checked(".onnx")
        settings = {
            "INFERENCE_NUM_THREADS": max(1, runtime.threads),
            "PERFORMANCE_HINT": "LATENCY",
            # Pinned, every network of this machine would wait for the same first cores.
            "ENABLE_CPU_PINNING": False,
            # Without this some processors round to 16 bits, and scores differ between machines.
            "INFERENCE_PRECISION_HINT": "f32",
        }
        try:
            self._model = openvino.Core().compile_model(str(path), "CPU", settings)
        except Exception as error:
            raise FormatError(f"{path} is no network that OpenVINO can read: {error}") from error

    def __call__(self, batch: NDArray[np.float32]) -> Arrays:
        found = self._model(batch)
        return tuple(np.array(found[k]) for k in range(len(found)))


class _Torch(Engine):
    def __init__(self, runtime: Runtime, network: Callable[[], Any]) -> None:
        try:
            import torch
        except ImportError as error:
            raise MissingPackageError("torch", "torch", "the engine 'torch'") from error
        if runtime.device == "cuda" and not torch.cuda.is_available():
            raise OptionError(
                "CUDA was asked for, but torch finds no CUDA device here; leave out --device"
            )
        torch.set_num_threads(max(1, runtime.threads))
        self._torch, self._device = torch, torch.device(runtime.device)
        module = network().eval().to(self._device)
        self._module = module.to(memory_format=torch.channels_last)

    def __call__(self, batch: NDArray[np.float32]) -> Arrays:
        torch = self._torch
        with torch.inference_mode():
            given = torch.from_numpy(batch).to(self._device, memory_format=torch.channels_last)
            return tuple(out.float().cpu().numpy() for out in self._module(given))
