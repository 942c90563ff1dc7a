from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import pytest

from edge.core.sums import hexadecimal, sha256

ROOT = Path(__file__).parents[3]
EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"  # FIPS 180-4


@pytest.mark.parametrize("data", [b"", b"abc", bytes(range(256)) * 5000])
def test_it_is_the_sum_that_everybody_has(data: bytes) -> None:
    assert hexadecimal(data) == sha256(data).hexdigest() == hashlib.sha256(data).hexdigest()


def test_it_is_the_sum_of_the_standard() -> None:
    assert hexadecimal(b"") == EMPTY


@pytest.mark.parametrize("missing", [[], ["_sha2", "_sha256"]])
def test_a_python_without_its_own_has_it_from_openssl(missing: list[str]) -> None:
    words = (
        f"import sys; sys.modules.update(dict.fromkeys({missing!r}))\n"
        "from edge.core.sums import hexadecimal\n"
        "print(hexadecimal(b''), 'hashlib' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", words], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [EMPTY, str(bool(missing))]
