"""Registers the shipped readers and annotation formats."""

from __future__ import annotations

from defectscope import FormatSpec, ReaderSpec, hookimpl


@hookimpl
def defectscope_readers() -> list[ReaderSpec]:
    """Return the shipped readers."""
    return []


@hookimpl
def defectscope_formats() -> list[FormatSpec]:
    """Return the shipped annotation formats."""
    return []
