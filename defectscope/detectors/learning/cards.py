"""What the cards of weights say of their networks; needs no torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from pydantic import BaseModel, ValidationError

from defectscope.core.errors import FormatError

if TYPE_CHECKING:
    from defectscope import WeightFiles

__all__ = ["read_architecture"]

A = TypeVar("A", bound=BaseModel)


def read_architecture(files: WeightFiles, kind: type[A]) -> A:
    """Return what a card says of its network.

    Parameters
    ----------
    files
        Card and tensors.
    kind
        What such cards hold under ``architecture``.

    Raises
    ------
    FormatError
        It describes no such network.
    """
    try:
        return kind(**files.card.architecture)
    except ValidationError as error:
        first = error.errors()[0]
        where = "".join(f"{part}: " for part in first["loc"][:1])
        raise FormatError(
            f"the card of {files.tensors} describes no network of {files.card.detector}: "
            f"{where}{first['msg']}"
        ) from error
