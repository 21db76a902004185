"""Components under the names that the user gave them, and what is said when one fails."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from defectscope.core.errors import ComponentError, DefectscopeError
from defectscope.core.instances import Instances

if TYPE_CHECKING:
    from defectscope.core.frames import Frame

__all__ = ["NamedComponent", "check_found", "guarded"]

T = TypeVar("T")


@dataclass(frozen=True)
class NamedComponent:
    """A component and what the user calls it."""

    alias: str
    component: Any

    def twin(self) -> NamedComponent:
        """Return the same component anew, not opened."""
        component = self.component
        return replace(self, component=type(component)(component.options, component.runtime))

    def describe(self) -> str:
        """Name and option values."""
        values = self.component.options.model_dump()
        return f"{self.alias!r} ({', '.join(f'{k}={v!r}' for k, v in values.items())})"


def guarded(named: NamedComponent, where: str, call: Callable[..., T], *arguments: Any) -> T:
    """Call a component, and turn whatever it raises into one sentence that names it.

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
    """
    try:
        return call(*arguments)
    except DefectscopeError:
        raise
    except Exception as error:
        text = " ".join(str(error).split())
        raise ComponentError(
            f"{named.describe()} failed {where}: {type(error).__name__}: {text}; "
            "what was finished before stays"
        ) from error


def check_found(named: NamedComponent, found: Any, frames: Sequence[Frame]) -> None:
    """Check that a component returned one Instances a frame, inside of it.

    Raises
    ------
    ComponentError
        It did not; names the component.
    """
    if not isinstance(found, list | tuple) or len(found) != len(frames):
        size = f"{len(found)} of them" if isinstance(found, list | tuple) else type(found).__name__
        raise ComponentError(
            f"{named.describe()} must return one Instances for each of {len(frames)} frames, "
            f"found {size}"
        )
    for instances, frame in zip(found, frames, strict=True):
        if not isinstance(instances, Instances):
            raise ComponentError(
                f"{named.describe()} must return Instances on {frame.source}, "
                f"found {type(instances).__name__}"
            )
        if instances.image_shape != frame.shape:
            raise ComponentError(
                f"{named.describe()} returned instances of an image of {instances.image_shape} "
                f"on {frame.source}, which is {frame.shape}"
            )
        outside = np.any(instances.boxes < -1) or np.any(
            instances.boxes > np.array([*frame.shape[::-1], *frame.shape[::-1]]) + 1
        )
        if outside:
            raise ComponentError(
                f"{named.describe()} returned boxes outside of {frame.source} "
                f"({frame.shape[1]} x {frame.shape[0]} px)"
            )
