"""Components under the names that the user gave them, and what is said when one fails."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from defectscope.core import errors
from defectscope.core.errors import (
    ComponentError,
    DefectscopeError,
    MissingPackageError,
    OutputError,
)
from defectscope.core.instances import Instances
from defectscope.plugins.quiet import quiet_stdout

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from defectscope.core.base import Runtime
    from defectscope.pipeline.choices import Choice
    from defectscope.plugins.host import PluginHost

__all__ = [
    "NamedComponent", "busy", "enter", "guarded", "outside", "reported_types", "unknown_types",
]  # fmt: skip

T = TypeVar("T")


@dataclass(frozen=True)
class NamedComponent:
    """A component and what the user calls it.

    Parameters
    ----------
    alias
        Name or alias.
    component
        Built, not opened; or its class, where nothing is built.
    origin
        Distribution and version of a third party's, for messages.
    optional
        Whether a run goes on without it where it fails, because nobody asked for it.
    """

    alias: str
    component: Any
    origin: str = ""
    optional: bool = False

    @classmethod
    def build(
        cls, host: PluginHost, family: str, choice: Choice, runtime: Runtime | None = None
    ) -> NamedComponent:
        """Build a component that the user named."""
        component = host.build(family, choice.name, choice.options, runtime, choice.alias)
        return cls(choice.alias, component, _origin(host, family, choice.name))

    @classmethod
    def of_class(cls, host: PluginHost, family: str, name: str) -> NamedComponent:
        """Name a class, whose options have no part in what it is called for."""
        return cls(name, host.load_class(host.find(family, name)), _origin(host, family, name))

    def twin(self) -> NamedComponent:
        """Return the same component anew, not opened."""
        component = self.component
        return replace(self, component=type(component)(component.options, component.runtime))

    @property
    def label(self) -> str:
        """Name and, of a third party's, distribution."""
        return f"{self.alias!r} of {self.origin}" if self.origin else repr(self.alias)

    def describe(self) -> str:
        """Name and option values; of a third party's, distribution."""
        if isinstance(self.component, type):
            return self.label
        values = [f"{k}={v!r}" for k, v in self.component.options.model_dump().items()]
        text = f"{self.alias!r} ({', '.join(values)})" if values else repr(self.alias)
        return f"{text} of {self.origin}" if self.origin else text


def _origin(host: PluginHost, family: str, name: str) -> str:
    plugin = host.find(family, name).plugin
    return "" if plugin.is_shipped else plugin.label


def guarded(named: NamedComponent, where: str, call: Callable[..., T], *arguments: Any) -> T:
    """Call a component, and turn whatever it raises into one sentence that names it.

    What it prints goes to stderr.

    Parameters
    ----------
    named
        The component.
    where
        Such as ``on Frame480.jpg``.
    call
        What to call, with `arguments`.

    Raises
    ------
    ComponentError
        With name, option values, place, and the component's own message.
    DefectscopeError
        What a third party's component raised of them, with the same beside its message. Those of
        shipped ones are whole sentences for users, and stay as they are.
    KeyboardInterrupt
        With a note of who was at work.
    """
    try:
        with quiet_stdout():
            return call(*arguments)
    except DefectscopeError as error:
        if _is_whole(named, error):
            raise
        text = f"{named.describe()} failed {where}: {' '.join(str(error).split())}"
        raise _kind(error)(text) from error
    except KeyboardInterrupt as stop:
        stop.add_note(busy(named, where))
        raise
    except (Exception, SystemExit) as error:
        text = " ".join(str(error).split())
        what = f"{type(error).__name__}: {text}" if text else type(error).__name__
        hint = ""
        if isinstance(error, ValueError) and "read-only" in text:
            hint = " (a component must not change what it is given)"
        elif isinstance(error, SystemExit):
            hint = " (it tried to end the program)"
        raise ComponentError(
            f"{named.describe()} failed {where}: {what}{hint}; what was finished before stays"
        ) from error


def enter(stack: ExitStack, named: NamedComponent, failures: list[str] | None = None) -> None:
    """Open a component, and let a stack close it.

    Parameters
    ----------
    stack
        Whose end is the component's.
    named
        The component.
    failures
        Grows where it cannot be closed. Without it that is raised, unless the stack ends early:
        then it is told what went wrong before.
    """

    def leave(*error: Any) -> None:
        try:
            guarded(named, "while it closed", named.component.__exit__, *error)
        except DefectscopeError as failure:
            if failures is not None:
                failures.append(str(failure))
            elif error[0] is None:
                raise

    guarded(named, "while it opened", named.component.__enter__)
    stack.push(leave)


def _is_whole(named: NamedComponent, error: DefectscopeError) -> bool:
    """Whether a user learns from an error alone what it is about."""
    if not named.origin or isinstance(error, MissingPackageError | OutputError):
        return True
    # What was checked here, or guarded already, names the component.
    return isinstance(error, ComponentError) and repr(named.alias) in str(error)


def _kind(error: DefectscopeError) -> type[DefectscopeError]:
    """Return the class of an error, or that of ours from which a plugin derived it."""
    return next(kind for kind in type(error).__mro__ if kind.__module__ == errors.__name__)


def reported_types(named: NamedComponent) -> tuple[str, ...]:
    """Return the types that a detector can report; one that cannot say fails where it detects."""
    try:
        return tuple(named.component.defect_types)
    except Exception:
        return ()


def unknown_types(named: NamedComponent, found: Iterable[str], known: Collection[str]) -> list[str]:
    """Return what to say of types that were found, and that nobody knows.

    Parameters
    ----------
    named
        The detector; what it declares is told when a run begins.
    found
        Names of the types of instances.
    known
        Names of those that are registered.
    """
    unknown = sorted(set(found).difference(known))
    declared = reported_types(named) if unknown else ()
    return [
        f"the defect type {name!r} was found, which {named.label} does not declare and no plugin "
        "registers: nothing is known of its shape, contrast and definition of size"
        for name in unknown
        if name not in declared
    ]


def busy(named: NamedComponent, where: str) -> str:
    """Return what is said when a run is interrupted while a component works."""
    return f"{named.label} was at work {where}"


def outside(instances: Instances) -> NDArray[np.bool_]:
    """Return which instances have boxes that go beyond their image by more than 1 px."""
    height, width = instances.image_shape
    beyond = (instances.boxes < -1) | (instances.boxes > np.array([width, height] * 2) + 1)
    return np.asarray(beyond.any(axis=1))
