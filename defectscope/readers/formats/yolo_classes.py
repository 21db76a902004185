"""The class names of YOLO datasets: classes.txt, and the few forms of YAML that hold them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from defectscope.core.errors import FormatError
from defectscope.readers.formats.json_values import read_text

__all__ = ["CLASSES", "DATA", "data_yaml", "names_from_yaml", "read_classes"]

CLASSES, DATA = "classes.txt", "data.yaml"
YAML_NAMES = (DATA, "data.yml", "dataset.yaml", "dataset.yml")
# A plain word must not start with what YAML gives a meaning, nor hold ": " or " #".
_ITEM = re.compile(
    r"""\s*(?:(?P<key>\d+)\s*:\s+)?          # a mapping's number
        (?:'(?P<single>(?:[^']|'')*)'
          |(?P<double>"(?:[^"\\]|\\.)*")
          |(?P<plain>[^'"{}\[\],\s&*!|>%@`\#](?:(?!\s\#|:\s|:$)[^{}\[\],])*?))
        \s*(?:(?P<comma>,)|(?:(?<=\s)\#.*)?$)""",
    re.VERBOSE,
)
_BLOCK_ITEM = re.compile(r"\s*(?:-\s+(?P<item>.+)|(?P<pair>\d+\s*:\s.+))")


def read_classes(folder: Path) -> tuple[str, ...]:
    """Return the class names of a dataset, in the order of their numbers.

    They stand in data.yaml, else in classes.txt (in the folder or in labels/), else in the
    data.yaml beside the folder, which splits share.

    Raises
    ------
    FormatError
        There is neither, or it is malformed.
    """
    names = _from_yaml_in(folder) or _from_text_in(folder) or _from_yaml_in(folder.resolve().parent)
    if names:
        return names
    raise FormatError(
        f"{folder}: there is neither {DATA} nor {CLASSES}; add {CLASSES} with the name of one "
        "class a line"
    )


def _from_yaml_in(folder: Path) -> tuple[str, ...]:
    files = (folder / name for name in YAML_NAMES)
    return next((names_from_yaml(read_text(file), file) for file in files if file.is_file()), ())


def _from_text_in(folder: Path) -> tuple[str, ...]:
    for file in (folder / CLASSES, folder / "labels" / CLASSES):
        if file.is_file():
            names = tuple(line.strip() for line in read_text(file).splitlines() if line.strip())
            if names:
                return names
    return ()


def data_yaml(names: Sequence[str]) -> str:
    """Return a data.yaml; a JSON string is a YAML string too.

    It names no ``path``: ultralytics takes the folder of the file then, and with a relative one
    that from which it was started.
    """
    lines = [f"  {i}: {json.dumps(name, ensure_ascii=False)}" for i, name in enumerate(names)]
    return "\n".join(["train: images", "val: images", "names:", *lines, ""])


def names_from_yaml(text: str, path: Path) -> tuple[str, ...]:
    """Return the entries of ``names``: a list or a mapping from 0, inline or one a line.

    Raises
    ------
    FormatError
        There are none, or they are written in another form.
    """
    # Only these end a line in YAML 1.2; splitlines() knows more.
    lines = [line for line in re.split(r"\r\n|\r|\n", text) if not line.lstrip().startswith("#")]
    starts = [i for i, line in enumerate(lines) if re.match(r"names\s*:", line)]
    if len(starts) != 1:
        raise FormatError(f"{path}: expected one key 'names' at the left, found {len(starts)}")
    # Behind a list in one line, and behind the bare key, a comment may stand.
    first = re.sub(r"(^|\s+)#[^\]}]*$", "", lines[starts[0]].partition(":")[2].strip())
    rest = lines[starts[0] + 1 :]
    try:
        items = list(_inline(first, rest) if first else _block(rest))
        numbers = [number for number, _ in items]
        if numbers not in ([None] * len(items), list(range(len(items)))) or not items:
            raise ValueError(f"classes must be numbered from 0, found {numbers}")
    except ValueError as error:
        raise FormatError(
            f"{path}: the names of the classes cannot be read: {error}; write them as "
            f"'names: [a, b]', or one a line into {CLASSES} and remove this file"
        ) from error
    return tuple(name for _, name in items)


def _inline(first: str, rest: Sequence[str]) -> Iterator[tuple[int | None, str]]:
    text = first
    closing = {"[": "]", "{": "}"}.get(text[0])
    for line in rest:
        if closing is None or text.endswith(closing):
            break
        text += " " + re.sub(r"(^|\s+)#[^\]}]*$", "", line.strip())
    if closing is None or not text.endswith(closing):
        raise ValueError(f"expected a list or a mapping, found {text[:60]!r}")
    yield from _items(text[1:-1])


def _block(rest: Sequence[str]) -> Iterator[tuple[int | None, str]]:
    for line in rest:
        if not line.strip():
            continue
        match = _BLOCK_ITEM.fullmatch(line)
        if match is None or (match["pair"] and not line[0].isspace()):
            if line[0].isspace() or line.startswith("-"):
                raise ValueError(f"expected '- name' or '0: name', found {line.strip()[:60]!r}")
            return
        yield from _items(match["item"] or match["pair"], only=True)


def _items(text: str, only: bool = False) -> Iterator[tuple[int | None, str]]:
    position = 0
    while text[position:].strip():
        match = _ITEM.match(text, position)
        if match is None or (only and match["comma"]):
            raise ValueError(f"expected a name, found {text[position:].strip()[:60]!r}")
        if match["double"] is not None:
            name = str(json.loads(match["double"]))
        elif match["single"] is not None:
            name = match["single"].replace("''", "'")
        else:
            name = match["plain"]
        if not name.strip():
            raise ValueError("a name is empty")
        yield None if match["key"] is None else int(match["key"]), name
        position = match.end()
