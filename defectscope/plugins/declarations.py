"""What a component's class declares: tuples of names, which a forgotten comma makes text."""

from __future__ import annotations

from typing import Any, get_args

from defectscope.core.defect_types import Shape
from defectscope.core.errors import PluginLoadError, did_you_mean

__all__ = ["SHAPES", "check_declarations"]

SHAPES: tuple[str, ...] = get_args(Shape)


def check_declarations(component: type[Any]) -> None:
    """Check the names that a class declares, as far as the class itself has them.

    Raises
    ------
    PluginLoadError
        They are text, whose letters would be taken for names, or shapes that there are not.
    """
    from defectscope.core import base

    if issubclass(component, base.Generator | base.Detector):
        _expect_no_text("defect_types", component.defect_types)
    if issubclass(component, base.PostProcessor | base.Analysis):
        _expect_no_text("shapes", component.shapes)
        _expect_shapes(component.shapes)


def _expect_no_text(attribute: str, value: Any) -> None:
    if isinstance(value, str | bytes):
        raise PluginLoadError(
            f"{attribute} must be a tuple of names, found the text {value!r}; "
            f"write {attribute} = ({value!r},)"
        )


def _expect_shapes(value: Any) -> None:
    # A property says what it is only of an object.
    names = value if isinstance(value, tuple | list | set | frozenset) else ()
    for name in names:
        if name not in SHAPES:
            raise PluginLoadError(
                f"shapes must be of {', '.join(SHAPES)}, found {name!r}"
                f"{did_you_mean(str(name), SHAPES)}"
            )
