"""What ``defectscope plugins info`` says about one component."""

from __future__ import annotations

import dataclasses
import inspect
from typing import TYPE_CHECKING, Any

from defectscope.core.base import TrainableDetector
from defectscope.core.errors import DefectscopeError, MissingPackageError, PluginLoadError
from defectscope.core.options import describe_options
from defectscope.plugins.discovery import one_line
from defectscope.plugins.host import BASES
from defectscope.plugins.records import singular

if TYPE_CHECKING:
    from defectscope.plugins.host import PluginHost, Registered

__all__ = ["facts_of"]

# In the order in which they are shown; those that a family does not have are left out.
SPEC_FIELDS = ("licence", "extra", "suffixes", "reads", "writes", "target")


def facts_of(host: PluginHost, entry: Registered) -> dict[str, Any]:
    """Return everything that is known about a component, by name, ready for JSON.

    One that cannot be imported is described as far as its plugin does, with the error.
    """
    record = entry.plugin
    facts: dict[str, Any] = {
        "name": entry.name,
        "summary": getattr(entry.spec, "summary", None) or entry.spec.title,
        "kind": singular(entry.family),
        "distribution": f"{record.distribution} {record.version}",
        "plugin": record.name,
    }
    if entry.family == "defect-types":
        return facts | dataclasses.asdict(entry.spec)
    facts |= {name: getattr(entry.spec, name) for name in SPEC_FIELDS if hasattr(entry.spec, name)}
    if entry.family not in BASES:
        return facts
    try:
        component = host.load_class(entry)
    except (MissingPackageError, PluginLoadError) as error:
        return facts | {"cannot_be_used": str(error)}
    return facts | _class_facts(component, host, entry)


def _class_facts(component: type[Any], host: PluginHost, entry: Registered) -> dict[str, Any]:
    family = entry.family
    description = inspect.cleandoc(component.__doc__ or "").partition("\n\n")[0]
    facts: dict[str, Any] = {"description": " ".join(description.split())}
    if family in ("detectors", "generators"):
        try:
            facts["defect_types"] = _declared_types(component, host, entry)
        except PluginLoadError as error:
            facts["cannot_be_used"] = str(error)
    if family == "generators":
        from defectscope.core.base import Generator

        facts["sequences"] = component.sequence is not Generator.sequence
    if family == "detectors":
        facts["trainable"] = issubclass(component, TrainableDetector)
    if family == "postprocessors":
        facts["shapes"] = list(component.shapes)
        facts["columns"] = dict(component.columns)
    facts["options"] = [row._asdict() for row in describe_options(component.Options)]
    if family == "detectors" and issubclass(component, TrainableDetector):
        rows = describe_options(component.TrainingOptions)
        facts["training_options"] = [row._asdict() for row in rows]
    return facts


def _declared_types(component: type[Any], host: PluginHost, entry: Registered) -> list[str]:
    """Return the declared defect types; some know them only with their options.

    Raises
    ------
    PluginLoadError
        It cannot be made, or fails when it is asked; names the distribution.
    """
    declared = component.defect_types
    if isinstance(declared, tuple | list):
        return list(declared)
    try:
        return list(host.build(entry.family, entry.qualified).defect_types)
    except PluginLoadError:
        raise
    except DefectscopeError:
        return []
    except (Exception, SystemExit) as error:
        raise PluginLoadError(
            f"{entry.plugin.label}: {entry.name!r} cannot say its defect types: {one_line(error)}"
        ) from error
