"""Owns how arrays are read from an .npz archive that may be damaged or foreign: what it promises is looked at first.

The header of a tiny archive can promise a terabyte, and its data unpack to one. Nothing is unpacked beyond what the
caller allows, and nothing is executed: arrays of objects are refused. It must not know what the arrays mean.
"""

from __future__ import annotations

import io
import math
import struct
import zipfile
import zlib
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from edge.core.line import brief

END = struct.Struct("<4s4H2LH")  # the archive's last record
END64_BYTES = 20  # of the record before it, where an archive is larger than any of ours
DIRECTORY_MOST_BYTES = 4096  # of names in the archive: two arrays need 120
PLAIN = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # the others unpack more than they are asked for
KINDS = "biuf"  # of numbers
DAMAGE = (
    *(OSError, ValueError, KeyError, TypeError, EOFError, RuntimeError, RecursionError, MemoryError, SyntaxError),
    *(OverflowError, IndexError, AttributeError, zipfile.BadZipFile, zlib.error, struct.error),
)  # what zipfile and numpy make of damage


def unpack(packed: bytes, names: tuple[str, ...], most_bytes: int) -> dict[str, NDArray[Any]]:
    """The arrays `names` of an .npz archive, together no larger than `most_bytes`. Raises ValueError."""
    found = {}
    try:
        _check_directory(packed)
        with zipfile.ZipFile(io.BytesIO(packed)) as archive:
            for name in names:
                found[name] = _array(archive, name, most_bytes)
                most_bytes -= found[name].nbytes
    except DAMAGE as error:
        raise ValueError(brief(str(error), 150) or f"it is damaged ({type(error).__name__})") from error
    return found


def _check_directory(packed: bytes) -> None:
    """The list of names is read as a whole by `zipfile`, so its size is looked at before."""
    end = len(packed) - END.size
    if end < 0 or packed[end : end + 4] != b"PK\5\6" or packed[end - END64_BYTES : end].startswith(b"PK\6\7"):
        raise ValueError("it is no archive of arrays")
    size = END.unpack_from(packed, end)[5]
    if size > DIRECTORY_MOST_BYTES:
        raise ValueError("it holds more than the arrays")


def _array(archive: zipfile.ZipFile, name: str, most_bytes: int) -> NDArray[Any]:
    entry = archive.getinfo(f"{name}.npy")
    if entry.compress_type not in PLAIN:
        raise ValueError(f"{name} is packed in a way that is not known here")
    with archive.open(entry) as file:
        shape, by_columns, dtype = _header(file, name)
        size = math.prod(shape) * dtype.itemsize
        if size > most_bytes:
            raise ValueError(f"{name} is larger than may be")
        data = file.read(size)
        if len(data) != size or file.read(1):  # also what makes `zipfile` compare its checksum
            raise ValueError(f"{name} is not as long as it says")
    return np.frombuffer(data, dtype).reshape(shape, order="F" if by_columns else "C").copy()


def _header(file: IO[bytes], name: str) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    npy: Any = np.lib.format  # without types
    if npy.read_magic(file) != (1, 0):  # later versions are for headers of 64 KB and more
        raise ValueError(f"{name} has a header that is not known here")
    shape, by_columns, dtype = npy.read_array_header_1_0(file)
    if dtype.kind not in KINDS or any(length < 0 for length in shape):
        raise ValueError(f"{name} holds something other than numbers")
    return shape, by_columns, dtype
