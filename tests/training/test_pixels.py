from __future__ import annotations

import numpy as np
import pytest

from training.pixels import as_pixels


def test_a_picture_is_the_array_that_it_was() -> None:
    picture = np.zeros((2, 3, 3), np.uint8)
    assert as_pixels(picture) is picture


def test_what_is_not_made_of_bytes_is_no_picture() -> None:
    with pytest.raises(TypeError, match="not of float32"):
        as_pixels(np.zeros((2, 3), np.float32))
