"""The root of the command line: finds commands lazily, turns errors into one sentence."""

from __future__ import annotations

import atexit
import errno
import importlib
import io
import os
import re
import shutil
import signal
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

import click

from defectscope._version import __version__
from defectscope.core.errors import DefectscopeError
from defectscope.core.interrupts import heeded_signals, ignore_hangup

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

__all__ = ["cli", "main"]


# What click's scripts for bash, zsh and fish set when they ask.
# What click says of a decimal comma.
DECIMAL_COMMA = re.compile(r"'-?\d*,\d+' is not a valid float")
COMPLETION_VARIABLE = "_DEFECTSCOPE_COMPLETE"


class Lazy(NamedTuple):
    """A command, and its line in ``--help``, stored here so that help imports no command."""

    target: str
    short_help: str


COMMANDS = {
    "demo": Lazy("defectscope.cli.demo:demo", "The whole pipeline on synthetic data, offline."),
    "run": Lazy("defectscope.cli.run:run", "Find, measure and follow defects in images or videos."),
    "generate": Lazy(
        "defectscope.cli.generate:generate", "Generate labelled synthetic images and sequences."
    ),
    "fit": Lazy("defectscope.cli.fit:fit", "Fit what generators draw to labelled images."),
    "train": Lazy("defectscope.cli.train:train", "Train or fine-tune a detector."),
    "evaluate": Lazy("defectscope.cli.evaluate:evaluate", "Score predictions against truth."),
    "benchmark": Lazy(
        "defectscope.cli.benchmark:benchmark", "Compare detectors: accuracy, speed and memory."
    ),
    "profiles": Lazy(
        "defectscope.cli.profiles:profiles", "Compare the grey across lines of image and twin."
    ),
    "track": Lazy("defectscope.cli.track:track", "Link the rows of a table through time."),
    "analyze": Lazy(
        "defectscope.cli.analyze:analyze", "Quantities, figures and a report of a finished run."
    ),
    "convert": Lazy("defectscope.cli.convert:convert", "Convert annotations between formats."),
    "weights": Lazy("defectscope.cli.weights:weights", "List, explain and convert weights."),
    "plugins": Lazy("defectscope.cli.plugins:plugins", "List, explain, check and start plugins."),
}


def _block_plugins(context: click.Context, _: click.Parameter, names: tuple[str, ...]) -> None:
    """Remember what must not be imported; the options come before and after a command's name."""
    if names:
        _choose_plugins(context, "blocked", names)


def _trace_plugins(context: click.Context, _: click.Parameter, value: bool) -> None:
    if value:
        _choose_plugins(context, "trace", value)


def _choose_plugins(context: click.Context, what: str, value: Any) -> None:
    from defectscope.cli.common import PluginChoice

    root = context.find_root()
    chosen = root.obj if isinstance(root.obj, PluginChoice) else PluginChoice()
    # Before anything of them is imported: the host is made when a command asks for it.
    context.obj = root.obj = chosen.updated(what, value)


def _show_tracebacks(context: click.Context, _: click.Parameter, value: bool) -> None:
    if value:
        context.find_root().meta["defectscope.debug"] = True


def _common_options() -> list[click.Parameter]:
    return [
        click.Option(
            ["--no-plugin"],
            multiple=True,
            metavar="NAME",
            expose_value=False,
            is_eager=True,
            callback=_block_plugins,
            help="Leave out a plugin or distribution; may be repeated.",
        ),
        click.Option(
            ["--trace-plugins"],
            is_flag=True,
            expose_value=False,
            is_eager=True,
            callback=_trace_plugins,
            help="Say which plugins are imported and called, and how long that takes.",
        ),
        click.Option(
            ["--debug"],
            is_flag=True,
            expose_value=False,
            is_eager=True,
            callback=_show_tracebacks,
            help="Show the traceback of an error.",
        ),
    ]


class LazyGroup(click.Group):
    """Imports a command when it is used; asks plugins for names that are not ours."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return our own commands, and those of plugins once they are loaded."""
        return [*COMMANDS, *(name for name in self.commands if name not in COMMANDS)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command, importing its module."""
        if cmd_name in self.commands:
            return self.commands[cmd_name]
        if cmd_name in COMMANDS:
            module, _, attribute = COMMANDS[cmd_name].target.partition(":")
            command: click.Command = getattr(importlib.import_module(module), attribute)
            _accept_common_options(command)
            self.add_command(command, cmd_name)
            return command
        from defectscope.cli.common import current_host

        current_host(ctx).add_commands(self)
        return self.commands.get(cmd_name)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Return the commands that begin so, those of plugins included, or the options."""
        from click.shell_completion import CompletionItem

        from defectscope.cli.common import current_host

        current_host(ctx).add_commands(self)
        lines = {name: lazy.short_help for name, lazy in COMMANDS.items()}
        lines |= {n: c.get_short_help_str() for n, c in self.commands.items() if n not in lines}
        names = [name for name in lines if name.startswith(incomplete)]
        found = [CompletionItem(name, help=lines[name]) for name in names]
        # Of click's own answer the options alone: for its commands it imports each of them.
        return [*found, *click.Command.shell_complete(self, ctx, incomplete)]

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Suggest the nearest command where there is none of that name."""
        known = ctx.resilient_parsing or self.get_command(ctx, args[0]) is not None
        if not known and not args[0].startswith("-"):
            from defectscope.core.errors import did_you_mean

            names = self.list_commands(ctx)
            ctx.fail(
                f"there is no command {args[0]!r}{did_you_mean(args[0], names)}; "
                f"commands are: {', '.join(names)}"
            )
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, lazy.short_help) for name, lazy in COMMANDS.items()])


def _accept_common_options(command: click.Command) -> None:
    command.params.extend(_common_options())
    if isinstance(command, click.Group):
        for sub in command.commands.values():
            _accept_common_options(sub)


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Plugins can add commands; 'defectscope plugins list' names what each provides.",
    params=_common_options(),
)
@click.version_option(__version__, prog_name="defectscope")
def cli() -> None:
    """Find, measure and follow crystalline defects in TEM and STEM images and videos."""


def _stop(*_: Any) -> NoReturn:
    ignore_hangup()
    raise KeyboardInterrupt


def _prepare_process() -> None:
    # A batch system that ends a job, and a terminal that is closed, must leave as much behind as
    # Ctrl-C does.
    for number in heeded_signals():
        if number != signal.SIGINT:
            signal.signal(number, _stop)
    _replace_closed_streams()
    # A terminal that cannot show a letter gets a mark in its place, not a traceback.
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    _find_place_for_fonts()


def _replace_closed_streams() -> None:
    # Python has None for a stream that the parent closed, or of a program without a console.
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: PTH123, SIM115


def _find_place_for_fonts() -> None:
    # matplotlib complains at length where it cannot keep its font cache.
    try:
        home: Path | None = Path.home()
    except RuntimeError:
        home = None
    if "MPLCONFIGDIR" not in os.environ and not (home and os.access(home, os.W_OK)):
        # Where there is no place at all, most commands do without.
        with suppress(OSError):
            folder = tempfile.mkdtemp(prefix="defectscope-matplotlib-")
            atexit.register(shutil.rmtree, folder, ignore_errors=True)
            os.environ["MPLCONFIGDIR"] = folder


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Returns
    -------
    int
        0 done, 1 failed, 2 wrong usage.
    """
    _prepare_process()
    given = list(sys.argv[1:] if arguments is None else arguments)
    if os.environ.get(COMPLETION_VARIABLE):
        from defectscope.cli.completion import answer_shell

        return answer_shell(cli, COMPLETION_VARIABLE)
    context: click.Context | None = None
    try:
        # rich knows the variable (no-color.org), click does not.
        color = False if os.environ.get("NO_COLOR") else None
        context = cli.make_context("defectscope", given, color=color)
        with context:
            cli.invoke(context)
        sys.stdout.flush()
    except click.exceptions.Exit as stop:
        return int(stop.exit_code)
    except click.ClickException as error:
        error.show()
        if DECIMAL_COMMA.search(error.message):
            click.echo("Decimals are written with a point.", err=True)
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        click.echo("interrupted", err=True)
        return 1
    except BrokenPipeError:
        # The reader of our stdout (head, less) has gone: nothing is wrong.
        _close_stdout()
        return 0
    except Exception as error:
        if context is not None and context.meta.get("defectscope.debug"):
            raise
        return _explain(error)
    return 0


def _explain(error: Exception) -> int:
    if isinstance(error, DefectscopeError):
        click.echo(f"error: {error}", err=True)
        return error.exit_code
    text = " ".join(str(error).split())
    if isinstance(error, OSError):
        click.echo(f"error: {text} (--debug shows where)", err=True)
        if error.errno == errno.ENOSPC:
            _close_stdout()
        return 1
    click.echo(
        f"error: {type(error).__name__}: {text}; this should not happen: please report it with "
        "what --debug shows",
        err=True,
    )
    return 1


def _close_stdout() -> None:
    # Python would try to flush it once more at exit, and complain.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
