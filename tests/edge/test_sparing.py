from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from edge import sparing

ROOT = Path(__file__).parents[2]


def said(words: str) -> str:
    """What a Python of its own prints, which has imported nothing of numpy yet."""
    done = subprocess.run([sys.executable, "-c", words], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_what_is_put_off_is_not_there_until_it_is_asked_for() -> None:
    program = (
        "import sys; from edge import sparing; sparing.import_numpy(); import numpy as np\n"
        "print('numpy.random.mtrand' in sys.modules, 'numpy.ma.core' in sys.modules, '_hashlib' in sys.modules)\n"
        "print(np.random.default_rng(0).integers(0, 10, 3).tolist(), np.ma.masked_array([1, 2], [0, 1]).sum())\n"
        "print(np.fft.fft([1, 1])[0].real, np.polynomial.Polynomial([1, 2])(3), np.ctypeslib.as_ctypes_type('i4')(7))"
    )
    assert said(program).splitlines() == ["False False False", "[8, 6, 5] 1", "2.0 7.0 c_int(7)"]


def test_a_part_that_is_imported_by_its_own_name_is_whole() -> None:
    program = (
        "from edge import sparing; sparing.import_numpy()\n"
        "from numpy.random import default_rng; import numpy.ma.core\n"
        "print(default_rng(0).integers(0, 10, 3).tolist(), numpy.ma.core.masked_array([1, 2], [0, 1]).sum())"
    )
    assert said(program) == "[8, 6, 5] 1"


def test_nothing_of_it_stays_where_imports_are_looked_for() -> None:
    assert said("import sys; before = list(sys.meta_path); from edge import sparing; sparing.import_numpy()\n"
                "print(sys.meta_path == before)") == "True"  # fmt: skip


def test_where_numpy_is_there_already_nothing_changes() -> None:
    before = list(sys.modules)
    sparing.import_numpy()
    assert list(sys.modules) == before
