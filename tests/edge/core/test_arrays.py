from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.core import arrays

PICTURES = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
LOGITS = np.linspace(-1, 1, 6, dtype=np.float32).reshape(2, 3)


def packed(**members: Any) -> bytes:
    file = io.BytesIO()
    np.savez_compressed(file, **members)
    return file.getvalue()


@pytest.mark.parametrize("pictures", [PICTURES, np.asfortranarray(PICTURES), PICTURES[0, 0, 0], PICTURES[:0]])
def test_what_numpy_packed_is_unpacked(pictures: np.ndarray[Any, Any]) -> None:
    found = arrays.unpack(packed(a=pictures, b=LOGITS, c=LOGITS), ("a", "b"), 1000)
    assert list(found) == ["a", "b"]
    assert np.array_equal(found["a"], pictures)
    assert np.array_equal(found["b"], LOGITS)
    assert {found["a"].dtype, found["b"].dtype} == {np.dtype(np.uint8), np.dtype(np.float32)}


def test_both_together_may_be_no_larger_than_allowed() -> None:
    data = packed(a=PICTURES, b=LOGITS)
    arrays.unpack(data, ("a", "b"), 48)
    with pytest.raises(ValueError, match="b is larger than may be"):
        arrays.unpack(data, ("a", "b"), 47)


def test_a_name_that_is_missing_and_a_wrong_checksum_are_refused() -> None:
    with pytest.raises(ValueError, match=r"x\.npy"):
        arrays.unpack(packed(a=PICTURES), ("x",), 100)
    file = io.BytesIO()
    np.savez(file, a=PICTURES)
    data = bytearray(file.getvalue())
    data[data.index(PICTURES.tobytes())] ^= 1
    with pytest.raises(ValueError, match="CRC"):
        arrays.unpack(bytes(data), ("a",), 100)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_whatever_was_damaged_is_refused_or_as_it_was(data: st.DataObject) -> None:
    whole = packed(a=PICTURES, b=LOGITS)
    broken = bytearray(whole[: data.draw(st.integers(0, len(whole)) | st.just(len(whole)))])
    for place in data.draw(st.lists(st.integers(0, max(0, len(broken) - 1)), max_size=4)):
        if broken:
            broken[place] = data.draw(st.integers(0, 255))
    try:
        found = arrays.unpack(bytes(broken), ("a", "b"), 10_000)
    except ValueError:
        return
    assert sum(array.nbytes for array in found.values()) <= 10_000
