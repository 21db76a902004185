"""Every error that defectscope raises on purpose, in one tree.

::

    DefectscopeError                 exit code 1
    ├── UsageError                   exit code 2: the request itself is wrong
    │   ├── OptionError              an option that is unknown, missing or out of its limits
    │   │   └── UnfitOptionError     it does not suit the frames, or what is to work on them
    │   └── UnknownNameError         no plugin, defect type or weights of that name
    ├── InputError                   something given cannot be read
    │   ├── DamagedFrameError        one frame of many: counted and skipped unless strict
    │   ├── InputGoneError           it was there and has gone: what is left is for later
    │   └── FormatError              an annotation, table or configuration file is malformed
    ├── OutputError                  the result cannot be written where it was asked for
    ├── WorkersLostError             processes have died: what is left is for later
    ├── MissingPackageError          an optional package is needed and absent
    └── PluginError                  a plugin misbehaved
        ├── PluginLoadError          it failed to import or to register
        ├── PluginClashError         two plugins offer one name
        └── ComponentError           it raised, or returned nonsense, inside a run

A message is one sentence (or two short ones): what was expected, what was found, what to do.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = [
    "ComponentError",
    "DamagedFrameError",
    "DefectscopeError",
    "FormatError",
    "InputError",
    "InputGoneError",
    "MissingPackageError",
    "OptionError",
    "OutputError",
    "PluginClashError",
    "PluginError",
    "PluginLoadError",
    "UnfitOptionError",
    "UnknownNameError",
    "UsageError",
    "WorkersLostError",
    "did_you_mean",
]


class DefectscopeError(Exception):
    """Base of every error that defectscope raises on purpose."""

    exit_code = 1


class UsageError(DefectscopeError):
    """The request itself is wrong: nothing was done."""

    exit_code = 2


class OptionError(UsageError):
    """An option is unknown, missing, or outside its limits."""


class UnfitOptionError(OptionError):
    """An option does not suit the frames, or what is to work on them.

    That shows late; still, nothing counts as done.
    """


class UnknownNameError(UsageError):
    """Nothing of that name is installed."""


class InputError(DefectscopeError):
    """Something given as input cannot be read."""


class DamagedFrameError(InputError):
    """One frame cannot be used; the others of its series may be."""


class InputGoneError(InputError):
    """A file that was there when it was opened has gone, and may come back."""


class FormatError(InputError):
    """An annotation, table or configuration file is malformed."""


class OutputError(DefectscopeError):
    """A result cannot be written where it was asked for."""


class WorkersLostError(DefectscopeError):
    """Processes that worked on frames have died; what they were at can be done again."""


class MissingPackageError(DefectscopeError):
    """An optional package is needed and is not installed.

    Parameters
    ----------
    package
        Name of the package that failed to import.
    extra
        The extra that brings it.
    purpose
        What it was needed for, as a noun phrase.
    distribution
        The distribution that has the extra.
    page
        Where its installation is described, for a package that is in no registry and no extra.
    """

    def __init__(
        self,
        package: str,
        extra: str,
        purpose: str,
        distribution: str = "defectscope",
        page: str = "",
    ) -> None:
        how = f'install it with: pip install "{distribution}[{extra}]"'
        if page:
            how = f"it is in no package registry, and {page} says how to install it"
        super().__init__(f"{purpose} needs the package {package}, which is not installed; {how}")
        self._given = (package, extra, purpose, distribution, page)

    def __reduce__(self) -> tuple[type[MissingPackageError], tuple[str, str, str, str, str]]:
        # Errors come back from worker processes pickled, by default from the message alone.
        return type(self), self._given


class PluginError(DefectscopeError):
    """A plugin misbehaved."""


class PluginLoadError(PluginError):
    """A plugin failed to import or to register."""


class PluginClashError(PluginError, UsageError):
    """Two plugins offer one name in one family."""

    exit_code = 2


class ComponentError(PluginError):
    """A component raised, or returned something invalid, inside a run."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return `` (did you mean 'x'?)`` for the nearest known name, or an empty string."""
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f" (did you mean {near[0]!r}?)" if near else ""
