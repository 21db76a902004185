"""Writes docs/hooks.md from the hook specifications and the base classes.

Usage: python docs/make_hook_reference.py [--check]
"""

from __future__ import annotations

import inspect
import sys
import textwrap
from pathlib import Path

from reference_page import tidy, write_or_check

from defectscope.core import base, components
from defectscope.core.defect_types import DefectType
from defectscope.plugins import hookspecs, testing
from defectscope.plugins.api_version import API_VERSION
from defectscope.plugins.host import SPECS
from defectscope.plugins.records import BASES, FAMILIES, singular
from defectscope.plugins.scaffold.kinds import KINDS

TARGET = Path(__file__).with_name("hooks.md")
HEAD = f"""# Hook reference

Version {API_VERSION} of the plugin interface. This page is made from the hook specifications by
`python docs/make_hook_reference.py`; a test fails where it differs from them.

A hook that takes no argument returns an iterable; each implementation is called once, when its
plugin is loaded. An implementation may leave out arguments that it does not need.
P2 and P3 are in the [references](references.md).

| hook | returns | template | tests |
| --- | --- | --- | --- |
"""


def hooks() -> list[str]:
    """Return the names of all hooks, in the order of the specifications."""
    return [name for name in vars(hookspecs) if name.startswith("defectscope_")]


def family_of_hook(hook: str) -> str:
    """Return the family of a hook."""
    return {value: key for key, value in FAMILIES.items()}.get(hook, "commands")


def conformance_class(family: str) -> str:
    """Return the name of the class that tests a family."""
    names = [name for name in testing.__all__ if name.endswith("Conformance")]
    return next(n for n in names if getattr(getattr(testing, n), "family", None) == family)


def _signature(function: object) -> str:
    assert callable(function)
    text = str(inspect.signature(function)).replace("'", "")
    return text.replace("(self, ", "(").replace("(self)", "()").replace("(cls, ", "(")


def _first_line(thing: object) -> str:
    return (inspect.getdoc(thing) or "").partition("\n")[0]


def _parts(docstring: str, heading: str) -> str:
    """Return a section of a numpydoc docstring, or an empty text."""
    lines = docstring.splitlines()
    for k, line in enumerate(lines[:-1]):
        if line == heading and set(lines[k + 1]) == {"-"}:
            rest = lines[k + 2 :]
            ends = [n for n in range(len(rest) - 1) if rest[n + 1] and set(rest[n + 1]) == {"-"}]
            return "\n".join(rest[: ends[0]] if ends else rest).strip("\n")
    return ""


def _definitions(section: str) -> list[str]:
    """Return a section of a numpydoc docstring as a list of Markdown."""
    items: list[str] = []
    for line in section.splitlines():
        if line and not line.startswith(" "):
            names = ", ".join(f"`{name.strip()}`" for name in line.partition(" : ")[0].split(","))
            items.append(f"- {names}:")
        elif line.strip():
            items[-1] += f" {line.strip()}"
    return items


def _class_section(cls: type) -> list[str]:
    """Describe a base class: its attributes and what a subclass writes."""
    lines = [f"### `{cls.__name__}`", "", _first_line(cls), ""]
    attributes = _definitions(_parts(inspect.getdoc(cls) or "", "Attributes"))
    lines += attributes
    for name, member in vars(cls).items():
        member = member.__func__ if isinstance(member, classmethod) else member
        if name.startswith("_") or not (inspect.isfunction(member) or isinstance(member, property)):
            continue
        must = " (must be written)" if getattr(member, "__isabstractmethod__", False) else ""
        shown = name if isinstance(member, property) else f"{name}{_signature(member)}"
        lines.append(f"- `{shown}`{must}: {_first_line(member)}")
    return [*lines, ""]


def _hook_section(hook: str) -> list[str]:
    function = getattr(hookspecs, hook)
    document = inspect.getdoc(function) or ""
    family = family_of_hook(hook)
    example = textwrap.dedent(document.partition("::\n")[2]).strip("\n")
    lines = [f"## `{hook}`", "", _first_line(function), ""]
    lines += [f"`{hook}{_signature(function)}`", ""]
    lines += ["```python", example, "```", ""]
    spec = SPECS.get(family, None if family == "commands" else components.ComponentSpec)
    if spec is not None and spec is not components.ComponentSpec:
        lines += [f"### `{spec.__name__}`", "", _first_line(spec), ""]
        lines += [*_definitions(_parts(inspect.getdoc(spec) or "", "Parameters")), ""]
        if spec is not DefectType:
            lines[-1:] = ["", "Besides what every `ComponentSpec` has.", ""]
    if family in BASES:
        first = getattr(base, BASES[family])
        more = [c for c in vars(base).values() if isinstance(c, type) and first in c.__bases__]
        for cls in (first, *more):
            lines += _class_section(cls)
    return lines


def reference() -> str:
    """Return the whole page."""
    lines = []
    for hook in hooks():
        family = family_of_hook(hook)
        spec = SPECS.get(family, components.ComponentSpec).__name__
        word = "command" if family == "commands" else singular(family).replace(" ", "-")
        word = word if family != "weights" else "weights"
        assert family in KINDS
        lines.append(
            f"| [`{hook}`](#{hook}) | {'' if family == 'commands' else f'`{spec}`'} | "
            f"`plugins new {word} NAME` | `{conformance_class(family)}` |"
        )
    parts = ["\n".join(lines), ""]
    parts += ["## `ComponentSpec`", "", _first_line(components.ComponentSpec), ""]
    document = inspect.getdoc(components.ComponentSpec) or ""
    parts += [*_definitions(_parts(document, "Parameters")), ""]
    parts += _class_section(base.Component)
    for hook in hooks():
        parts += _hook_section(hook)
    return HEAD + tidy("\n".join(parts))


if __name__ == "__main__":
    sys.exit(write_or_check(TARGET, reference(), __doc__.splitlines()[0]))
