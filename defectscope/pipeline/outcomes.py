"""What became of every instance of a frame: found, missed, false alarm, or not counted."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from defectscope.core.ignored_regions import ignored_region
from defectscope.core.line_metrics import LineComparison
from defectscope.core.matching import match_instances
from defectscope.pipeline.line_evaluation import line_positions

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from defectscope.core.defect_types import DefectType
    from defectscope.core.instances import Instances

__all__ = ["Outcome", "Outcomes", "box_outcomes", "with_lines"]


class Outcome(StrEnum):
    """What may become of an instance."""

    FOUND = "found"
    MISSED = "missed"
    FALSE_ALARM = "false alarm"
    NOT_COUNTED = "not counted"


class Outcomes(NamedTuple):
    """(n,) outcomes of what was found, (m,) of what there is."""

    predicted: NDArray[np.object_]
    true: NDArray[np.object_]


def box_outcomes(predicted: Instances, true: Instances, iou: float) -> Outcomes:
    """Return the outcomes by the overlap of boxes."""
    match = match_instances(predicted, true, iou)
    found, there = (np.full(len(n), Outcome.NOT_COUNTED, object) for n in (predicted, true))
    found[match.predicted], found[match.spurious] = Outcome.FOUND, Outcome.FALSE_ALARM
    there[match.true], there[match.missed] = Outcome.FOUND, Outcome.MISSED
    there[true.ignore] = Outcome.NOT_COUNTED
    return Outcomes(found, there)


def with_lines(
    outcomes: Outcomes, predicted: Instances, true: Instances, types: Mapping[str, DefectType]
) -> Outcomes:
    """Return outcomes of which those of lines are by the matching that scores lines.

    Boxes of steep lines overlap by nothing where these are a pixel apart.
    """
    found, there = outcomes.predicted.copy(), outcomes.true.copy()
    of_lines = line_positions(predicted, types), line_positions(true, types)
    found[of_lines[0]] = there[of_lines[1]] = Outcome.NOT_COUNTED
    mine = [k for k in of_lines[0] if not predicted.ignore[k]]
    counted = [k for k in of_lines[1] if not true.ignore[k]]
    ignored = [k for k in of_lines[1] if true.ignore[k]]
    theirs, known, unknown = (
        [(side.lines or ())[k] for k in chosen]
        for side, chosen in ((predicted, mine), (true, counted), (true, ignored))
    )
    compared = LineComparison(theirs, known, ignored=unknown, unknown=ignored_region(true))
    rows = compared.counted()
    match, mine = compared.match(rows), [mine[row] for row in rows]
    found[mine], there[counted] = Outcome.FALSE_ALARM, Outcome.MISSED
    found[np.array(mine, int)[match.predicted]] = Outcome.FOUND
    there[np.array(counted, int)[match.true]] = Outcome.FOUND
    return Outcomes(found, there)
