"""Labelled data in and out, through whichever annotation formats are installed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from defectscope.core.datasets import Dataset
from defectscope.core.errors import (
    ComponentError,
    FormatError,
    InputError,
    OutputError,
    UsageError,
)
from defectscope.pipeline.choices import Choice
from defectscope.pipeline.given_values import expected_table
from defectscope.pipeline.named import NamedComponent, guarded
from defectscope.plugins.host import PluginHost, Registered
from defectscope.plugins.quiet import quiet_stdout

__all__ = [
    "OWN_FORMAT",
    "accepting_formats",
    "detect_format",
    "format_names",
    "open_dataset",
    "save_dataset",
]

# Of the datasets and predictions written here, whatever else is called coco.
OWN_FORMAT = "defectscope/coco"


def format_names(host: PluginHost, *, writes: bool = False) -> list[str]:
    """Return the names of the formats that can be read, or with `writes` be written."""
    entries = host.registered("formats")
    return [entry.name for entry in entries if (entry.spec.writes if writes else entry.spec.reads)]


def accepting_formats(path: Path, host: PluginHost) -> list[Registered]:
    """Return the formats that `path` looks like, shipped ones first.

    Raises
    ------
    InputError
        There is nothing at `path`.
    FormatError
        No format accepts it.
    """
    if not path.exists():
        raise InputError(f"there is no file or folder {path}")
    accepting, failures = [], []
    for entry in host.registered("formats"):
        if not entry.spec.reads:
            continue
        try:
            component = host.load_class(entry)(runtime=host.runtime())
            with quiet_stdout():
                accepted = component.accepts(path)
            if accepted:
                accepting.append(entry)
        # One broken plugin must not keep the formats of the others from being recognised.
        except (Exception, SystemExit) as error:
            failures.append(f"{entry.name}: {error}")
    if not accepting:
        known = ", ".join(format_names(host))
        broken = f" (could not be asked: {'; '.join(failures)})" if failures else ""
        raise FormatError(f"{path} is in none of the known annotation formats: {known}{broken}")
    return accepting


def detect_format(path: Path, host: PluginHost) -> str:
    """Return the name of the only format that `path` looks like.

    Raises
    ------
    InputError
        There is nothing at `path`.
    FormatError
        No format accepts it, or several do.
    """
    return _only_format(path, accepting_formats(path, host), host)


def _only_format(path: Path, accepting: Sequence[Registered], host: PluginHost) -> str:
    if len(accepting) > 1:
        others = " or ".join(_flags(_plugged_in(accepting)))
        raise FormatError(
            f"{_could_be(path, accepting, host)}; name the format that is meant (convert: --from "
            f"NAME){f', or leave one out with {others}' if others else ''}"
        )
    return _selector(accepting[0], host)


def _likely_format(path: Path, host: PluginHost) -> tuple[str, tuple[str, ...]]:
    """Return the name of the format to read, and what is to be said about that.

    A plugin that accepts too much must not keep anybody from what they could read without it.
    """
    accepting = accepting_formats(path, host)
    others = _plugged_in(accepting)
    if not others or len(accepting) - len(others) != 1:
        return _only_format(path, accepting, host), ()
    name = _selector(accepting[0], host)
    return name, (
        f"{_could_be(path, accepting, host)}, and is read as {name}: leave out the other"
        f"{'s' * (len(others) > 1)} with {' '.join(_flags(others))}, or convert it first "
        "(--from NAME)",
    )


def _plugged_in(accepting: Sequence[Registered]) -> list[Registered]:
    return [entry for entry in accepting if not entry.plugin.is_shipped]


def _flags(plugged_in: Sequence[Registered]) -> list[str]:
    return list(dict.fromkeys(f"--no-plugin {entry.plugin.distribution}" for entry in plugged_in))


def _could_be(path: Path, accepting: Sequence[Registered], host: PluginHost) -> str:
    owners = {id(entry): f" of {entry.plugin.label}" for entry in _plugged_in(accepting)}
    names = (f"{_selector(entry, host)}{owners.get(id(entry), '')}" for entry in accepting)
    return f"{path} could be {' and '.join(names)}"


def _selector(entry: Registered, host: PluginHost) -> str:
    twice = sum(other.name == entry.name for other in host.registered("formats")) > 1
    return f"{entry.plugin.distribution}/{entry.name}" if twice else entry.name


def open_dataset(
    path: Path,
    host: PluginHost,
    format: str | None = None,
    options: Mapping[str, Any] | None = None,
) -> Dataset:
    """Read labelled images.

    Parameters
    ----------
    path
        A file or folder.
    host
        Where formats are looked up.
    format
        Name of a format; without it, the only one that accepts `path`, or the shipped one among
        several, which is then a warning.
    options
        Options of the format.

    Raises
    ------
    FormatError
        The data is malformed, or its format unknown or ambiguous.
    UsageError
        The format cannot be read.
    """
    name, warnings = _likely_format(path, host) if format is None else (format, ())
    if not path.exists():
        raise InputError(f"there is no file or folder {path}")
    if not host.find("formats", name).spec.reads:
        known = ", ".join(format_names(host))
        raise UsageError(f"the format {name!r} can only be written; formats to read are: {known}")
    named = _named(name, host, options)

    def load() -> Any:
        try:
            return named.component.load(path)
        except OSError as error:
            raise InputError(f"cannot read {path}: {error.strerror or error}") from error

    dataset = guarded(named, f"while it read {path}", load)
    if not isinstance(dataset, Dataset):
        raise ComponentError(
            f"the format {named.label} must return a Dataset, found {type(dataset).__name__}"
        )
    return replace(dataset, warnings=(*warnings, *dataset.warnings)) if warnings else dataset


def save_dataset(
    dataset: Dataset,
    path: Path,
    format_name: str,
    host: PluginHost,
    options: Mapping[str, Any] | None = None,
) -> list[str]:
    """Write labelled images.

    Returns
    -------
    list of str
        Warnings about what the format cannot hold.

    Raises
    ------
    OutputError
        The result cannot be written to `path`.
    UsageError
        The format cannot be written.
    """
    if not host.find("formats", format_name).spec.writes:
        known = ", ".join(format_names(host, writes=True))
        raise UsageError(
            f"the format {format_name!r} can only be read; formats to write are: {known}"
        )
    named = _named(format_name, host, options)

    def save() -> list[str]:
        try:
            return list(named.component.save(dataset, path))
        except OSError as error:
            raise OutputError(f"cannot write {path}: {error.strerror or error}") from error

    return guarded(named, f"while it wrote {path}", save)


def _named(name: str, host: PluginHost, options: Mapping[str, Any] | None) -> NamedComponent:
    return NamedComponent.build(host, "formats", Choice(name, name, expected_table(options)))
