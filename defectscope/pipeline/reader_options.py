"""Options of readers: told apart from those of a pipeline's components, and looked up."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from defectscope.core.errors import OptionError, did_you_mean

if TYPE_CHECKING:
    from defectscope.plugins.host import PluginHost

__all__ = ["ReaderOptions", "check_readers_used", "split_options"]

ReaderOptions = Mapping[str, Mapping[str, Any]]


def split_options(
    options: Mapping[str, dict[str, Any]], host: PluginHost, components: Collection[str]
) -> tuple[dict[str, dict[str, Any]], dict[str, dict[str, Any]]]:
    """Return the options of readers, and those of a pipeline's components.

    Parameters
    ----------
    options
        By name or alias.
    host
        Where readers are looked up.
    components
        What the components of the pipeline are called: options of that name are theirs, and so
        are those of an analysis.
    """
    others = {*components, *(entry.name for entry in host.registered("analyses"))}
    readers = {
        name
        for entry in host.registered("readers")
        for name in (entry.name, f"{entry.plugin.distribution}/{entry.name}")
    }
    theirs = {name: o for name, o in options.items() if name in readers and name not in others}
    return theirs, {name: given for name, given in options.items() if name not in theirs}


def check_readers_used(options: ReaderOptions, used: Collection[str]) -> None:
    """Refuse options of a reader that reads none of the inputs.

    Parameters
    ----------
    options
        By ``NAME`` or ``distribution/NAME`` of a reader.
    used
        ``distribution/NAME`` of the readers of the inputs.

    Raises
    ------
    OptionError
        There are such options.
    """
    names = [name for key in used for name in (key, key.rpartition("/")[2])]
    for name in options:
        if name not in names:
            readers = ", ".join(sorted(key.rpartition("/")[2] for key in used))
            raise OptionError(
                f"options are given for {name!r}, which reads none of the inputs"
                f"{did_you_mean(name, names)}; they are read by: {readers}"
            )
