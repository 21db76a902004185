"""Files of the input that were there and have gone: a disk pulled out, a share that fell away."""

from __future__ import annotations

import errno
from pathlib import Path

__all__ = ["is_there", "why_gone"]

# What opening says where the file, or what it lies on, is not there. A disk's bad sector says EIO
# too, but seldom in the first byte.
GONE = frozenset(
    (
        errno.ENOENT, errno.EIO, errno.ENXIO, errno.ENODEV, errno.ESTALE, errno.ENOTCONN,
        errno.EHOSTDOWN, errno.ETIMEDOUT,
    )
)  # fmt: skip


def is_there(path: Path) -> bool:
    """Whether something is there at `path`, be it readable or not."""
    try:
        path.stat()
    except OSError:
        return False
    return True


def why_gone(path: Path) -> str | None:
    """Return what the system says of a file that is not there any more; None where it is there."""
    try:
        with path.open("rb") as stream:
            stream.read(1)
    except OSError as error:
        return (error.strerror or str(error)) if error.errno in GONE else None
    return None
