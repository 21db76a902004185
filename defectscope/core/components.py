"""How a plugin names its components without importing them."""

from __future__ import annotations

import importlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from defectscope.core.errors import MissingPackageError, PluginLoadError

__all__ = ["ComponentSpec", "FormatSpec", "ReaderSpec"]

KEBAB_CASE = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
SUFFIX = re.compile(r"\.[^\s/\\]+")
TARGET = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")


@dataclass(frozen=True)
class ComponentSpec:
    """A component by name, so that listing it imports nothing.

    Parameters
    ----------
    name
        Kebab-case name, unique in its family: what users type.
    summary
        One line that says what it does.
    target
        ``package.module:Class``.
    extra
        The extra of defectscope (or of the plugin's own distribution) that must be installed.
    licence
        Given where it is not permissive, because a component then pulls in GPL or AGPL code.
    """

    name: str
    summary: str
    target: str
    extra: str | None = None
    licence: str | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not KEBAB_CASE.fullmatch(self.name):
            raise ValueError(
                f"a component's name must be kebab-case (a-z, 0-9 and single hyphens), "
                f"found {self.name!r}"
            )
        if not isinstance(self.summary, str) or not self.summary.strip():
            raise ValueError(f"component {self.name!r} needs a summary of one line")
        if not isinstance(self.target, str) or not TARGET.fullmatch(self.target):
            raise ValueError(
                f"component {self.name!r} needs a target like 'package.module:Class', "
                f"found {self.target!r}"
            )

    def load(self, distribution: str = "defectscope") -> Any:
        """Import and return the class behind :attr:`target`.

        Parameters
        ----------
        distribution
            The one that has the extra, for the advice where a package is absent.

        Raises
        ------
        MissingPackageError
            A package of the declared extra is absent.
        PluginLoadError
            The import failed for any other reason, or the name is not there.
        """
        module_name, _, attribute = self.target.partition(":")
        try:
            module = importlib.import_module(module_name)
        except ModuleNotFoundError as error:
            missing = (error.name or "").partition(".")[0]
            if self.extra is not None and missing not in ("", module_name.partition(".")[0]):
                raise MissingPackageError(
                    missing, self.extra, f"{self.name!r}", distribution
                ) from error
            raise PluginLoadError(
                f"component {self.name!r} could not be imported from {module_name}: {error}"
            ) from error
        except Exception as error:
            raise PluginLoadError(
                f"component {self.name!r} could not be imported from {module_name}: "
                f"{type(error).__name__}: {error}"
            ) from error
        try:
            return getattr(module, attribute)
        except AttributeError:
            raise PluginLoadError(
                f"component {self.name!r} names {self.target}, "
                f"but {module_name} has no {attribute!r}"
            ) from None


@dataclass(frozen=True)
class ReaderSpec(ComponentSpec):
    """A reader of frames and the file suffixes it takes.

    Parameters
    ----------
    suffixes
        Lower-case suffixes with their dot, such as ``(".tif", ".tiff")``.
    """

    suffixes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        given: Any = self.suffixes
        right = not isinstance(given, str) and isinstance(given, Sequence)
        if not right or not all(isinstance(s, str) and SUFFIX.fullmatch(s) for s in given):
            raise ValueError(
                f"reader {self.name!r} needs a tuple of suffixes with their dot, such "
                f"as ('.tif', '.tiff'), found {given!r}"
            )


@dataclass(frozen=True)
class FormatSpec(ComponentSpec):
    """An annotation format, and in which directions it goes.

    Parameters
    ----------
    reads, writes
        Whether the format can be converted from, and to.
    """

    reads: bool = True
    writes: bool = True
