"""Defect types under other names: those of an own dataset renamed, or several made one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from defectscope.core.defect_types import UNCERTAIN
from defectscope.core.errors import OptionError, did_you_mean

if TYPE_CHECKING:
    from defectscope.core.datasets import Dataset
    from defectscope.core.instances import Instances

__all__ = [
    "check_renames",
    "expected_renames",
    "names_in",
    "parse_renames",
    "renamed",
    "renamed_dataset",
]


def parse_renames(texts: Iterable[str]) -> dict[str, str]:
    """Read ``A=B`` of each text: the type A is called B.

    Raises
    ------
    OptionError
        A text has another form, or a type is to have two names.
    """
    names: dict[str, str] = {}
    for text in texts:
        old, equals, new = (part.strip() for part in text.partition("="))
        if not (old and equals and new):
            raise OptionError(f"--rename takes OLD=NEW, names of defect types, found {text!r}")
        if names.setdefault(old, new) != new:
            raise OptionError(
                f"--rename calls {old!r} both {names[old]!r} and {new!r}; give it one name"
            )
    return names


def expected_renames(given: Any) -> Mapping[str, str]:
    """Return new names by old ones as they were given; OptionError where it is no such table."""
    if given is None:
        return {}
    if isinstance(given, Mapping) and all(
        isinstance(name, str) for pair in given.items() for name in pair
    ):
        return given
    raise OptionError(
        f"rename must be new names of defect types by old ones, such as {{'loop': 'dot'}}, found "
        f"{given!r}"
    )


def names_in(dataset: Dataset) -> set[str]:
    """Return the names of its labels and of its categories."""
    labels = {str(name) for image in dataset.images for name in image.instances.defect_types}
    return labels | set(dataset.defect_types)


def check_renames(names: Mapping[str, str], there: Iterable[str], also: Iterable[str] = ()) -> None:
    """Check that what is to be renamed is there, and can be.

    Parameters
    ----------
    names
        New names by old ones.
    there
        Defect types that the data has.
    also
        Those that it might have had.

    Raises
    ------
    OptionError
        Names what there is; or labels that are ignored for being ``uncertain`` are to count.
    """
    known = sorted(set(there))
    for name in names:
        if name not in known and name not in also:
            raise OptionError(
                f"--rename: there is no defect type {name!r}{did_you_mean(name, known)}; "
                f"there are: {', '.join(known) or 'none'}"
            )
    # Whether the name alone has them ignored, or a flag too, is not known any more.
    if names.get(UNCERTAIN, UNCERTAIN) != UNCERTAIN:
        raise OptionError(
            f"--rename: labels called {UNCERTAIN!r} are ignored, and would be so under the name "
            f"{names[UNCERTAIN]!r}; where they are to count, give them their type in the labels"
        )


def renamed(instances: Instances, names: Mapping[str, str]) -> Instances:
    """Return the same instances under their new names; what is ``uncertain`` now is ignored."""
    if not names:
        return instances
    types = np.array([names.get(str(n), str(n)) for n in instances.defect_types], np.str_)
    return replace(instances, defect_types=types, ignore=instances.ignore | (types == UNCERTAIN))


def renamed_dataset(dataset: Dataset, names: Mapping[str, str]) -> Dataset:
    """Return the same labelled images, with their types under new names."""
    if not names:
        return dataset
    categories = dict.fromkeys(names.get(name, name) for name in dataset.defect_types)
    images = [replace(image, instances=renamed(image.instances, names)) for image in dataset.images]
    return replace(dataset, images=images, defect_types=tuple(categories))
