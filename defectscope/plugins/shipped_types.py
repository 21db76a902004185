"""The defect types that come with defectscope, registered like anybody else's."""

from __future__ import annotations

from defectscope import DefectType, hookimpl

# Okabe and Ito's palette: told apart by colour-blind readers and in print.
SHIPPED = (
    DefectType("dislocation-loop", "Dislocation loop", "ellipse", colour="#e69f00"),
    DefectType("a/2<111> loop", "a/2⟨111⟩ loop", "ellipse", contrast="ring", colour="#56b4e9"),
    DefectType("a<100> loop", "a⟨100⟩ loop", "ellipse", contrast="ring", colour="#009e73"),
    DefectType(
        "black dot", "Black dot", "ellipse", size_definition="equivalent-diameter", colour="#cc79a7"
    ),
    DefectType("dislocation", "Dislocation line", "line", colour="#d55e00"),
)


@hookimpl
def defectscope_defect_types() -> tuple[DefectType, ...]:
    """Return the shipped defect types."""
    return SHIPPED
