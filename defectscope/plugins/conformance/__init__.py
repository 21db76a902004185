"""Conformance: whether a component keeps what its family promises.

Each check is a plain function of a component class and a :class:`Setup`, raises
:class:`ConformanceError` with a sentence that says what was expected and what was found, and
knows nothing of pytest. :mod:`defectscope.plugins.testing` makes pytest classes of them, and
``defectscope plugins check`` runs them on what is installed.
"""

from __future__ import annotations

from defectscope.plugins.conformance.basics import (
    Check,
    CheckResult,
    ConformanceError,
    NotCheckedError,
    Setup,
    run_check,
)
from defectscope.plugins.conformance.runner import (
    check_class,
    check_component,
    check_import_cost,
    checks_of,
)

__all__ = [
    "Check",
    "CheckResult",
    "ConformanceError",
    "NotCheckedError",
    "Setup",
    "check_class",
    "check_component",
    "check_import_cost",
    "checks_of",
    "run_check",
]
