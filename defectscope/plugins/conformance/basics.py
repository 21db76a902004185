"""What all checks share: how a component is set up, and how a check reports."""

from __future__ import annotations

import pickle
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeAlias

from defectscope.core.base import Runtime, TrainableDetector
from defectscope.core.components import ComponentSpec
from defectscope.core.defect_types import DefectType
from defectscope.core.errors import (
    DefectscopeError,
    MissingPackageError,
    OptionError,
    PluginError,
)
from defectscope.core.options import validate_options
from defectscope.plugins.discovery import one_line

__all__ = [
    "Check",
    "CheckResult",
    "ConformanceError",
    "NotCheckedError",
    "Setup",
    "described",
    "expect",
    "pickled",
    "run_check",
]

# A defect type of each shape, so that a component that asks for shapes finds both.
SAMPLE_TYPES: Mapping[str, DefectType] = {
    "dislocation-loop": DefectType("dislocation-loop", "Dislocation loop", "ellipse"),
    "dislocation": DefectType("dislocation", "Dislocation line", "line", colour="#d55e00"),
}


class ConformanceError(PluginError, AssertionError):
    """A component breaks a promise of its family.

    It is an ``AssertionError``, so that every test runner counts it as a failed test and not as
    a broken one, and a ``PluginError``, so that the command line prints it as one sentence.
    """


class NotCheckedError(DefectscopeError):
    """A check does not apply to a component, or lacks something that it needs."""


@dataclass(frozen=True)
class Setup:
    """How to build the component that is checked.

    Parameters
    ----------
    options
        Option values; what is not named keeps its default.
    spec
        What the plugin's hook returns for the component, where a check needs it.
    runtime
        By default one CPU thread and a defect type of each shape.
    example
        A file that a reader must be able to read.
    """

    options: Mapping[str, Any] = field(default_factory=dict)
    spec: ComponentSpec | None = None
    runtime: Runtime = field(default_factory=lambda: Runtime(defect_types=SAMPLE_TYPES))
    example: Path | None = None

    def build(self, component: type[Any]) -> Any:
        """Return the component, not yet opened."""
        options = validate_options(component.Options, self.options, component.__name__)
        return component(options, self.runtime)

    @contextmanager
    def opened(self, component: type[Any]) -> Iterator[Any]:
        """Yield the component, opened."""
        built = self.build(component)
        with built:
            yield built


Check: TypeAlias = Callable[[Any, Setup], None]
Status = Literal["passed", "failed", "warning", "skipped"]


class CheckResult(NamedTuple):
    """What one check found.

    ``message`` is empty for a check that passed.
    """

    name: str
    title: str
    status: Status
    message: str = ""


def expect(condition: object, message: str) -> None:
    """Raise ConformanceError with `message` unless `condition` holds."""
    if not condition:
        raise ConformanceError(message)


def pickled(component: Any) -> Any:
    """Return a copy that went through pickle, as a worker process gets it."""
    try:
        return pickle.loads(pickle.dumps(component))
    except Exception as error:
        raise ConformanceError(
            f"a component must survive pickling before it is opened, so that worker processes "
            f"can have one; found {type(error).__name__}: {error}"
        ) from error


def described(check: Check) -> tuple[str, str]:
    """Return the name and the title of a check."""
    name = check.__name__.removeprefix("check_")
    return name, (check.__doc__ or name).strip().partition("\n")[0].rstrip(".")


def run_check(check: Check, component: Any, setup: Setup | None = None) -> CheckResult:
    """Run one check, and catch whatever comes of it.

    A component that says it needs an option or a package is skipped: that is no fault of it.
    """
    name, title = described(check)
    try:
        check(component, Setup() if setup is None else setup)
    except NotCheckedError as error:
        return CheckResult(name, title, "skipped", str(error))
    except OptionError as error:
        advice = _where_weights_come_from(component, Setup() if setup is None else setup)
        return CheckResult(name, title, "skipped", f"not checked: {error}{advice}")
    except MissingPackageError as error:
        return CheckResult(name, title, "skipped", f"not checked: {error}")
    except ConformanceError as error:
        return CheckResult(name, title, "failed", str(error))
    except (Exception, SystemExit) as error:
        return CheckResult(name, title, "failed", _what_and_where(error))
    return CheckResult(name, title, "passed")


def _where_weights_come_from(component: Any, setup: Setup) -> str:
    """Return what to do where a detector may have lacked weights."""
    learns = isinstance(component, type) and issubclass(component, TrainableDetector)
    if not learns or "weights" in setup.options or "weights" not in component.Options.model_fields:
        return ""
    name = setup.spec.name if setup.spec else "NAME"
    return f"; to check it with weights, train some, and pass --set {name}.weights=FILE"


def _what_and_where(error: BaseException) -> str:
    # The innermost place outside of defectscope is the plugin author's line, or near to it; of a
    # shipped component that outside of the checks.
    frames = traceback.extract_tb(error.__traceback__)
    checks = Path(__file__).parent
    for own in (checks.parents[1], checks):
        outside = [frame for frame in frames if own not in Path(frame.filename).parents]
        if outside:
            return f"it raised {one_line(error)} (at {outside[-1].filename}:{outside[-1].lineno})"
    return f"it raised {one_line(error)}"
