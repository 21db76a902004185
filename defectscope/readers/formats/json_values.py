"""Values out of JSON files that strangers wrote, each checked before it is used."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from defectscope.core.errors import FormatError, InputError

__all__ = ["Entry", "finite", "point_list", "read_json", "read_text"]

# Beyond this, an annotation file asks for more memory than any micrograph needs.
LARGEST_IMAGE_PX = 2**29


def read_text(path: Path) -> str:
    """Return the text of a file in UTF-8.

    Raises
    ------
    InputError
        The file cannot be opened.
    FormatError
        It is not UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise FormatError(
            f"{path}: expected text in UTF-8, found the byte 0x{error.object[error.start]:02x} "
            f"at position {error.start}; save the file as UTF-8"
        ) from error


def read_json(path: Path) -> Any:
    """Return the content of a JSON file; NaN and Infinity are refused.

    Raises
    ------
    FormatError
        The file is not JSON; says in which line and column.
    """

    def refuse(constant: str) -> NoReturn:
        raise FormatError(f"{path}: expected finite numbers, found {constant}")

    text = read_text(path)
    try:
        return json.loads(text, parse_constant=refuse)
    except json.JSONDecodeError as error:
        raise FormatError(
            f"{path}: malformed JSON in line {error.lineno}, column {error.colno}: {error.msg}"
        ) from error
    except (ValueError, RecursionError) as error:
        raise FormatError(f"{path}: malformed JSON: {error}") from error


def kind_of(value: Any) -> str:
    """Return what JSON calls the type of `value`, with the value where it is short."""
    names = {dict: "an object", list: "a list", str: "the text", bool: "", type(None): "null"}
    name = names.get(type(value), "")
    if isinstance(value, dict | list) or value is None:
        return name
    text = repr(value)
    return f"{name} {text if len(text) <= 60 else text[:57] + '...'}".strip()


def finite(value: Any, what: str) -> float:
    """Return `value` as a float.

    Raises
    ------
    FormatError
        It is no finite number; `what` names the value in the message.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise FormatError(f"{what}: expected a number, found {kind_of(value)}")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise FormatError(f"{what}: expected a finite number, found {number}")
    return number


def point_list(value: Any, what: str, fewest: int) -> NDArray[np.float64]:
    """Return (k, 2) points x, y out of ``[[x, y], ...]``.

    Raises
    ------
    FormatError
        There are fewer than `fewest` points, or something else is listed.
    """
    if not isinstance(value, list) or not all(
        isinstance(point, list) and len(point) == 2 for point in value
    ):
        raise FormatError(f"{what}: expected points [[x, y], ...], found {kind_of(value)}")
    if len(value) < fewest:
        raise FormatError(f"{what}: expected at least {fewest} points, found {len(value)}")
    return np.array([[finite(c, what) for c in point] for point in value], float)


class Entry:
    """A JSON object and where it stands, so that every complaint names the place.

    Parameters
    ----------
    value
        What was found there; must be an object.
    where
        File and entry, such as ``annotations.json: annotation 17``.
    """

    def __init__(self, value: Any, where: str) -> None:
        if not isinstance(value, dict):
            raise FormatError(f"{where}: expected an object, found {kind_of(value)}")
        self.value: dict[str, Any] = value
        self.where = where

    def has(self, key: str) -> bool:
        """Whether `key` is there and not null."""
        return self.value.get(key) is not None

    def get(self, key: str) -> Any:
        """Return the value of `key`, which must be there."""
        if key not in self.value:
            raise FormatError(f"{self.where}: the key {key!r} is missing")
        return self.value[key]

    def number(self, key: str) -> float:
        """Return a finite number."""
        return finite(self.get(key), f"{self.where}: {key!r}")

    def integer(self, key: str) -> int:
        """Return a whole number, also where it is written as 3.0."""
        number = self.number(key)
        if number != int(number):
            raise FormatError(f"{self.where}: {key!r}: expected a whole number, found {number}")
        return int(self.get(key))

    def track_id(self) -> int | None:
        """Return the identity of a defect in a sequence, where there is one."""
        if not self.has("track_id"):
            return None
        number = self.integer("track_id")
        if abs(number) >= 2**53:
            raise FormatError(f"{self.where}: 'track_id': expected less than 2^53, found {number}")
        return number

    def flag(self, key: str) -> bool:
        """Return whether `key` is there and set, to true or to a number other than 0."""
        value = self.value.get(key)
        if value is None or isinstance(value, bool):
            return bool(value)
        return self.number(key) != 0

    def text(self, key: str) -> str:
        """Return a text that is not empty."""
        text = self.get(key)
        if not isinstance(text, str) or not text.strip():
            raise FormatError(f"{self.where}: {key!r}: expected a name, found {kind_of(text)}")
        return text

    def items(self, key: str) -> list[Any]:
        """Return a list."""
        items = self.get(key)
        if not isinstance(items, list):
            raise FormatError(f"{self.where}: {key!r}: expected a list, found {kind_of(items)}")
        return items

    def size(self, width_key: str, height_key: str) -> tuple[int, int]:
        """Return (height, width) of an image in px."""
        width, height = self.integer(width_key), self.integer(height_key)
        if min(width, height) < 1 or width * height > LARGEST_IMAGE_PX:
            raise FormatError(
                f"{self.where}: expected an image size from 1 x 1 px to {LARGEST_IMAGE_PX} pixels, "
                f"found {width} x {height}"
            )
        return height, width

    def frame(self) -> int | None:
        """Return the frame index, where there is one."""
        if not self.has("frame"):
            return None
        frame = self.integer("frame")
        if frame < 0:
            raise FormatError(f"{self.where}: 'frame': expected 0 or more, found {frame}")
        return frame

    def pixel_size_nm(self) -> float | None:
        """Return the pixel size in nm, where it is known."""
        if not self.has("pixel_size_nm"):
            return None
        size = self.number("pixel_size_nm")
        if size <= 0:
            raise FormatError(f"{self.where}: 'pixel_size_nm': expected more than 0, found {size}")
        return size

    def dose_dpa(self) -> float | None:
        """Return the dose in dpa, where it is known."""
        if not self.has("dose_dpa"):
            return None
        dose = self.number("dose_dpa")
        if dose < 0:
            raise FormatError(f"{self.where}: 'dose_dpa': expected 0 or more, found {dose}")
        return dose
