"""Writes docs/python.md from what ``import defectscope`` offers.

Usage: python docs/make_python_reference.py [--check]
"""

from __future__ import annotations

import inspect
import re
import runpy
import sys
from functools import cached_property
from pathlib import Path
from typing import Any

from reference_page import tidy, write_or_check

import defectscope
from defectscope.core import base, errors
from defectscope.pipeline.analysing import analyse_run
from defectscope.pipeline.settings import RunSettings

HOOKS = runpy.run_path(str(Path(__file__).with_name("make_hook_reference.py")))
TARGET = Path(__file__).with_name("python.md")
HEAD = """# Python reference

What `import defectscope as ds` offers. This page is made from the docstrings by
`python docs/make_python_reference.py`; a test fails where it differs from them. The
[user guide](user-guide.md) shows most of it at work, and `help(ds.open)` says the same in a
terminal. Base classes and specifications for plugins are in the [hook reference](hooks.md), and P2
and P3 in the [references](references.md).
"""
GROUPS = {
    "Run, and read results": ("open", "Pipeline", "load_run", "Result", "analyze", "track"),
    "Labelled images": ("open_dataset", "save_dataset", "Dataset", "LabelledImage", "generate"),
    "Scores": ("evaluate", "benchmark"),
    "Training and weights": (
        "train", "find_weights", "read_tensors", "WeightFiles", "WeightsCard", "TrainingData",
        "TrainingJob",
    ),
    "Frames and what is in them": (
        "Frame", "FrameSequence", "Calibration", "Instances", "Mask", "DefectType",
    ),
    "For analyses": ("Tables", "Finding", "KeyNumber", "Fields", "counted_fields"),
    "For components": ("Options", "Runtime"),
}  # fmt: skip
# In the hook reference.
ELSEWHERE = {
    *(c.__name__ for c in vars(base).values() if getattr(c, "__module__", "") == base.__name__),
    "ComponentSpec", "FormatSpec", "ReaderSpec", "hookimpl",
} - {"Runtime"}  # fmt: skip


def public_names() -> set[str]:
    """Return what a script may use by name."""
    return {*dir(defectscope)} - {"__version__"}


def told_elsewhere(name: str) -> bool:
    """Whether a name is in the hook reference, or in the tree of errors."""
    thing = getattr(defectscope, name)
    return name in ELSEWHERE or (inspect.isclass(thing) and issubclass(thing, Exception))


def _signature(thing: Any, name: str) -> str:
    """Return a call without types, which the parameters below tell in words."""
    parts, star = [], False
    for parameter in inspect.signature(thing).parameters.values():
        if parameter.name in ("self", "cls"):
            continue
        if parameter.kind is parameter.KEYWORD_ONLY and not star:
            parts.append("*")
        star = star or parameter.kind in (parameter.KEYWORD_ONLY, parameter.VAR_POSITIONAL)
        text = str(parameter.replace(annotation=parameter.empty))
        # What stands for "not given" has no name that says anything.
        parts.append(re.sub(r"=<.*>$", "=...", text.replace(" = ", "=")))
    return f"{name}({', '.join(parts)})"


def _prose(docstring: str) -> list[str]:
    """Return what stands above the first section of a numpydoc docstring."""
    lines = docstring.splitlines()
    ends = [k - 1 for k, line in enumerate(lines) if k and line and set(line) == {"-"}]
    return "\n".join(lines[: ends[0]] if ends else lines).strip("\n").splitlines()


def _sections(docstring: str) -> list[str]:
    lines: list[str] = []
    for title in ("Parameters", "Attributes", "Returns", "Raises"):
        items = HOOKS["_definitions"](HOOKS["_parts"](docstring, title))
        lines += ["", f"{title}:", "", *items] if items else []
    return lines


def _described(name: str) -> list[str]:
    """Describe a function, or a class with its public methods."""
    thing = getattr(defectscope, name)
    document = inspect.getdoc(thing) or ""
    called = not inspect.isclass(thing) or "Parameters" in document
    title = _signature(thing, f"ds.{name}") if called else f"ds.{name}"
    lines = [f"### `{name}`", "", f"`{title}`", "", *_prose(document), *_sections(document), ""]
    members = vars(thing).items() if inspect.isclass(thing) else ()
    rows = [_member(key, member) for key, member in members if not key.startswith("_")]
    shown = [row for row in rows if row]
    lines += ["Methods and properties:", "", *shown, ""] if shown else []
    lines += _methods_of_runs() if name == "Pipeline" else []
    return [*lines, *(_settings("`analyze`", analyse_run, "out") if name == "analyze" else [])]


def _methods_of_runs() -> list[str]:
    """Describe in full what a script calls most, and what it may set."""
    lines = []
    for name in ("run", "watch"):
        method = getattr(defectscope.Pipeline, name)
        document = inspect.getdoc(method) or ""
        lines += [f"#### `Pipeline.{name}`", "", *_prose(document), *_sections(document), ""]
    return [*lines, *_settings("`run` and `watch`", RunSettings, "roi")]


def _settings(of: str, thing: Any, first: str) -> list[str]:
    """Describe what is handed on by name, from the parameter `first` on."""
    items = HOOKS["_definitions"](HOOKS["_parts"](inspect.getdoc(thing), "Parameters"))
    begin = next(k for k, item in enumerate(items) if item.startswith(f"- `{first}`"))
    return [f"#### Settings of {of}", "", *items[begin:], ""]


def _member(name: str, member: Any) -> str:
    plain = getattr(member, "__func__", member)
    first = (inspect.getdoc(plain) or "").partition("\n")[0]
    if inspect.isfunction(plain):
        return f"- `.{_signature(plain, name)}`: {first}"
    named = isinstance(plain, property | cached_property)
    return f"- `.{name}`: {first}" if named else ""


def _errors() -> list[str]:
    tree = (inspect.getdoc(errors) or "").partition("::\n")[2].partition("\n\nA message")[0]
    lines = inspect.cleandoc(tree).splitlines()
    return [
        "## Errors",
        "",
        "All derive from `ds.DefectscopeError`; catch that.",
        "",
        "```text",
        *lines,
        "```",
    ]


def reference() -> str:
    """Return the whole page."""
    lines = []
    for title, names in GROUPS.items():
        lines += [f"## {title}", ""]
        for name in names:
            lines += _described(name)
    text = "\n".join([*lines, *_errors()])
    # Markup of docstrings.
    text = re.sub(r":\w+:`~?(?:defectscope\.)?([^`]+)`", r"`\1`", text)
    return HEAD + "\n" + tidy(text)


if __name__ == "__main__":
    sys.exit(write_or_check(TARGET, reference(), __doc__.splitlines()[0]))
