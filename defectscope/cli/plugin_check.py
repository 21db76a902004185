"""What ``defectscope plugins check`` checks, with which options, and how it shows that."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import click

from defectscope.cli.common import say
from defectscope.core.errors import (
    MissingPackageError,
    OptionError,
    PluginLoadError,
    UnknownNameError,
)
from defectscope.core.options import parse_assignment
from defectscope.plugins.conformance import CheckResult, check_component
from defectscope.plugins.conformance.commands import check_command
from defectscope.plugins.host import FAMILIES
from defectscope.plugins.quiet import quiet_stdout
from defectscope.plugins.records import normalized

if TYPE_CHECKING:
    from defectscope.plugins.host import PluginHost, Registered

__all__ = ["check_commands", "check_entries", "entries_to_check", "show_results"]

# status -> the word and the colour that it is shown in
MARKS = {
    "passed": ("pass", "green"),
    "failed": ("FAIL", "red"),
    "warning": ("warn", "yellow"),
    "skipped": ("skip", None),
}


def entries_to_check(host: PluginHost, name: str, family: str | None) -> list[Registered]:
    """Return the component of a name, or everything that a plugin or distribution provides.

    Raises
    ------
    UnknownNameError
        Nothing is called that.
    PluginLoadError
        It is a plugin that failed to load.
    UsageError
        Several families have a component of that name.
    """
    try:
        return [host.find_anywhere(name, family)]
    except UnknownNameError:
        wanted = normalized(name)
        records = [
            record
            for record in host.plugins
            if wanted in (normalized(record.name), normalized(record.distribution))
            and record.status != "hidden"
        ]
        if not records or family is not None:
            raise
    for record in records:
        if record.status != "loaded":
            raise PluginLoadError(f"{record.label} is {record.status}: {record.error or 'by name'}")
    return [
        entry
        for group in FAMILIES
        for entry in host.registered(group)
        if any(entry.plugin is record for record in records)
    ]


def check_entries(
    host: PluginHost,
    entries: Sequence[Registered],
    assignments: Sequence[str],
    time_limit_s: float | None = None,
) -> Iterator[tuple[Registered, list[CheckResult]]]:
    """Check components one by one.

    Parameters
    ----------
    host, entries
        Components, and where they are registered.
    assignments
        ``NAME.option=value``.
    time_limit_s
        Longest time for each check.

    Raises
    ------
    OptionError
        An assignment is malformed, or for none of the components.
    MissingPackageError
        The only component lacks an optional package; one of several is skipped instead.
    """
    options: dict[str, dict[str, Any]] = {}
    for assignment in assignments:
        name, option, value = parse_assignment(assignment)
        if all(name not in (entry.name, entry.qualified) for entry in entries):
            known = ", ".join(entry.name for entry in entries)
            raise OptionError(f"--set {assignment}: checked is {known}, not {name!r}")
        options.setdefault(name, {})[option] = value
    for entry in entries:
        given = {**options.get(entry.name, {}), **options.get(entry.qualified, {})}
        try:
            with quiet_stdout():
                results = check_component(
                    host, entry.family, entry.qualified, given or None, time_limit_s
                )
        except MissingPackageError as error:
            if len(entries) == 1:
                raise
            results = [CheckResult("loads", "It can be imported", "skipped", str(error))]
        yield entry, results


def check_commands(host: PluginHost, name: str) -> Iterator[tuple[str, list[CheckResult]]]:
    """Check the commands of a plugin or distribution; of a component there are none."""
    for record in host.plugins:
        named = normalized(name) in (normalized(record.name), normalized(record.distribution))
        if named and "defectscope_commands" in record.hooks:
            for command in host.commands_of(record) or [record.name]:
                with quiet_stdout():
                    results = check_command(host, command)
                yield command, results


def show_results(title: str, results: Sequence[CheckResult]) -> None:
    """Write a line for each check to stdout, and how many came out how to stderr."""
    click.echo(title)
    for result in results:
        word, colour = MARKS[result.status]
        reason = f": {result.message}" if result.message else ""
        click.echo(f"  {click.style(word, fg=colour)}  {result.title}{reason}")
    counts = {status: sum(r.status == status for r in results) for status in MARKS}
    say(", ".join(f"{count} {status}" for status, count in counts.items() if count))
