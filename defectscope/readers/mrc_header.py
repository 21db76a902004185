"""What RosettaSciIO leaves aside in the header of MRC files: byte order, and signed bytes."""

from __future__ import annotations

import struct
from pathlib import Path

from defectscope import InputError

__all__ = ["check_byte_order", "has_signed_bytes"]

HEADER_BYTES = 1024
MODE_AT, VERSION_AT, IMOD_STAMP_AT, MACHINE_STAMP_AT = 12, 108, 152, 212
BYTE_MODE = 0
IMOD_STAMP = 1146047817
BIG_ENDIAN_STAMP = b"\x11\x11"


def check_byte_order(path: Path) -> None:
    """Refuse a big-endian file, which would be read as noise.

    Raises
    ------
    InputError
        It is big-endian, or has no complete header.
    """
    with path.open("rb") as stream:
        header = stream.read(HEADER_BYTES)
    if len(header) < HEADER_BYTES:
        raise InputError(f"{path.name} is cut off, or no MRC file: it ends inside its header")
    if header[MACHINE_STAMP_AT : MACHINE_STAMP_AT + 2] == BIG_ENDIAN_STAMP:
        raise InputError(
            f"{path.name} is a big-endian MRC file, which RosettaSciIO does not read; "
            "convert it to little-endian or to TIFF first"
        )


def has_signed_bytes(path: Path) -> bool:
    """Return whether the bytes of a file in mode 0 are signed.

    They are since MRC2014 (Cheng et al., J. Struct. Biol. 192 (2015) 146), and where IMOD says
    so; in older files they are not.
    """
    with path.open("rb") as stream:
        header = stream.read(HEADER_BYTES)
    (mode,) = struct.unpack_from("<i", header, MODE_AT)
    (version,) = struct.unpack_from("<i", header, VERSION_AT)
    stamp, flags = struct.unpack_from("<ii", header, IMOD_STAMP_AT)
    if mode != BYTE_MODE:
        return False
    return bool(flags & 1) if stamp == IMOD_STAMP else 20140 <= version < 21000
