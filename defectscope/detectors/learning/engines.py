"""What computes a network: ONNX Runtime, OpenVINO or torch, with the same numbers.

OpenVINO with 16 bits is the exception: twice as fast on processors made for it, and not the same.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from defectscope.core.errors import FormatError, MissingPackageError, OptionError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from defectscope import Runtime, WeightFiles

__all__ = ["Engine", "EngineName", "open_engine"]

EngineName = Literal["onnx", "openvino", "openvino-16bit", "torch"]
Arrays = tuple["NDArray[np.float32]", ...]


class Engine(ABC):
    """Computes the outputs of a network with one input."""

    @abstractmethod
    def __call__(self, batch: NDArray[np.float32]) -> Arrays:
        """Return the outputs for an (n, channels, H, W) batch."""

    def close(self) -> None:
        """Give back what the process shares."""


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
    if name == "torch":
        return _Torch(runtime, network)
    if name == "onnx":
        return _Onnx(files, runtime)
    if runtime.device == "cuda":
        raise OptionError(f'the engine {name!r} has no CUDA; use engine = "torch" or "onnx"')
    return _OpenVino(files, runtime, in_16_bits=name == "openvino-16bit")


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
        if provider not in self._session.get_providers():
            raise OptionError(
                "CUDA was asked for, but ONNX Runtime cannot use it here and would take the CPU: "
                "the driver, CUDA or cuDNN is missing or does not fit onnxruntime-gpu; mend that, "
                'set engine = "torch", or leave out --device'
            )
        # Nor later, when the memory of a GPU is full.
        self._session.disable_fallback()
        self._input = self._session.get_inputs()[0].name

    def __call__(self, batch: NDArray[np.float32]) -> Arrays:
        return tuple(self._session.run(None, {self._input: batch}))


class _OpenVino(Engine):
    def __init__(self, files: WeightFiles, runtime: Runtime, in_16_bits: bool) -> None:
        try:
            import openvino
        except ImportError as error:
            raise MissingPackageError("openvino", "openvino", "the engine 'openvino'") from error
        path = files.checked(".onnx")
        core = openvino.Core()
        settings = {
            "INFERENCE_NUM_THREADS": max(1, runtime.threads),
            "PERFORMANCE_HINT": "LATENCY",
            # Pinned, every network of this machine would wait for the same first cores.
            "ENABLE_CPU_PINNING": False,
            # Without this some processors round to 16 bits, and scores differ between machines.
            "INFERENCE_PRECISION_HINT": _in_16_bits(core) if in_16_bits else "f32",
        }
        try:
            self._model = core.compile_model(str(path), "CPU", settings)
        except Exception as error:
            raise FormatError(f"{path} is no network that OpenVINO can read: {error}") from error

    def __call__(self, batch: NDArray[np.float32]) -> Arrays:
        found = self._model(batch)
        return tuple(np.array(found[k]) for k in range(len(found)))


def _in_16_bits(core: Any) -> str:
    """Return the 16-bit numbers with which this processor computes."""
    able = core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    for capability, numbers in (("BF16", "bf16"), ("FP16", "f16")):
        if capability in able:
            return numbers
    raise OptionError(
        "this processor computes with no 16-bit numbers (Intel's do from AMX or AVX-512 BF16 on, "
        "AMD's from Zen 4, and ARM's); use engine = \"openvino\""
    )


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
        from defectscope.detectors.learning.torch_threads import torch_threads

        self._torch, self._device = torch, torch.device(runtime.device)
        with ExitStack() as stack:
            stack.enter_context(torch_threads.of(max(1, runtime.threads)))
            module = network().eval().to(self._device)
            self._module = module.to(memory_format=torch.channels_last)
            self._shared = stack.pop_all()

    def close(self) -> None:
        """Give torch back the threads that it had."""
        self._shared.close()

    def __call__(self, batch: NDArray[np.float32]) -> Arrays:
        torch = self._torch
        with torch.inference_mode():
            given = torch.from_numpy(batch).to(self._device, memory_format=torch.channels_last)
            return tuple(out.float().cpu().numpy() for out in self._module(given))
