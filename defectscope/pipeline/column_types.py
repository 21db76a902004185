"""One type for a column whose parts were written at different times."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from defectscope.core.errors import ComponentError

__all__ = ["OTHER_KIND", "known_types", "unified"]

OTHER_KIND = (
    "the column {!r} holds text in some frames and numbers in others; a detector or post-processor "
    "must give one kind of values"
)


def unified(schemas: Sequence[pa.Schema]) -> pa.Schema:
    """Return the types that hold the values of all parts: flags beside numbers become numbers.

    Raises
    ------
    ComponentError
        A column holds text in one part and numbers in another.
    """
    kinds: dict[str, set[pa.DataType]] = {}
    for schema in schemas:
        for column in schema:
            kinds.setdefault(column.name, set()).add(column.type)
    for name, types in kinds.items():
        if any(map(_is_text, types)) and any(map(_is_number, types)):
            raise ComponentError(OTHER_KIND.format(name))
    numbers = {name for name, types in kinds.items() if any(map(_is_plain_number, types))}
    return pa.unify_schemas(
        [
            pa.schema(
                [
                    column.with_type(pa.float64())
                    if column.name in numbers and pa.types.is_boolean(column.type)
                    else column
                    for column in schema
                ]
            )
            for schema in schemas
        ],
        promote_options="permissive",
    )


def known_types(table: pa.Table) -> pa.Schema:
    """Return the types of a part; a column without any value has none that counts."""
    return pa.schema(
        [
            column.with_type(pa.null()) if table[column.name].null_count == len(table) else column
            for column in table.schema.remove_metadata()
        ]
    )


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _is_plain_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_floating(kind) or pa.types.is_integer(kind))


def _is_number(kind: pa.DataType) -> bool:
    return _is_plain_number(kind) or bool(pa.types.is_boolean(kind))
