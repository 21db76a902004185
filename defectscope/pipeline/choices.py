"""Which components a pipeline is made of, and with what options."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from defectscope.core.errors import FormatError, OptionError, UsageError, did_you_mean
from defectscope.core.options import parse_assignment

__all__ = ["Choice", "expected_name", "gather_options", "make_choices", "read_config"]


@dataclass(frozen=True)
class Choice:
    """A component as the user named it.

    Parameters
    ----------
    name
        ``NAME`` or ``distribution/NAME``.
    alias
        What options and messages call it; the name unless ``ALIAS=NAME`` was written.
    options
        Values that the user gave.
    """

    name: str
    alias: str
    options: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str) -> Choice:
        """Read ``NAME``, ``distribution/NAME`` or ``ALIAS=NAME``.

        Raises
        ------
        UsageError
            It is none of these.
        """
        alias, equals, name = expected_name(text).partition("=")
        if not equals:
            return cls(text, text.rpartition("/")[2])
        if not alias.strip() or not name.strip():
            raise UsageError(
                f"a component is NAME, distribution/NAME or ALIAS=NAME, found {text!r}"
            )
        return cls(name.strip(), alias.strip())


def expected_name(given: Any) -> str:
    """Return the name of a component; UsageError where it is no text."""
    if not isinstance(given, str):
        raise UsageError(
            "a component is named by text, NAME, distribution/NAME or ALIAS=NAME, found "
            f"{given!r}; docs/plugins.md shows how a class of your own gets a name"
        )
    return given


def read_config(path: Path | None) -> dict[str, dict[str, Any]]:
    """Read the options of components from a TOML file, one table each.

    Raises
    ------
    FormatError
        The file cannot be read, or holds something else than tables.
    """
    if path is None:
        return {}
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise FormatError(f"the configuration file {path} cannot be read: {error}") from error
    for name, table in content.items():
        if not isinstance(table, dict):
            raise FormatError(
                f"the configuration file {path} must hold one table a component, "
                f"such as [{name}], found the bare value {name} = {table!r}"
            )
    return content


def gather_options(
    assignments: Iterable[str], config: Mapping[str, Mapping[str, Any]]
) -> dict[str, dict[str, Any]]:
    """Return the options by component: those of the file, overruled by ``--set``."""
    gathered = {name: dict(table) for name, table in config.items()}
    for text in assignments:
        name, option, value = parse_assignment(text)
        gathered.setdefault(name, {})[option] = value
    return gathered


def make_choices(
    named: Iterable[str | Choice], options: Mapping[str, Mapping[str, Any]]
) -> list[Choice]:
    """Join names and options.

    Options of a name go to the component that is called so, and, where there is none, to every
    alias of that name.

    Raises
    ------
    UsageError
        One alias stands for two components.
    OptionError
        Options are given for a component that is not part of the pipeline.
    """
    parsed: list[Choice] = []
    for item in named:
        choice = item if isinstance(item, Choice) else Choice.parse(item)
        if any(choice.alias == other.alias for other in parsed):
            raise UsageError(
                f"{choice.alias!r} names two components of one pipeline; "
                "tell them apart with ALIAS=NAME"
            )
        parsed.append(choice)
    called = {choice.alias for choice in parsed}
    called |= {choice.name for choice in parsed if _is_bare(choice)}
    choices: list[Choice] = []
    used: set[str] = set()
    for choice in parsed:
        names = [choice.alias]
        if _is_bare(choice) or choice.name not in called:
            names.insert(0, choice.name)
        keys = [key for key in dict.fromkeys(names) if key in options]
        used.update(keys)
        given = {name: value for key in keys for name, value in options[key].items()}
        choices.append(Choice(choice.name, choice.alias, {**choice.options, **given}))
    for name in options:
        if name not in used:
            aliases = [choice.alias for choice in choices]
            raise OptionError(
                f"options are given for {name!r}, which is not part of this pipeline"
                f"{did_you_mean(name, aliases)}; its components are: {', '.join(aliases)}"
            )
    return choices


def _is_bare(choice: Choice) -> bool:
    """Whether a component was given no alias."""
    return choice.alias == choice.name.rpartition("/")[2]
