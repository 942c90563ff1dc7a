"""Owns how SHA-256 is had where the first word waits for it: Python's own, without OpenSSL.

`hashlib` brings OpenSSL along, 3.5 MB that a device without TLS has no other use for. Python's `random` does the same
for its own sums, in the same words.
"""

from __future__ import annotations

try:
    from _sha2 import sha256  # type: ignore[import-not-found,unused-ignore]  # Python 3.12 and later
except ImportError:
    try:
        from _sha256 import sha256  # type: ignore[import-not-found,unused-ignore]
    except ImportError:  # a Python that was built without its own
        from hashlib import sha256

__all__ = ["hexadecimal", "sha256"]


def hexadecimal(data: bytes) -> str:
    """The SHA-256 of `data`, in 64 digits."""
    found: str = sha256(data).hexdigest()
    return found
