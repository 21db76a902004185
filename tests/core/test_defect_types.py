from __future__ import annotations

import pytest

from defectscope.core.defect_types import DefectType


def test_what_is_not_given():
    loop = DefectType("dislocation-loop", "Dislocation loop", "ellipse")
    assert (loop.size_definition, loop.contrast) == ("major-axis", "dark")
    assert loop.colour == "#e69f00"


@pytest.mark.parametrize("name", ["", "   ", None, 3])
def test_a_name_is_needed(name):
    with pytest.raises(ValueError, match=f"a defect type needs a name, found {name!r}"):
        DefectType(name, "Loop", "ellipse")


@pytest.mark.parametrize(
    ("field", "value", "allowed"),
    [
        ("shape", "circle", "ellipse, line"),
        ("size_definition", "area", "major-axis, equivalent-diameter"),
        ("contrast", "grey", "dark, bright, ring"),
    ],
)
def test_a_value_must_be_one_of_those_allowed(field, value, allowed):
    given = {"name": "loop", "title": "Loop", "shape": "ellipse", field: value}
    with pytest.raises(ValueError, match=f"'loop': {field} must be one of {allowed}, found"):
        DefectType(**given)


@pytest.mark.parametrize("colour", ["red", "#fff", "#gggggg", "e69f00", "#e69f00 ", ""])
def test_a_colour_has_six_digits(colour):
    with pytest.raises(ValueError, match="colour must look like '#e69f00', found"):
        DefectType("loop", "Loop", "ellipse", colour=colour)


def test_defect_types_compare_and_cannot_be_changed():
    loop = DefectType("loop", "Loop", "line", colour="#AbCdEf")
    assert loop == DefectType("loop", "Loop", "line", colour="#AbCdEf")
    assert len({loop, loop}) == 1
    with pytest.raises(AttributeError):
        loop.shape = "ellipse"
