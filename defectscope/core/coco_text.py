"""The text of COCO files: one entry a line, so that files are joined without being parsed."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any

from defectscope.core.errors import FormatError
from defectscope.core.files import atomic_path, compact_json

__all__ = ["coco_text", "join_coco_files"]

SECTIONS = ("images", "annotations", "categories")
IMAGE = re.compile(r'\{"id":(\d+),')
ANNOTATION = re.compile(r'\{"id":\d+,"image_id":(\d+),"category_id":(\d+),')


def coco_text(document: dict[str, Any]) -> str:
    """Return a COCO document as JSON, with a line for each entry of its three lists.

    Parameters
    ----------
    document
        Lists ``images`` (whose entries begin with ``id``), ``annotations`` (with ``id``,
        ``image_id``, ``category_id``) and ``categories``. Ids are whole numbers.
    """
    return "".join(_pieces(*(map(compact_json, document[key]) for key in SECTIONS)))


def _pieces(*sections: Iterable[str]) -> Iterator[str]:
    before = "{"
    for key, lines in zip(SECTIONS, sections, strict=True):
        yield f'{before}"{key}": ['
        separator = "\n"
        for line in lines:
            yield separator + line
            separator = ",\n"
        before = "\n],\n"
    yield "\n]}\n"


def join_coco_files(files: Iterable[Path], target: Path) -> None:
    """Write one COCO file out of several; quickly where those are :func:`coco_text`.

    Images and annotations follow each other in the order of the files and are counted through;
    categories are those of all annotations, in the order in which they first occur.

    Raises
    ------
    FormatError
        A file is no COCO file.
    """
    categories: dict[str, int] = {}
    with (
        atomic_path(target) as temporary,
        temporary.open("w", encoding="utf-8", newline="") as stream,
        # Annotations stand after all images, and are too many to be held in memory.
        TemporaryFile("w+", encoding="utf-8", newline="\n", dir=target.parent) as aside,
    ):
        images = _counted_through(files, aside, categories)
        stream.writelines(_pieces(images, _written_aside(aside), _named(categories)))


def _counted_through(
    files: Iterable[Path], aside: IO[str], categories: dict[str, int]
) -> Iterator[str]:
    """Yield the images, and write the annotations to `aside`."""
    image_count = annotation_count = 0
    for file in files:
        try:
            found = _sections(file.read_text(encoding="utf-8"))
            names = {entry["id"]: entry["name"] for entry in map(json.loads, found["categories"])}
            numbers: dict[str, int] = {}
            for line in found["images"]:
                old = _matched(IMAGE, line)
                image_count += 1
                numbers[old[1]] = image_count
                yield f'{{"id":{image_count},{line[old.end() :]}'
            for line in found["annotations"]:
                old = _matched(ANNOTATION, line)
                category = categories.setdefault(names[int(old[2])], len(categories) + 1)
                annotation_count += 1
                aside.write(
                    f'{{"id":{annotation_count},"image_id":{numbers[old[1]]},'
                    f'"category_id":{category},{line[old.end() :]}\n'
                )
        except (ValueError, KeyError, TypeError) as error:
            raise FormatError(f"{file} is no COCO file that can be joined: {error}") from error


def _written_aside(aside: IO[str]) -> Iterator[str]:
    aside.seek(0)
    for line in aside:
        yield line.removesuffix("\n")


def _named(categories: dict[str, int]) -> Iterator[str]:
    # A function, as it must not look before the annotations are through.
    for name, number in categories.items():
        yield compact_json({"id": number, "name": name})


def _sections(text: str) -> dict[str, list[str]]:
    """Return the lines of each list."""
    if not text.startswith(f'{{"{SECTIONS[0]}": [\n'):
        text = coco_text(json.loads(text))
    sections: dict[str, list[str]] = {}
    for line in text.rstrip("\n").split("\n"):
        header = re.fullmatch(r'\{?"(\w+)": \[', line)
        if header:
            sections[header[1]] = []
        elif line not in ("],", "]}"):
            sections[next(reversed(sections))].append(line.removesuffix(","))
    return sections


def _matched(pattern: re.Pattern[str], line: str) -> re.Match[str]:
    found = pattern.match(line)
    if found is None:
        raise ValueError(f"expected an entry, found {line[:60]!r}")
    return found
