"""What ``make test`` installs is pinned, so that a later release of another cannot fail it."""

from __future__ import annotations

import re
import sys
from importlib.metadata import distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]


def pinned():
    """Return the versions in ``constraints.txt``."""
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = (line.split("==") for line in lines if not line.startswith("#"))
    return {canonicalize_name(name): version for name, version in pins}


def needed(name, extras, found):
    """Add what is installed of a distribution's requirements, and of theirs, to `found`."""
    for text in distribution(name).requires or ():
        requirement = Requirement(text)
        wanted = requirement.marker is None or any(
            requirement.marker.evaluate({"extra": extra}) for extra in ("", *extras)
        )
        asked = (canonicalize_name(requirement.name), frozenset(requirement.extras))
        if wanted and asked not in found:
            found.add(asked)
            needed(*asked, found)
    return found


@pytest.mark.skipif(
    sys.platform != "linux" or sys.version_info[:2] != (3, 11),
    reason="another system, or another Python, needs other packages",
)
@pytest.mark.skipif(
    not Path(sys.prefix, ".test").is_file(), reason="not the environment that make test makes"
)
def test_everything_that_make_test_installs_is_pinned():
    (extras,) = re.findall(r"editable '\.\[(.*)\]'", (ROOT / "Makefile").read_text())
    found = {name for name, _ in needed("defectscope", extras.split(","), set())}
    assert len(found) > 100
    assert sorted(found - set(pinned())) == []


def test_the_pins_are_in_order_and_none_is_there_twice():
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()[1:]
    assert lines == sorted(lines, key=str.casefold)
    assert len(pinned()) == len(lines)
