"""What is needed to repeat a run: versions of packages and digests of inputs."""

from __future__ import annotations

import hashlib
import importlib.metadata
import platform
from collections.abc import Iterable
from pathlib import Path

__all__ = ["file_digest", "package_versions"]

WHOLE_FILE_LIMIT_BYTES = 64 * 2**20
SAMPLE_BYTES = 2**20

# Packages whose version can change a number in a table.
NUMERIC_PACKAGES = (
    "defectscope",
    "numpy",
    "scipy",
    "pandas",
    "pyarrow",
    "opencv-python-headless",
    "scikit-image",
    "trackpy",
    "tifffile",
    "av",
    "rosettasciio",
    "onnxruntime",
    "torch",
)


def file_digest(path: Path) -> str:
    """Return a digest of a file: ``sha256:…``, or ``sha256-sampled:…`` above 64 MiB.

    A sampled digest covers the size and the first, middle and last MiB, so that a video of
    many gigabytes is not read twice.
    """
    size = path.stat().st_size
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        if size <= WHOLE_FILE_LIMIT_BYTES:
            for chunk in iter(lambda: stream.read(SAMPLE_BYTES), b""):
                digest.update(chunk)
            return f"sha256:{digest.hexdigest()}"
        digest.update(str(size).encode())
        for start in (0, size // 2, size - SAMPLE_BYTES):
            stream.seek(start)
            digest.update(stream.read(SAMPLE_BYTES))
    return f"sha256-sampled:{digest.hexdigest()}"


def package_versions(names: Iterable[str] = NUMERIC_PACKAGES) -> dict[str, str]:
    """Return the versions of Python and of those of the named packages that are installed."""
    versions = {"python": platform.python_version()}
    for name in names:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions
