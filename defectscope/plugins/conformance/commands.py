"""Commands: what is asked of those that plugins add to the command line."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from defectscope.plugins.conformance.basics import Check, CheckResult, Setup, expect, run_check

if TYPE_CHECKING:
    from defectscope.plugins.host import PluginHost

__all__ = ["CHECKS", "check_command"]


def _added(host: PluginHost, name: str) -> click.Command:
    cli = click.Group("defectscope")
    host.add_commands(cli)
    said = (text for record in host.plugins for text in record.warnings)
    errors = [text for text in said if text.startswith("defectscope_commands")]
    expect(not errors, f"the hook must add its commands without an error, found {errors}")
    command = cli.commands.get(name)
    known = ", ".join(cli.commands) or "none"
    expect(command is not None, f"the hook must add a command {name!r}, found: {known}")
    assert command is not None
    return command


def check_is_added(host: PluginHost, name: str) -> None:
    """It is added under its name."""
    command = _added(host, name)
    expect(command.name == name, f"its own name must be {name!r}, found {command.name!r}")


def check_is_explained(host: PluginHost, name: str) -> None:
    """It has a help text, and each of its options has one."""
    command = _added(host, name)
    expect((command.help or "").strip(), f"the command {name!r} needs a docstring as its help")
    silent = [
        parameter.name or "?"
        for parameter in command.params
        if isinstance(parameter, click.Option) and not (parameter.help or parameter.hidden)
    ]
    expect(not silent, f"every option of {name!r} needs a help text; without: {', '.join(silent)}")


def check_help_works(host: PluginHost, name: str) -> None:
    """``--help`` shows it, and ends with exit code 0."""
    command = _added(host, name)
    with click.Context(command, info_name=name) as context:
        text = command.get_help(context)
    expect(name in text, f"the help of {name!r} must show how it is called, found {text!r:.80}")


def check_command(host: PluginHost, name: str) -> list[CheckResult]:
    """Run all checks on a command, and return what came out."""
    return [run_check(_bound(check, host, name), None) for check in CHECKS]


def _bound(check: Callable[[PluginHost, str], None], host: PluginHost, name: str) -> Check:
    @functools.wraps(check)
    def bound(component: Any, setup: Setup) -> None:
        check(host, name)

    return bound


CHECKS: tuple[Callable[[PluginHost, str], None], ...] = (
    check_is_added,
    check_is_explained,
    check_help_works,
)
