"""Labelled data in and out, through whichever annotation formats are installed."""

from __future__ import annotations

from collections.abc import Mapping
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
from defectscope.pipeline.named import NamedComponent, guarded
from defectscope.plugins.host import PluginHost, Registered

__all__ = ["detect_format", "format_names", "open_dataset", "save_dataset"]


def format_names(host: PluginHost, *, writes: bool = False) -> list[str]:
    """Return the names of the formats that can be read, or with `writes` be written."""
    entries = host.registered("formats")
    return [entry.name for entry in entries if (entry.spec.writes if writes else entry.spec.reads)]


def detect_format(path: Path, host: PluginHost) -> str:
    """Return the name of the only format that `path` looks like.

    Raises
    ------
    InputError
        There is nothing at `path`.
    FormatError
        No format accepts it, or several do.
    """
    if not path.exists():
        raise InputError(f"there is no file or folder {path}")
    accepting, failures = [], []
    for entry in host.registered("formats"):
        if not entry.spec.reads:
            continue
        try:
            if host.load_class(entry)(runtime=host.runtime()).accepts(path):
                accepting.append(entry)
        # One broken plugin must not keep the formats of the others from being recognised.
        except (Exception, SystemExit) as error:
            failures.append(f"{entry.name}: {error}")
    if len(accepting) == 1:
        return _selector(accepting[0], host)
    known = ", ".join(format_names(host))
    if accepting:
        names = " and ".join(_selector(entry, host) for entry in accepting)
        raise FormatError(
            f"{path} could be {names}; name the format that is meant (convert: --from NAME)"
        )
    broken = f" (could not be asked: {'; '.join(failures)})" if failures else ""
    raise FormatError(f"{path} is in none of the known annotation formats: {known}{broken}")


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
        Name of a format; without it, the only one that accepts `path`.
    options
        Options of the format.

    Raises
    ------
    FormatError
        The data is malformed, or its format unknown or ambiguous.
    UsageError
        The format cannot be read.
    """
    name = detect_format(path, host) if format is None else format
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
    return dataset


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
    return NamedComponent.build(host, "formats", Choice(name, name, options or {}))
