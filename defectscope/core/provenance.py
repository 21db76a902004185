"""What is needed to repeat a run: versions of packages and digests of inputs."""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import platform
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from defectscope.core.cores import available_cores

__all__ = ["file_digest", "input_digests", "machine_description", "package_versions"]

WHOLE_FILE_LIMIT_BYTES = 64 * 2**20
SAMPLE_BYTES = 2**20
MOST_NAMED_FILES = 32
# Above this all files of a series are sampled: a run must not begin with reading it all.
SERIES_LIMIT_BYTES = 4 * 2**30

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
    "laptrack",
    "tifffile",
    "imagecodecs",
    "av",
    "rosettasciio",
    "onnxruntime",
    "openvino",
    "torch",
    "torchvision",
)


def file_digest(path: Path, sampled: bool = False) -> str:
    """Return a digest of a file: ``sha256:…``, or ``sha256-sampled:…`` above 64 MiB.

    A sampled digest covers the size and the first, middle and last MiB, so that a video of
    many gigabytes is not read twice.

    Parameters
    ----------
    path
        The file.
    sampled
        Take samples whatever its size.
    """
    size = path.stat().st_size
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        if size <= WHOLE_FILE_LIMIT_BYTES and not (sampled and size > 3 * SAMPLE_BYTES):
            for chunk in iter(lambda: stream.read(SAMPLE_BYTES), b""):
                digest.update(chunk)
            return f"sha256:{digest.hexdigest()}"
        digest.update(str(size).encode())
        for start in (0, size // 2, size - SAMPLE_BYTES):
            stream.seek(start)
            digest.update(stream.read(SAMPLE_BYTES))
    return f"sha256-sampled:{digest.hexdigest()}"


def input_digests(
    paths: Sequence[Path], progress: Callable[[int], None] = lambda done: None
) -> dict[str, str]:
    """Return a digest of every input file by name.

    Above 32 files their digests are joined into one, so that a folder of 40,000 frames does not
    make 40,000 lines.

    Parameters
    ----------
    paths
        The files; those of one name are told apart by their folder.
    progress
        Called with the number of files that are done.
    """
    files = [path for path in paths if path.is_file()]
    sampled = sum(path.stat().st_size for path in files) > SERIES_LIMIT_BYTES
    names = Counter(path.name for path in files)
    digests: dict[str, str] = {}
    for done, path in enumerate(files, start=1):
        label = path.name if names[path.name] == 1 else str(path)
        digests[label] = file_digest(path, sampled)
        progress(done)
    if len(digests) <= MOST_NAMED_FILES:
        return digests
    # By name alone: the same frames in another place are the same input.
    lines = sorted(f"{Path(n).name}\0{d}\n" for n, d in digests.items())
    joined = hashlib.sha256("".join(lines).encode("utf-8", "surrogateescape"))
    return {f"{len(digests)} files": f"sha256-joined:{joined.hexdigest()}"}


def package_versions(names: Iterable[str] = NUMERIC_PACKAGES) -> dict[str, str]:
    """Return the versions of Python and of those of the named packages that are installed."""
    versions = {"python": platform.python_version()}
    for name in names:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions


def machine_description() -> dict[str, str | int]:
    """Return what a time or a size in memory depends on: system, CPU model and cores."""
    described: dict[str, str | int] = {
        "system": platform.platform(),
        "cpu": platform.processor() or platform.machine(),
        "cores": os.cpu_count() or 1,
        "usable_cores": available_cores(),
    }
    information = Path("/proc/cpuinfo")
    if information.is_file():
        for line in information.read_text(encoding="utf-8", errors="replace").splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                described["cpu"] = value.strip()
                break
    return described
