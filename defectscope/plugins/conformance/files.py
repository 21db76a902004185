"""What the checks of readers and of annotation formats share."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from defectscope.core.errors import DefectscopeError, MissingPackageError
from defectscope.plugins.conformance.basics import expect

__all__ = ["GARBAGE", "clear_error", "temporary_folder"]

GARBAGE = bytes(range(256)) * 8


@contextmanager
def temporary_folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="defectscope-check-") as name:
        yield Path(name)


@contextmanager
def clear_error(what: str, must: bool) -> Iterator[None]:
    """Expect a DefectscopeError and nothing else; also that there is one, where it `must` be."""
    try:
        yield
    except MissingPackageError:
        raise
    except DefectscopeError as error:
        if isinstance(error, AssertionError):
            raise
        expect(str(error).strip(), f"the error for {what} needs a text")
        return
    except Exception as error:
        expect(
            False,
            f"{what} must give an error of defectscope (InputError or FormatError) with a "
            f"sentence for the user, found {type(error).__name__}: {error}",
        )
    expect(not must, f"{what} must give an error, found none")
