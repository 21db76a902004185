"""Runs the checks of a family on a component class, or on what a host has registered."""

from __future__ import annotations

import importlib
import json
import pickle
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from defectscope.core.base import Runtime, TrainableDetector
from defectscope.core.components import ComponentSpec
from defectscope.core.defect_types import DefectType
from defectscope.core.errors import DefectscopeError, PluginLoadError
from defectscope.core.options import Options, validate_options
from defectscope.core.weights import WeightFiles
from defectscope.plugins.conformance import common
from defectscope.plugins.conformance.basics import (
    SAMPLE_TYPES,
    Check,
    CheckResult,
    ConformanceError,
    NotCheckedError,
    Setup,
    described,
    expect,
    run_check,
)
from defectscope.plugins.conformance.training import checks_of_training
from defectscope.plugins.records import BASES

if TYPE_CHECKING:
    from defectscope.plugins.host import PluginHost
    from defectscope.plugins.records import Registered

__all__ = ["check_class", "check_component", "check_import_cost", "checks_of"]

# family -> the module of its checks. Imported when needed: a detector must not wait for pandas.
_MODULES: Mapping[str, str] = {
    family: f"defectscope.plugins.conformance.{family}" for family in BASES
}
HEAVY_PACKAGES = (
    "torch", "torchvision", "ultralytics", "segmentation_models_pytorch", "lightning", "trackpy",
    "pandas", "scipy", "skimage", "matplotlib", "dask", "onnxruntime", "openvino", "cv2",
)  # fmt: skip
IMPORT_TIME_LIMIT_S = 120
MARK = "loaded heavy packages:"
WEIGHT_SUFFIXES = (".safetensors", ".onnx")


def checks_of(family: str, component: type[Any] | None = None) -> tuple[Check, ...]:
    """Return the checks of a family of components, and those of a trainable `component`."""
    own: tuple[Check, ...] = importlib.import_module(_MODULES[family]).CHECKS
    if isinstance(component, type) and issubclass(component, TrainableDetector):
        own = (*own, *checks_of_training(component))
    return (*common.CHECKS, *own)


def check_class(
    family: str,
    component: type[Any],
    setup: Setup | None = None,
    time_limit_s: float | None = None,
) -> list[CheckResult]:
    """Run the checks of a family on a component class.

    Parameters
    ----------
    family
        Such as ``detectors``.
    component
        The class.
    setup
        How it is built.
    time_limit_s
        Longest time for a check. One that takes longer failed, goes on in the background until
        the program ends, and the checks after it are skipped.
    """
    results: list[CheckResult] = []
    endless = False
    for check in checks_of(family, component):
        if endless:
            name, title = described(check)
            reason = "not checked: an earlier check did not end"
            results.append(CheckResult(name, title, "skipped", reason))
            continue
        result = _run_limited(check, component, setup, time_limit_s)
        endless = result is None
        results.append(result or _overrun(check, time_limit_s))
    return results


def _run_limited(
    check: Check, component: type[Any], setup: Setup | None, time_limit_s: float | None
) -> CheckResult | None:
    """Return what a check found, or None where it takes too long."""
    if time_limit_s is None:
        return run_check(check, component, setup)
    found: list[CheckResult] = []
    # No thread can be stopped: this one ends with the program.
    thread = threading.Thread(
        target=lambda: found.append(run_check(check, component, setup)), daemon=True
    )
    thread.start()
    thread.join(time_limit_s)
    return found[0] if found else None


def _overrun(check: Check, time_limit_s: float | None) -> CheckResult:
    name, title = described(check)
    return CheckResult(name, title, "failed", f"it did not end within {time_limit_s:g} s")


def check_component(
    host: PluginHost,
    family: str | None,
    name: str,
    options: Mapping[str, Any] | None = None,
    time_limit_s: float | None = None,
) -> list[CheckResult]:
    """Check one thing that is installed.

    Parameters
    ----------
    host
        Where it is registered.
    family
        Its family, or None to look in all of them.
    name
        ``NAME`` or ``distribution/NAME``.
    options
        Option values, for a component that cannot work with its defaults.
    time_limit_s
        Longest time for a check, see :func:`check_class`.

    Raises
    ------
    UsageError
        There is nothing of that name, or several families have it.
    MissingPackageError
        An optional package that it needs is absent, so that it cannot be checked.
    OptionError
        It has no option of such a name, or one that cannot be `options`' value.
    """
    entry = host.find_anywhere(name, family)
    results = [_import_cost(entry)]
    if entry.family == "defect-types":
        return [*results, run_check(check_defect_type, entry.spec)]
    results.append(run_check(check_summary, entry.spec))
    if entry.family == "weights":
        return [*results, run_check(check_weights, entry.spec)]
    try:
        component = host.load_class(entry)
    except PluginLoadError as error:
        return [*results, CheckResult("loads", "It can be imported", "failed", str(error))]
    if options and issubclass(component.Options, Options):
        # Else each check would be skipped, as if all were well.
        validate_options(component.Options, options, entry.name)
    registered = host.defect_types()
    runtime = Runtime(defect_types={**SAMPLE_TYPES, **registered}, weights=host.weights())
    setup = Setup(options or {}, entry.spec, runtime)
    results.extend(check_class(entry.family, component, setup, time_limit_s))
    if any(result.message.startswith("it did not end") for result in results):
        return results
    if entry.family in ("generators", "detectors"):

        def check_types_are_registered(component: type[Any], setup: Setup) -> None:
            """Its defect types are registered, by its plugin or by another."""
            _expect_registered(component, setup, registered)

        results.append(run_check(check_types_are_registered, component, setup))
    return results


def _expect_registered(
    component: type[Any], setup: Setup, registered: Mapping[str, DefectType]
) -> None:
    with setup.opened(component) as built:
        unknown = [name for name in built.defect_types if name not in registered]
    expect(
        not unknown,
        f"no plugin registers the defect types {', '.join(unknown)} (or two define them "
        "differently); add them with the hook defectscope_defect_types",
    )


def _import_cost(entry: Registered) -> CheckResult:
    result = run_check(check_import_cost, entry.plugin.target.partition(":")[0])
    # Slow is not wrong: a warning.
    return result._replace(status="warning") if result.status == "failed" else result


def check_import_cost(module: str, setup: Setup | None = None) -> None:
    """Its plugin module is imported without heavy packages."""
    code = (
        f"import json, sys; sys.path[:] = json.loads(sys.argv[1]); import {module}; "
        f"print({MARK!r}, *[name for name in {HEAVY_PACKAGES!r} if name in sys.modules])"
    )
    # In a process of its own, for this one may have them loaded for other reasons.
    answer = subprocess.run(
        [sys.executable, "-c", code, json.dumps(sys.path)],
        capture_output=True,
        text=True,
        timeout=IMPORT_TIME_LIMIT_S,
        check=False,
    )
    # The module may print on import, too.
    marked = [line for line in answer.stdout.splitlines() if line.startswith(MARK)]
    if answer.returncode or not marked:
        last = (answer.stderr.strip().splitlines() or ["it ended early"])[-1]
        raise NotCheckedError(f"{module} cannot be imported in a new process: {last}")
    heavy = marked[-1].removeprefix(MARK).split()
    expect(
        not heavy,
        f"every command of defectscope imports {module}, which loads {', '.join(heavy)}; import "
        "these in the module that ComponentSpec.target names, or inside functions",
    )


def check_summary(spec: ComponentSpec, setup: Setup | None = None) -> None:
    """Its summary is one line."""
    expect(
        len(spec.summary.splitlines()) == 1,
        f"the summary must be one line, found {spec.summary!r}",
    )


def check_defect_type(value: DefectType, setup: Setup | None = None) -> None:
    """The defect type has a name and a title of one line each, and survives pickling."""
    for name in ("name", "title"):
        text = getattr(value, name)
        expect(
            isinstance(text, str) and text and text == " ".join(text.split()),
            f"the {name} of a defect type must be one line without spaces around it, "
            f"found {text!r}",
        )
    expect(pickle.loads(pickle.dumps(value)) == value, "a defect type must survive pickling")


def check_weights(spec: ComponentSpec, setup: Setup | None = None) -> None:
    """Its function returns the path of weights that are safe to read, as their card says."""
    path = spec.load()()
    expect(
        isinstance(path, Path),
        f"{spec.target} must return a pathlib.Path, found {type(path).__name__}",
    )
    expect(path.is_file(), f"{spec.target} names {path}, which is not there")
    expect(
        path.suffix in WEIGHT_SUFFIXES,
        f"weights must be one of {', '.join(WEIGHT_SUFFIXES)}, which hold no code; "
        f"found {path.name}",
    )
    if not path.with_suffix(".json").is_file():
        return  # a detector of one's own may do without a card
    try:
        weights = WeightFiles.open(path)
        for suffix in WEIGHT_SUFFIXES:
            if suffix == path.suffix or path.with_suffix(suffix).is_file():
                weights.checked(suffix)
    except DefectscopeError as error:
        raise ConformanceError(str(error)) from error
