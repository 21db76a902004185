"""Which analyses a run makes where nobody names any: those that do no harm to what was asked."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from defectscope.core.errors import DefectscopeError
from defectscope.pipeline.choices import Choice

if TYPE_CHECKING:
    from defectscope.plugins.host import PluginHost, Registered

__all__ = ["unasked_analyses"]


def unasked_analyses(
    host: PluginHost,
    options: Mapping[str, Mapping[str, Any]] | None = None,
    taken: Collection[str] = (),
) -> tuple[list[Choice], list[str]]:
    """Return the installed analyses that can be made, by name, and why others are left out.

    Parameters
    ----------
    host
        Plugins.
    options
        Options of components by name or alias: an analysis that has some counts as asked for, and
        is not left out.
    taken
        Aliases of other components: an analysis of such a name is called ``distribution/NAME``.

    Returns
    -------
    choices : list of Choice
        Of several analyses of one name the shipped one, where there is one.
    warnings : list of str
        What is to be said.
    """
    options = options or {}
    groups: dict[str, list[Registered]] = {}
    for entry in host.registered("analyses"):
        groups.setdefault(entry.name, []).append(entry)
    choices: list[Choice] = []
    warnings: list[str] = []
    for name in sorted(groups):
        entries = _preferred(groups[name], options)
        warnings += [
            f"the analysis {name!r} of {other.plugin.label} is left out, because another one has "
            f"its name; 'defectscope analyze RUN --analysis {other.qualified}' makes it"
            for other in groups[name]
            if other not in entries
        ]
        if not entries and name in options and name not in taken:
            choices.append(Choice(name, name))  # whoever builds it says that it is two
        for entry in entries:
            several = len(groups[name]) > 1
            choice = _choice(entry, several, options, taken)
            asked = choice.name in options or choice.alias in options
            reason = None if asked else _failure(host, choice)
            if reason is not None:
                warnings.append(f"the analysis {choice.alias!r} is left out: {reason}")
                continue
            choices.append(choice)
    return choices, warnings


def _preferred(entries: list[Registered], options: Mapping[str, Any]) -> list[Registered]:
    """Return which analyses of one name are made: the only one, one with options, a shipped one."""
    if len(entries) == 1:
        return entries
    shipped = [e for e in entries if e.plugin.is_shipped]
    return ([e for e in entries if e.qualified in options] or shipped)[:1]


def _choice(
    entry: Registered,
    several: bool,
    options: Mapping[str, Mapping[str, Any]],
    taken: Collection[str],
) -> Choice:
    if entry.name in taken:
        # Options of the bare name are the other component's.
        return Choice(entry.qualified, entry.qualified)
    if several or entry.qualified in options:
        return Choice(entry.qualified, entry.name)
    return Choice(entry.name, entry.name)


def _failure(host: PluginHost, choice: Choice) -> str | None:
    try:
        host.build("analyses", choice.name, alias=choice.alias)
    except DefectscopeError as error:
        return str(error)
    return None
