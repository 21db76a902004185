"""Who takes part in a benchmark: the detectors named, and the reference."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from defectscope.core.errors import DefectscopeError, OptionError, UsageError
from defectscope.pipeline.choices import Choice, make_choices
from defectscope.pipeline.given_values import several
from defectscope.pipeline.named import NamedComponent

if TYPE_CHECKING:
    from defectscope.core.base import Runtime
    from defectscope.plugins.host import PluginHost

__all__ = ["Entrant", "chosen_detectors", "enter"]

# Every benchmark has it as a line, so that benchmarks can be compared with each other.
REFERENCE = "dark-blobs"
SHIPPED_REFERENCE = f"defectscope/{REFERENCE}"
FILE_NAME = re.compile(r"\w[\w.-]*")


@dataclass(frozen=True)
class Entrant:
    """A detector that takes part; without a component where it cannot be built."""

    choice: Choice
    named: NamedComponent | None
    origin: Mapping[str, str]
    error: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return name, origin and options as plain values."""
        given = dict(self.choice.options)
        options = self.named.component.options.model_dump(mode="json") if self.named else given
        return {"alias": self.choice.alias, "name": self.choice.name, **self.origin,
                "options": options}  # fmt: skip


def chosen_detectors(
    detectors: str | Choice | Sequence[str | Choice],
    options: Mapping[str, Mapping[str, Any]],
    host: PluginHost,
) -> list[Choice]:
    """Return what takes part, the reference last unless it is among them under its own name."""
    given = several(detectors)
    parsed = [item if isinstance(item, Choice) else Choice.parse(item) for item in given]
    aliases = [choice.alias for choice in parsed]
    if REFERENCE not in aliases and host.matching("detectors", SHIPPED_REFERENCE):
        if options.get(REFERENCE) or options.get(SHIPPED_REFERENCE):
            raise OptionError(
                f"{REFERENCE} as it is takes part in every benchmark, so that options of it would "
                "change what others are compared with; name another one, such as "
                f"mine={REFERENCE}, and set options of mine"
            )
        parsed.append(Choice(SHIPPED_REFERENCE, REFERENCE))
    if not parsed:
        raise UsageError("name at least one detector")
    for choice in parsed:
        if not FILE_NAME.fullmatch(choice.alias):
            raise UsageError(
                f"{choice.alias!r} becomes part of file names, so that it may hold only letters, "
                "digits, '_', '-' and '.'; choose another ALIAS=NAME"
            )
    return make_choices(parsed, options)


def enter(choice: Choice, runtime: Runtime, host: PluginHost, warnings: list[str]) -> Entrant:
    """Build a detector; one that cannot be loaded is a failed line, a wrong request an error."""
    plugin = host.find("detectors", choice.name).plugin
    origin = {"distribution": plugin.distribution, "version": plugin.version}
    try:
        named = NamedComponent.build(host, "detectors", choice, runtime)
    except UsageError:
        raise
    except Exception as error:
        text = str(error) if isinstance(error, DefectscopeError) else (
            f"{choice.alias!r} cannot be made: {type(error).__name__}: "
            f"{' '.join(str(error).split())}"
        )  # fmt: skip
        return Entrant(choice, None, origin, text)
    if runtime.device != "cpu" and not named.component.uses_device:
        warnings.append(f"{choice.alias!r} cannot work on {runtime.device}; the CPU is used")
    return Entrant(choice, named, origin)
