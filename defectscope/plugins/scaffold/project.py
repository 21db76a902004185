"""Writes the project of a new plugin: whole, or not at all."""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from collections.abc import Collection, Mapping
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from defectscope._version import __version__
from defectscope.core.errors import OutputError
from defectscope.plugins.api_version import API_VERSION
from defectscope.plugins.records import FAMILIES, singular
from defectscope.plugins.scaffold.kinds import KINDS, family_of
from defectscope.plugins.scaffold.naming import camel_case, checked_name, distribution_of

if TYPE_CHECKING:
    from defectscope.plugins.host import PluginHost

__all__ = ["NewProject", "new_project"]

PLACEHOLDER = re.compile(r"<<(\w+)>>")
LONG_IMPORT = re.compile(r"^(from \S+ import) ([\w, ]+)$", re.MULTILINE)
LONGEST_LINE = 100
# What new weights are a copy of, until others are trained.
FIRST_WEIGHTS = "loops"
WEIGHT_SUFFIXES = (".safetensors", ".onnx", ".json")


class NewProject(NamedTuple):
    """What was made.

    Parameters
    ----------
    folder
        The project.
    files
        Relative to it.
    usage
        A command that uses the plugin once it is installed.
    """

    folder: Path
    files: tuple[str, ...]
    usage: str


def new_project(
    family: str,
    name: str,
    host: PluginHost,
    folder: Path | None = None,
    commands: Collection[str] = (),
) -> NewProject:
    """Write a plugin project that can be installed, and whose tests pass.

    Parameters
    ----------
    family
        Such as ``detector`` or ``detectors``.
    name
        Kebab-case name of the component.
    host
        What is installed, so that no name is taken twice.
    folder
        Where to; ``defectscope-NAME`` here by default.
    commands
        Names of the commands that there are.

    Raises
    ------
    UsageError
        There is no such family, or the name is not possible.
    OutputError
        The folder exists, or cannot be written.
    """
    family = family_of(family)
    name = checked_name(family, name, host, commands)
    target = Path(distribution_of(name)) if folder is None else folder
    if target.exists() or target.is_symlink():
        raise OutputError(f"{target} exists; choose another --out, or remove it first")
    values = _values(family, name)
    parts = _parts(family, values)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".defectscope-new-", dir=target.parent) as scratch:
            project = Path(scratch) / "project"
            for path, content in parts.items():
                (project / path).parent.mkdir(parents=True, exist_ok=True)
                (project / path).write_text(content, encoding="utf-8")
            if family == "weights":
                parts |= dict.fromkeys(_copied_weights(project / values["package"], name, host), "")
            project.rename(target)
    except OSError as error:
        raise OutputError(f"cannot write {target}: {error.strerror or error}") from error
    return NewProject(target, tuple(sorted(parts)), values["usage"])


def _values(family: str, name: str) -> dict[str, str]:
    kind = KINDS[family]
    noun = "command" if family == "commands" else singular(family)
    camel = camel_case(name).removesuffix(kind.suffix)
    title = name.replace("-", " ")
    return {
        "name": name,
        "distribution": distribution_of(name),
        "package": distribution_of(name).replace("-", "_"),
        "title": title[0].upper() + title[1:],
        "noun": noun,
        "article": "an" if noun[0] in "aeiou" else "a",
        "hook": FAMILIES.get(family, "defectscope_commands"),
        "stem": kind.stem,
        "module": f"{kind.stem}.py",
        "class_name": f"{camel}{kind.suffix}",
        "options_name": f"{camel}Options",
        "constant": f"{name.replace('-', '_').upper()}_TYPE",
        "function": f"{name.replace('-', '_')}_command",
        "summary": kind.summary,
        "explained": f"{name} --help" if family == "commands" else f"plugins info {name}",
        "usage": _filled(kind.usage, {"name": name}),
        "defectscope_version": __version__,
        "api_version": API_VERSION,
    }


def _parts(family: str, values: Mapping[str, str]) -> dict[str, str]:
    package = values["package"]
    sources = {
        "pyproject.toml": "common/pyproject.toml.txt",
        "README.md": "common/README.md.txt",
        ".gitignore": "common/gitignore.txt",
        ".github/workflows/test.yml": "common/test.yml.txt",
        f"{package}/__init__.py": f"{family}/init.py.txt",
        f"{package}/{values['module']}": f"{family}/module.py.txt",
        f"tests/test_{values['name'].replace('-', '_')}.py": f"{family}/test.py.txt",
    }
    templates = files("defectscope.plugins.scaffold") / "templates"
    more = templates / family / "more.md.txt"
    text = more.read_text(encoding="utf-8") if more.is_file() else ""
    values = {**values, "more": _filled(text, values)}
    parts = {f"{package}/py.typed": ""}
    for path, source in sources.items():
        template = templates / source
        if not template.is_file():
            template = templates / "common" / "init.py.txt"
        parts[path] = _filled(template.read_text(encoding="utf-8"), values)
    return parts


def _filled(text: str, values: Mapping[str, str]) -> str:
    filled = PLACEHOLDER.sub(lambda match: values[match[1]], text)
    return LONG_IMPORT.sub(_wrapped, filled)


def _wrapped(match: re.Match[str]) -> str:
    """Return an import that a long name made too long as linters want it."""
    if len(match[0]) <= LONGEST_LINE:
        return match[0]
    names = "".join(f"    {name},\n" for name in match[2].split(", "))
    return f"{match[1]} (\n{names})"


def _copied_weights(folder: Path, name: str, host: PluginHost) -> list[str]:
    source: Path = host.find("weights", FIRST_WEIGHTS).spec.load()()
    names = [f"{name}{suffix}" for suffix in WEIGHT_SUFFIXES]
    for target, suffix in zip(names, WEIGHT_SUFFIXES, strict=True):
        shutil.copyfile(source.with_suffix(suffix), folder / target)
    card = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
    # A copy must not pass for something that was trained here.
    card["title"] = f"A copy of the shipped weights {FIRST_WEIGHTS!r}, to be replaced"
    (folder / f"{name}.json").write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8")
    return [f"{folder.name}/{target}" for target in names]
