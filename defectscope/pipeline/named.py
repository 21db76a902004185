"""Components under the names that the user gave them, and what is said when one fails."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from defectscope.core.errors import ComponentError, DefectscopeError

__all__ = ["NamedComponent", "guarded"]

T = TypeVar("T")


@dataclass(frozen=True)
class NamedComponent:
    """A component and what the user calls it."""

    alias: str
    component: Any

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
