"""``defectscope plugins``: what is installed, what it takes, and whether it keeps its promises."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from defectscope.cli.common import PATH, current_host, once, say, show_json, warn
from defectscope.cli.completion import names_of
from defectscope.cli.plain_tables import show_table

if TYPE_CHECKING:
    from defectscope.plugins.host import PluginHost, PluginRecord

__all__ = ["plugins"]

FAMILY_OPTION = once("--family", metavar="FAMILY", help="Where a name stands in several families.")
JSON_OPTION = click.option("--json", "as_json", is_flag=True, help="Write JSON to stdout.")


@click.group()
def plugins() -> None:
    """List, explain, check and start plugins."""


@plugins.command("list")
@JSON_OPTION
@click.pass_context
def list_plugins(context: click.Context, as_json: bool) -> None:
    """List the plugins that were found, and what each provides.

    Nothing is imported but the plugins themselves. One that failed is listed with its error.
    """
    host = current_host(context)
    _known_commands(context)  # a hook that fails is then known to have failed
    if as_json:
        found = {
            "plugins": [_plugin_facts(record) for record in host.plugins],
            "clashes": [
                {"family": group[0].family, "name": group[0].name,
                 "offered_by": [entry.plugin.distribution for entry in group]}
                for group in host.clashes()
            ],
        }  # fmt: skip
        show_json(found, default=str)
    else:
        show_table(("distribution", "version", "plugin", "status", "provides"), _plugin_rows(host))
        click.echo()
        show_table(("family", "name", "distribution", "summary", "notes"), _component_rows(host))
    _warn_of_trouble(host)


def _known_commands(context: click.Context) -> list[str]:
    """Return the names of all commands, those of plugins included."""
    group = context.find_root().command
    if group is plugins or not isinstance(group, click.Group):
        group = click.Group()  # called by itself, and not as part of defectscope
    current_host(context).add_commands(group)
    return group.list_commands(context)


def _warn_of_trouble(host: PluginHost) -> None:
    for record in host.plugins:
        for text in [*([] if record.error is None else [record.error]), *record.warnings]:
            warn(f"{record.label}: {text}")
    for group in host.clashes():
        owners = " and ".join(entry.plugin.label for entry in group)
        warn(f"{group[0].name!r} in {group[0].family} is offered by {owners}")
    for name in host.unmatched_allowed():
        warn(f"DEFECTSCOPE_PLUGINS names {name!r}, but no plugin or distribution is called that")


def _plugin_rows(host: PluginHost) -> Iterator[tuple[str, ...]]:
    for record in host.plugins:
        provides = [f"{len(specs)} {family}" for family, specs in record.provides.items() if specs]
        if "defectscope_commands" in record.hooks:
            provides.append("commands")
        if record.error is not None:
            provides.append(f"error: {record.error}")
        yield record.distribution, record.version, record.name, record.status, ", ".join(provides)


def _component_rows(host: PluginHost) -> Iterator[tuple[str, ...]]:
    from defectscope.plugins.host import FAMILIES

    clashing = {(group[0].family, group[0].name) for group in host.clashes()}
    for family in FAMILIES:
        for entry in host.registered(family):
            notes = _notes(entry.spec)
            if (family, entry.name) in clashing:
                notes.append(f"several plugins offer this name; write {entry.qualified}")
            owner = entry.plugin.distribution
            yield family, entry.name, owner, _summary(entry.spec), "; ".join(notes)


def _summary(spec: Any) -> str:
    return getattr(spec, "summary", None) or f"{spec.title} ({spec.shape}, {spec.contrast})"


def _notes(spec: Any) -> list[str]:
    notes = []
    if getattr(spec, "extra", None):
        notes.append(f"needs the extra [{spec.extra}]")
    if getattr(spec, "licence", None):
        notes.append(f"licence {spec.licence}")
    return notes


def _plugin_facts(record: PluginRecord) -> dict[str, Any]:
    import dataclasses

    return {
        **{name: getattr(record, name) for name in ("distribution", "version", "name", "target")},
        "status": record.status,
        "error": record.error,
        "warnings": record.warnings,
        "import_s": round(record.import_s, 4),
        "api_version": record.api_version,
        "hooks": list(record.hooks),
        "provides": {
            family: [dataclasses.asdict(spec) for spec in specs]
            for family, specs in record.provides.items()
        },
    }


@plugins.command()
@click.argument("name", shell_complete=names_of())
@FAMILY_OPTION
@JSON_OPTION
@click.pass_context
def info(context: click.Context, name: str, family: str | None, as_json: bool) -> None:
    """Show what NAME does, where it comes from, and its options.

    NAME is what 'plugins list' shows, or distribution/NAME.
    """
    from defectscope.cli.plugin_info import facts_of

    entry = current_host(context).find_anywhere(name, family)
    facts = facts_of(current_host(context), entry)
    if as_json:
        show_json(facts, default=str)
        return
    options = facts.pop("options", None)
    training = facts.pop("training_options", None)
    click.echo(f"{entry.name}: {facts.pop('summary')}")
    for key, value in facts.items():
        if key != "name" and value not in (None, ""):
            click.echo(f"  {key.replace('_', ' ')}: {_readable(value)}")
    if options:
        _show_options("option", options)
        say(f"set an option with: --set {entry.name}.{options[0]['name']}=VALUE")
    if training:
        _show_options("option of train", training)


def _show_options(title: str, options: list[dict[str, Any]]) -> None:
    click.echo()
    show_table(
        (title, "type", "default", "limits", "unit", "description"),
        ([_cell(value) for value in row.values()] for row in options),
    )


def _cell(value: Any) -> str:
    # A default that is an empty list is not none at all.
    if isinstance(value, dict | list | tuple | set | frozenset) and not value:
        return "{}" if isinstance(value, dict) else "[]"
    return _readable(value)


def _readable(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{k} ({v})" if v else str(k) for k, v in value.items()) or "none"
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "none"
    if isinstance(value, bool):
        return "true" if value else "false"
    return "none" if value is None else str(value)


@plugins.command()
@click.argument("family")
@click.argument("name")
@once(
    "--out",
    type=PATH,
    metavar="DIR",
    help="Folder of the project; defectscope-NAME here by default.",
)
@click.pass_context
def new(context: click.Context, family: str, name: str, out: Path | None) -> None:
    """Write the project of a new plugin: a FAMILY (such as detector or tracker) called NAME.

    It holds a working component, its tests, and everything that pip needs; installed, it can be
    named at once.

    \b
    Example:
      defectscope plugins new detector my-defects
      pip install --editable defectscope-my-defects
      defectscope run frames/ --detector my-defects --out results
    """
    from defectscope.plugins.scaffold import new_project

    project = new_project(family, name, current_host(context), out, _known_commands(context))
    for path in project.files:
        click.echo(project.folder / path)
    say(f"next: pip install --editable {project.folder}")
    say(f"      {project.usage}")


@plugins.command()
@click.argument("name", shell_complete=names_of())
@FAMILY_OPTION
@click.option(
    "--set",
    "assignments",
    multiple=True,
    metavar="NAME.OPTION=VALUE",
    help="Set an option of NAME, where it cannot work with its defaults; may be repeated.",
)
@once(
    "--time-limit",
    "time_limit_s",
    type=click.FloatRange(0, min_open=True),
    default=120.0,
    show_default=True,
    metavar="S",
    help="Longest time for a check, s; one that takes longer failed.",
)
@JSON_OPTION
@click.pass_context
def check(
    context: click.Context,
    name: str,
    family: str | None,
    assignments: tuple[str, ...],
    time_limit_s: float,
    as_json: bool,
) -> None:
    """Check that NAME keeps what its family promises.

    NAME is what 'plugins list' shows, distribution/NAME, or a plugin or distribution, all of
    which is then checked. The exit code is 1 where a check fails.
    """
    from defectscope.cli.plugin_check import (
        check_commands,
        check_entries,
        entries_to_check,
        show_results,
    )

    host = current_host(context)
    entries = entries_to_check(host, name, family)
    rows: list[dict[str, Any]] = []
    failed = False
    for entry, results in check_entries(host, entries, assignments, time_limit_s):
        failed = failed or any(result.status == "failed" for result in results)
        rows.extend({"family": entry.family, "component": entry.qualified, **result._asdict()}
                    for result in results)  # fmt: skip
        if not as_json:
            show_results(f"{entry.qualified} ({entry.family})", results)
    for command, results in check_commands(host, name) if family is None else ():
        failed = failed or any(result.status == "failed" for result in results)
        rows.extend({"family": "commands", "component": command, **result._asdict()}
                    for result in results)  # fmt: skip
        if not as_json:
            show_results(f"{command} (commands)", results)
    if as_json:
        show_json(rows)
    context.exit(1 if failed else 0)
