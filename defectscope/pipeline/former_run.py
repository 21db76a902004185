"""What a new run replaces, kept until the new one has something to show."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from defectscope.core.errors import OutputError
from defectscope.pipeline.run_owner import other_owner, write_owner

__all__ = ["ASIDE", "FormerRun"]

ASIDE = ".former-run"
# Says in it which process set it aside.
OWNER = "owner"


class FormerRun:
    """Files of a run, set aside in a folder beside them.

    One file says whose are those that stand in the run folder. It goes aside last, comes back
    first, and is the last to be deleted, so that this is known wherever the program was killed.

    Parameters
    ----------
    folder
        The run folder.
    mark
        Name of the file that goes last.
    """

    def __init__(self, folder: Path, mark: str) -> None:
        self._folder, self._aside, self._mark = folder, folder / ASIDE, mark

    @property
    def has_files(self) -> bool:
        """Whether there is any of it, all of it set aside or not."""
        return self._aside.is_dir()

    @property
    def is_replaced(self) -> bool:
        """Whether all of it is set aside, so that what stands in the folder is of another run."""
        return (self._aside / self._mark).is_file()

    def expect_no_other(self) -> None:
        """Refuse to touch what another process has set aside while it is at work.

        Raises
        ------
        OutputError
            It is, or it ran on another host, where nobody can see whether it still does.
        """
        if other := other_owner(self._aside / OWNER):
            raise OutputError(
                f"the run in {self._folder} is being replaced by another ({other}); wait for its "
                f"end, or, if that is not at work any more, delete {self._aside / OWNER} and run "
                "again"
            )

    def set_aside(self, names: Iterable[str]) -> None:
        """Move files, or folders of parts, out of the way, where they are there."""
        self._aside.mkdir(exist_ok=True)
        write_owner(self._aside / OWNER)
        for name in (*(name for name in names if name != self._mark), self._mark):
            _move(self._folder / name, self._aside / name)

    def put_back(self) -> None:
        """Move everything back to where it was.

        Raises
        ------
        OutputError
            Something is in the way; what is still set aside stays so.
        """
        try:
            _move(self._aside / self._mark, self._folder / self._mark)
            for source in self._files():
                _move(source, self._folder / source.relative_to(self._aside))
            self._remove_folders()
        except OSError as error:
            raise OutputError(
                f"the files of the former run in {self._aside} cannot be moved back to "
                f"{self._folder}: {error.strerror or error}; move them by hand"
            ) from error

    def discard(self) -> None:
        """Delete all of it; what cannot be deleted, because somebody reads it, waits."""
        with suppress(OSError):
            for path in self._files():
                _delete(path)
            (self._aside / self._mark).unlink(missing_ok=True)
            self._remove_folders()

    def _files(self) -> list[Path]:
        """Return what is set aside, besides the marks; a folder of parts counts as a file."""
        marks = (self._mark, OWNER)
        top = [path for path in sorted(self._aside.iterdir()) if path.name not in marks]
        plain = [path for path in top if path.suffix or not path.is_dir()]
        return plain + [inner for path in top if path not in plain for inner in path.iterdir()]

    def _remove_folders(self) -> None:
        (self._aside / OWNER).unlink(missing_ok=True)
        for path in (*self._aside.iterdir(), self._aside):
            path.rmdir()


def _move(source: Path, target: Path) -> None:
    if source.is_symlink() or source.exists():
        target.parent.mkdir(exist_ok=True)
        source.replace(target)


def _delete(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        for inner in path.iterdir():
            inner.unlink()
        path.rmdir()
    else:
        path.unlink(missing_ok=True)
