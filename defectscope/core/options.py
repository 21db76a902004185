"""Options of components: one pydantic model each, shown and set the same way everywhere."""

from __future__ import annotations

import datetime
import enum
import json
import os
import re
import tomllib
import types
import typing
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.fields import FieldInfo

from defectscope.core.errors import OptionError, PluginLoadError, did_you_mean

__all__ = [
    "OptionRow",
    "Options",
    "as_written",
    "changed_options",
    "check_options_model",
    "describe_options",
    "parse_assignment",
    "set_in_vain",
    "validate_options",
]

# Endings of names that tell the unit, the longest first.
UNITS = (
    ("_px2_per_frame", "px²/frame"), ("_px_per_frame", "px/frame"), ("_gpa", "GPa"),
    ("_per_px", "1/px"), ("_per_nm", "1/nm"), ("area_px", "px²"), ("area_nm2", "nm²"),
    ("_percent", "%"), ("_mrad", "mrad"), ("_dpa", "dpa"), ("_deg", "°"), ("_px", "px"),
    ("_nm", "nm"), ("_um", "µm"), ("_kv", "kV"), ("_ms", "ms"), ("_s", "s"), ("_v", "V"),
)  # fmt: skip


class Options(BaseModel):
    """Base of every component's options: unknown names are refused, values are frozen.

    Every field needs a description; units belong into the name (``_px``, ``_nm``, ``_deg``)
    or the description, limits into the annotation.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


class OptionRow(typing.NamedTuple):
    """One option as ``plugins info`` shows it."""

    name: str
    type: str
    default: Any
    limits: str
    unit: str
    description: str


class _Number:
    """A number of the command line that keeps how it was written: ``2024_01`` may be a folder."""

    text: str


class _Integer(int, _Number):
    pass


class _Real(float, _Number):
    pass


OptionsT = TypeVar("OptionsT", bound=BaseModel)


def set_in_vain(options: BaseModel, *names: str) -> str | None:
    """Return the first of some options that was set to something else than its default.

    Parameters
    ----------
    options
        Of a component.
    names
        Those that change nothing beside its other options; whoever sets one should be told.
    """
    fields = type(options).model_fields
    return next(
        (
            name
            for name in names
            if name in options.model_fields_set and getattr(options, name) != fields[name].default
        ),
        None,
    )


def changed_options(options: BaseModel) -> list[str]:
    """Return the options that were set to something else than their default, in their order."""
    return [
        name
        for name, info in type(options).model_fields.items()
        if name in options.model_fields_set
        and getattr(options, name) != info.get_default(call_default_factory=True, validated_data={})
    ]


def validate_options(model: type[OptionsT], values: Mapping[str, Any], owner: str) -> OptionsT:
    """Build the options of a component.

    Parameters
    ----------
    model
        The component's ``Options`` class.
    values
        What the user gave; text is converted as far as it is unambiguous.
    owner
        The name under which the user addressed the component, for the message.

    Raises
    ------
    OptionError
        A name is unknown, or a value is outside its limits.
    """
    known = list(model.model_fields)
    for name in values:
        if name not in known:
            hint = did_you_mean(name, known)
            takes = f"its options are: {', '.join(known)}" if known else "it has no options"
            raise OptionError(f"{owner!r} has no option {name!r}{hint}; {takes}")
    try:
        return model.model_validate(as_written(model, values))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        name = f"{owner}.{where}" if where else owner
        if first["type"] == "missing":
            raise OptionError(f"option {name} has no default and must be given") from error
        message = first["msg"]
        if first["type"] in ("dict_type", "model_type"):
            message = f"it is a table, written {name}='{{ \"NAME\" = VALUE, ... }}'"
        raise OptionError(
            f"option {name} = {first['input']!r} is not possible: {message[0].lower()}{message[1:]}"
        ) from error


def as_written(model: type[BaseModel], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of options as they are written down.

    They have the user's own text where one takes text and no number, paths as text where one takes
    text and no path, and nothing of numpy.

    Parameters
    ----------
    model
        The component's ``Options`` class.
    values
        Some of them as :func:`parse_assignment` gave them.
    """
    written = {name: _without_numpy(value) for name, value in values.items()}
    for name, value in values.items():
        if name not in model.model_fields:
            continue
        kinds = _type_name(model.model_fields[name].annotation)
        if isinstance(value, _Number):
            outer = set(kinds.split(" | "))
            if outer & {"str", "Path"} and not outer & {"int", "float"}:
                written[name] = value.text
        elif "str" in (words := re.findall(r"\w+", kinds)) and "Path" not in words:
            written[name] = _without_paths(written[name])
    return written


def _without_numpy(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _without_numpy(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_numpy(item) for item in value]
    # Numbers and arrays of numpy have it, whose import is not needed here.
    return value.tolist() if hasattr(value, "tolist") else value


def _without_paths(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _without_paths(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_paths(item) for item in value]
    return os.fspath(value) if isinstance(value, os.PathLike) else value


def check_options_model(model: Any) -> None:
    """Check that a component's options can be set by name on the command line.

    Raises
    ------
    PluginLoadError
        It is no :class:`Options`, or a name is taken; says which.
    """
    if not (isinstance(model, type) and issubclass(model, Options)):
        raise PluginLoadError(f"Options must be a subclass of defectscope.Options, found {model!r}")
    for name, info in model.model_fields.items():
        if hasattr(Options, name) or name.startswith("model_"):
            raise PluginLoadError(
                f"its option {name!r} clashes with a name that every Options has; rename it"
            )
        if info.alias not in (None, name) or info.validation_alias not in (None, name):
            raise PluginLoadError(
                f"its option {name!r} has the alias {info.validation_alias or info.alias!r}; "
                "options are set by their own names, so leave the alias out"
            )


def parse_assignment(text: str) -> tuple[str, str, Any]:
    """Split ``NAME.option=value`` into (name, option, value).

    The value is read as TOML where it is TOML (numbers, true, lists, quoted text), else as text;
    a date is text too, since folders are named by dates and no option is one. A number remembers
    how it was written, for :func:`as_written`.

    Raises
    ------
    OptionError
        The text has another form.
    """
    left, equals, raw = text.partition("=")
    name, dot, option = left.strip().rpartition(".")
    if not (equals and dot and name and option):
        raise OptionError(f"--set takes NAME.option=value, found {text!r}")
    try:
        value = tomllib.loads(f"value = {raw.strip()}")["value"]
    except (tomllib.TOMLDecodeError, KeyError):
        value = raw.strip()
    if isinstance(value, datetime.date | datetime.time):
        value = raw.strip()
    elif isinstance(value, int | float) and not isinstance(value, bool):
        value = _Integer(value) if isinstance(value, int) else _Real(value)
        value.text = raw.strip()
    return name, option.replace("-", "_"), value


def describe_options(model: type[BaseModel]) -> list[OptionRow]:
    """Return a row for each option of a component."""
    return [
        OptionRow(
            name,
            _type_name(info.annotation),
            None
            if info.is_required()
            else _plain(info.get_default(call_default_factory=True, validated_data={})),
            _limits(info),
            next((unit for ending, unit in UNITS if name.endswith(ending)), ""),
            info.description or "",
        )
        for name, info in model.model_fields.items()
    ]


def _type_name(annotation: Any) -> str:
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return _type_name(arguments[0])
    if origin is typing.Literal:
        return " | ".join(json.dumps(value) for value in arguments)
    if origin in (typing.Union, types.UnionType):
        return " | ".join("none" if a is type(None) else _type_name(a) for a in arguments)
    if origin is not None:
        inner = ", ".join("..." if a is Ellipsis else _type_name(a) for a in arguments)
        return f"{origin.__name__}[{inner}]"
    if isinstance(annotation, type) and issubclass(annotation, enum.Enum):
        return " | ".join(json.dumps(member.value, default=str) for member in annotation)
    return getattr(annotation, "__name__", str(annotation))


def _limits(info: FieldInfo) -> str:
    signs = {"gt": ">", "ge": ">=", "lt": "<", "le": "<=", "multiple_of": "multiple of"}
    parts = ["must be given"] if info.is_required() else []
    for item in [*info.metadata, *_metadata_in_union(info.annotation)]:
        for attribute, sign in signs.items():
            value = getattr(item, attribute, None)
            if value is not None:
                parts.append(f"{sign} {value}")
    return ", ".join(parts)


def _metadata_in_union(annotation: Any) -> Iterator[Any]:
    """Yield the limits that stand inside a union, as in ``Annotated[float, Gt(0)] | None``."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in (typing.Union, types.UnionType):
        for argument in arguments:
            yield from _metadata_in_union(argument)
    elif origin is typing.Annotated:
        for item in arguments[1:]:
            yield from item.metadata if isinstance(item, FieldInfo) else (item,)


def _plain(value: Any) -> Any:
    if isinstance(value, enum.Enum):
        return value.value
    return value.model_dump() if isinstance(value, BaseModel) else value
