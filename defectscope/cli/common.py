"""What several commands share: the host, calibration options, progress, tables."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.core import ParameterSource

if TYPE_CHECKING:
    from defectscope.pipeline.session import Progress
    from defectscope.plugins.host import PluginHost

__all__ = [
    "PluginChoice",
    "calibration_options",
    "calibration_values",
    "component_options",
    "current_host",
    "frames_option",
    "given_by_user",
    "once",
    "plural",
    "region",
    "rename_option",
    "roi_option",
    "say",
    "show_json",
    "shown_progress",
    "warn",
]

F = TypeVar("F", bound=Callable[..., Any])
PATH = click.Path(path_type=Path)
# Where the host of a command line is kept.
HOST = "defectscope.host"


def say(text: str) -> None:
    """Tell the user something that is not data."""
    click.echo(text, err=True)


def show_json(value: Any, default: Callable[[Any], Any] | None = None) -> None:
    """Write data to stdout for a machine; `default` makes JSON of what is none.

    In ASCII, for where stdout is no terminal, Windows writes other letters in its code page.
    """
    click.echo(json.dumps(value, indent=1, default=default))


def plural(count: int, noun: str) -> str:
    """Return ``1 frame``, ``2 frames``."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def warn(text: str) -> None:
    """Tell the user what may be wrong."""
    click.echo(f"warning: {text}", err=True)


@dataclass(frozen=True)
class PluginChoice:
    """What ``--no-plugin`` and ``--trace-plugins`` ask for."""

    blocked: tuple[str, ...] = ()
    trace: bool = False

    def updated(self, what: str, value: Any) -> PluginChoice:
        """Return the same with more names, or with tracing."""
        if what == "blocked":
            return replace(self, blocked=tuple(dict.fromkeys((*self.blocked, *value))))
        return replace(self, trace=bool(value))


def current_host(context: click.Context) -> PluginHost:
    """Return the host that ``--no-plugin`` and ``--trace-plugins`` ask for, or the default one."""
    from defectscope.plugins.host import PluginHost, allowed_by_environment, default_host

    if isinstance(context.obj, PluginHost):
        return context.obj
    choice = context.obj
    if not isinstance(choice, PluginChoice):
        return default_host()
    made: tuple[PluginChoice, PluginHost] | None = context.find_root().meta.get(HOST)
    if made is None or made[0] != choice:
        trace = (lambda line: say(f"trace: {line}")) if choice.trace else None
        host = PluginHost(choice.blocked, allowed_by_environment(), trace=trace)
        for name in host.unmatched_blocks():
            warn(f"no plugin is called {name!r}")
        made = context.find_root().meta[HOST] = choice, host
    return made[1]


def region(_: click.Context, __: click.Parameter, text: str | None) -> tuple[int, ...] | None:
    """Read ``X0,Y0,X1,Y1`` of an option."""
    if text is None:
        return None
    try:
        numbers = tuple(int(part) for part in text.split(","))
    except ValueError:
        numbers = ()
    if len(numbers) != 4:
        raise click.BadParameter(f"expected four integers X0,Y0,X1,Y1 in px, found {text!r}")
    return numbers


def once(
    *names: str,
    default: Any = None,
    read: Callable[[Any, Any, Any], Any] | None = None,
    **settings: Any,
) -> Callable[[F], F]:
    """Add an option that may be given once; click would take the last of several in silence.

    Parameters
    ----------
    *names, default, **settings
        Of the option.
    read
        Callback that makes something of the one value.
    """
    if default is not None:
        settings["default"] = [default]

    def only(context: click.Context, option: click.Parameter, values: tuple[Any, ...]) -> Any:
        if len(values) > 1:
            found = " and ".join(map(str, values))
            raise click.BadParameter(f"it takes one value, found {found}; leave out what is wrong")
        value = values[0] if values else None
        return value if read is None else read(context, option, value)

    return click.option(*names, multiple=True, callback=only, **settings)


def given_by_user(context: click.Context, name: str) -> bool:
    """Whether a parameter stands on the command line, also with what is its default."""
    return context.get_parameter_source(name) is ParameterSource.COMMANDLINE


def calibration_options(command: F) -> F:
    """Add the options that calibrate a series."""
    for option in reversed(
        [
            once("--calibration", type=PATH, metavar="FILE.toml",
                  help="Calibration file; single values below overrule it."),
            once("--pixel-size", "pixel_size_nm", type=float, metavar="NM",
                  help="Edge of a pixel, nm."),
            once("--frame-interval", "frame_interval_s", type=float, metavar="S",
                  help="Time from one frame index to the next, s."),
            once("--dose-start", "dose_start_dpa", type=float, metavar="DPA",
                  help="Dose at frame index 0, dpa."),
            once("--dose-per-frame", "dose_per_frame_dpa", type=float, metavar="DPA",
                  help="Dose from one frame index to the next, dpa."),
            once("--dose-rate", "dose_rate_dpa_per_s", type=float, metavar="DPA/S",
                  help="In place of --dose-per-frame, where times are known; dpa/s."),
            once("--frame-times", type=PATH, metavar="TABLE.csv",
                 help="Times and doses of single frames: columns frame and time_s, dose_dpa or "
                 "both; linear between."),
            once("--thickness", "thickness_nm", type=float, metavar="NM",
                  help="Foil thickness, nm."),
            once("--visible-fraction", type=float, metavar="F",
                  help="Fraction of the defects that this imaging condition shows."),
        ]
    ):  # fmt: skip
        command = option(command)
    return command


CALIBRATION_VALUES = (
    "pixel_size_nm", "frame_interval_s", "dose_start_dpa", "dose_per_frame_dpa",
    "dose_rate_dpa_per_s", "frame_times", "thickness_nm", "visible_fraction",
)  # fmt: skip


def calibration_values(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the options of a command say about the calibration, without its file."""
    return {name: given[name] for name in CALIBRATION_VALUES}


def component_options(command: F) -> F:
    """Add the options that set options of components."""
    command = once(
        "--config",
        type=PATH,
        metavar="FILE.toml",
        help="Options of components, one table each; --set overrules them.",
    )(command)
    return click.option(
        "--set",
        "assignments",
        multiple=True,
        metavar="NAME.OPTION=VALUE",
        help="Set an option of a component; may be repeated.",
    )(command)


@contextmanager
def shown_progress() -> Iterator[Progress]:
    """Yield a callback (stage, done, total) that draws bars, on a terminal only."""
    if not sys.stderr.isatty():
        yield lambda stage, done, total: None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )
    from rich.progress import Progress as Bars

    bars = Bars(
        TextColumn("{task.description:>10}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
    )
    tasks: dict[str, Any] = {}

    def report(stage: str, done: int, total: int) -> None:
        if stage not in tasks:
            tasks[stage] = bars.add_task(stage, total=total)
        bars.update(tasks[stage], completed=done, total=total)

    with bars:
        yield report


frames_option = once(
    "--frames", metavar="A:B:S", help="Only frame indices A to B (exclusive), every S-th."
)
rename_option = click.option(
    "--rename",
    multiple=True,
    metavar="OLD=NEW",
    help="Another name for a defect type; types of one name become one. May be repeated.",
)
roi_option = once(
    "--roi", read=region, metavar="X0,Y0,X1,Y1", help="Only this part of a frame, px."
)
