"""What a shell offers after a tab: commands, options, and names of what plugins provide."""

from __future__ import annotations

import io
import os
import shlex
from collections.abc import Callable
from contextlib import redirect_stderr
from typing import TYPE_CHECKING

from click.shell_completion import CompletionItem, shell_complete

from defectscope.cli.common import current_host

if TYPE_CHECKING:
    import click

__all__ = ["answer_shell", "names_of"]

Completion = Callable[["click.Context", "click.Parameter", str], list[CompletionItem]]


def answer_shell(cli: click.Command, variable: str) -> int:
    """Print the script for a shell, or what could stand at the end of its line.

    Parameters
    ----------
    cli
        The root of the command line.
    variable
        The environment variable that says what is asked for, such as ``bash_source``.

    Returns
    -------
    int
        0, or 1 where click does not know what is asked for.
    """
    asked = os.environ[variable]
    try:
        if asked.endswith("_source"):
            return shell_complete(cli, {}, "defectscope", variable, asked)
        # Nor for what plugins and options of the line have to say.
        with redirect_stderr(io.StringIO()):
            return shell_complete(cli, {}, "defectscope", variable, asked)
    except Exception:
        # Somebody types: a line that cannot be completed is no place for an error.
        return 0


def names_of(*families: str) -> Completion:
    """Return what completes a name of these families, or of all where none is given."""

    def complete(
        context: click.Context, _: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        from defectscope.plugins.records import FAMILIES

        host = current_host(context)
        found = {
            entry.name: getattr(entry.spec, "summary", None)
            for family in families or FAMILIES
            for entry in host.registered(family)
            # A shell would take `a<100> loop` apart, and read and write files of such names.
            if entry.name.startswith(incomplete) and shlex.quote(entry.name) == entry.name
        }
        return [CompletionItem(name, help=summary) for name, summary in found.items()]

    return complete
