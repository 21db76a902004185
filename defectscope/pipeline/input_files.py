"""Which files the inputs of a run stand for, and which reader takes each."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from defectscope.core.errors import InputError, PluginClashError, UsageError, did_you_mean
from defectscope.core.file_order import natural_key
from defectscope.core.files import check_encoding
from defectscope.pipeline.input_notes import listed
from defectscope.plugins.host import PluginHost, Registered

__all__ = ["ReaderTable", "input_files"]

# What stands beside images without being any: not worth a word when a folder is read.
COMPANIONS = frozenset(
    (
        ".json", ".xml", ".txt", ".csv", ".tsv", ".zip", ".roi", ".md", ".rst", ".toml",
        ".yaml", ".yml", ".ini", ".cfg", ".log", ".pdf", ".html", ".py", ".ipynb", ".xlsx",
        ".xls", ".ods", ".docx", ".parquet", ".md5", ".sha256", ".db", ".lnk", ".url", ".gz",
        ".tar", ".7z", ".emi", ".safetensors", ".onnx", ".pt",
    )
)  # fmt: skip
# Formats of their own that no shipped reader takes: their suffixes are no slips of the finger.
OTHER_IMAGES = frozenset(
    (
        ".npy", ".npz", ".h5", ".hdf5", ".mat", ".zarr", ".raw", ".webp", ".gif", ".avif",
        ".heic", ".jp2", ".j2k", ".jxl", ".jfif", ".svg", ".eps", ".ps", ".emf", ".wmf", ".psd",
        ".tga", ".ico", ".pcx", ".exr", ".hdr", ".pbm", ".pgm", ".ppm", ".pnm", ".pfm", ".dng",
        ".cr2", ".nef", ".arw", ".fits", ".fit", ".nii", ".dcm", ".czi", ".nd2", ".lif", ".lsm",
        ".oib", ".oif", ".vsi", ".ims", ".svs", ".bif", ".bcf", ".blo", ".gtg", ".tvips", ".eer",
    )
)  # fmt: skip
OTHER_VIDEOS = frozenset(
    (
        ".wmv", ".flv", ".mpg", ".mpeg", ".m4v", ".ogv", ".3gp", ".ts", ".mts", ".m2ts", ".asf",
        ".mxf", ".vob", ".seq",
    )
)  # fmt: skip
DATASET_FOLDERS = ("images", "frames")


class ReaderTable:
    """The installed readers by suffix; a third party's takes only what no shipped one does."""

    def __init__(self, host: PluginHost) -> None:
        self._entries: dict[str, list[Registered]] = {}
        for entry in host.registered("readers"):
            for suffix in getattr(entry.spec, "suffixes", ()):
                self._entries.setdefault(suffix.lower(), []).append(entry)
        for suffix, entries in self._entries.items():
            shipped = [e for e in entries if e.plugin.is_shipped]
            self._entries[suffix] = shipped[:1] or entries
        # ".ome.tif", should anybody offer it, is asked before ".tif".
        self._longest_first = sorted(self._entries, key=len, reverse=True)

    @property
    def suffixes(self) -> str:
        """The suffixes that are known, for messages."""
        return ", ".join(sorted(self._entries)) or "none"

    def suffix_of(self, name: str) -> str | None:
        """Return the known suffix of a file name, or None."""
        name = name.lower()
        return next((s for s in self._longest_first if name.endswith(s)), None)

    def reader_for(self, path: Path) -> Registered:
        """Return the reader that takes a file.

        Raises
        ------
        InputError
            None does.
        PluginClashError
            Two third-party readers do.
        """
        suffix = self.suffix_of(path.name)
        if suffix is None:
            found = path.suffix.lower()
            hint = _advice(found, self._entries)
            ending = f"files ending in {found!r}" if found else "files without a suffix"
            raise InputError(
                f"{path}: no installed reader takes {ending}{hint}; known suffixes are: "
                f"{self.suffixes}"
            )
        entries = self._entries[suffix]
        if len(entries) > 1:
            owners = " and ".join(entry.plugin.label for entry in entries)
            raise PluginClashError(
                f"files ending in {suffix!r} are taken by readers of {owners}; "
                "leave one out with --no-plugin"
            )
        return entries[0]


def _advice(suffix: str, known: Iterable[str]) -> str:
    """Return what to do with a file of a suffix that no reader takes, or an empty string."""
    if suffix in OTHER_IMAGES:
        return "; convert it to TIFF or PNG"
    if suffix in OTHER_VIDEOS:
        return "; convert it to MP4 or MKV"
    return "" if suffix in COMPANIONS else did_you_mean(suffix, known)


def input_files(paths: Sequence[Path], table: ReaderTable, warnings: list[str]) -> list[Path]:
    """Return the files that `paths` (files and folders) stand for, each once.

    The files of a folder, and files that are named one after the other, are in natural order.

    Raises
    ------
    InputError
        A path does not exist, cannot be read, is not valid UTF-8, or holds nothing that a reader
        takes.
    UsageError
        No path was given.
    """
    if not paths:
        raise UsageError("no input was given; name at least one image, stack, video or folder")
    files: list[Path] = []
    for path in map(Path, paths):
        try:
            if path.is_dir():
                files += _folder_files(path, table, warnings)
            else:
                files.append(_single_file(path, table))
        except OSError as error:
            raise InputError(f"{path} cannot be read: {error.strerror or error}") from error
    unique = {os.path.abspath(file): file for file in reversed(files)}  # noqa: PTH100
    for file in unique.values():
        check_encoding(file)
    if len(unique) < len(files):
        twice = len(files) - len(unique)
        what = "1 file was" if twice == 1 else f"{twice} files were"
        warnings.append(f"{what} given twice; each is read once")
    return list(reversed(unique.values()))


def _single_file(path: Path, table: ReaderTable) -> Path:
    if not path.exists():
        raise InputError(f"there is no file or folder {path}")
    if not path.is_file():
        raise InputError(f"{path} is neither a file nor a folder")
    table.reader_for(path)
    if not os.access(path, os.R_OK):
        raise InputError(f"{path} cannot be read: permission denied")
    return path


def _folder_files(folder: Path, table: ReaderTable, warnings: list[str]) -> list[Path]:
    names: list[str] = []
    ignored: Counter[str] = Counter()
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith(".") or entry.is_dir():
                continue
            suffix = table.suffix_of(entry.name)
            if suffix is None:
                ignored[Path(entry.name).suffix.lower()] += 1
            # A link that leads nowhere is a frame that cannot be read, not nothing.
            elif entry.is_file() or entry.is_symlink():
                names.append(entry.name)
    if not names:
        raise InputError(_no_images(folder, table))
    _describe(folder, names, ignored, table, warnings)
    return [folder / name for name in sorted(names, key=natural_key)]


def _no_images(folder: Path, table: ReaderTable) -> str:
    inner = [name for name in DATASET_FOLDERS if (folder / name).is_dir()]
    hint = f"; perhaps {folder / inner[0]} is meant" if inner else ""
    if not inner and (readable := _readable_subfolders(folder, table)):
        do, them = ("does", "it") if len(readable) == 1 else ("do", "them")
        hint = (
            f", but {listed(readable)} in it {do}; name {them}, for folders in folders are not read"
        )
    return (
        f"the folder {folder} holds no image, stack or video{hint}; "
        f"known suffixes are: {table.suffixes}"
    )


def _readable_subfolders(folder: Path, table: ReaderTable) -> list[str]:
    """Return the names of the folders in a folder in which there is something to read."""
    found = []
    for inner in folder.iterdir():
        # What cannot be looked into is no place to send anybody.
        with suppress(OSError):
            names = (path.name for path in inner.iterdir() if not path.name.startswith("."))
            if not inner.name.startswith(".") and any(map(table.suffix_of, names)):
                found.append(inner.name)
    return sorted(found, key=natural_key)


def _describe(
    folder: Path,
    names: Iterable[str],
    ignored: Counter[str],
    table: ReaderTable,
    warnings: list[str],
) -> None:
    data = {kind: count for kind, count in ignored.items() if kind and kind not in COMPANIONS}
    if data:
        kinds = ", ".join(sorted(data))
        count = sum(data.values())
        nouns, were = ("file", "was") if count == 1 else ("files", "were")
        warnings.append(
            f"{folder}: {count} {nouns} that no installed reader takes {were} left out ({kinds})"
        )
    taken = Counter(table.suffix_of(name) for name in names)
    if len({table.reader_for(Path(f"x{suffix}")).name for suffix in taken}) > 1:
        kinds = ", ".join(f"{count} {suffix}" for suffix, count in sorted(taken.items(), key=str))
        warnings.append(f"{folder} holds several kinds of files, and all are read: {kinds}")
