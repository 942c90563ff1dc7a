from __future__ import annotations

import numpy as np
import pytest

from training.errors import TrainingError
from training.learn.prepare import Prepared
from training.learn.settings import Only
from training.photos.cutout import Patch
from training.photos.material import Material

PIXELS, MASK = np.zeros((8, 16, 3), np.uint8), np.full((8, 16), 255, np.uint8)
CUT, WHOLE = Patch(PIXELS, MASK, exact=True), Patch(PIXELS, MASK, exact=False)


def prepared(notes: dict[str, dict[str, list[Patch]]]) -> Prepared:
    material = Material(notes, [PIXELS], [], [])
    none = np.zeros((0, 32, 32, 3), np.uint8)
    nothing = none, none, np.zeros(0, np.int64)
    return Prepared(material, (*notes, "background", "several"), *nothing, material, "d", {}, ("anna",), "by hand")


def test_one_kind_of_notes_is_kept_and_nothing_else_changes() -> None:
    both = prepared({"5": {"anna": [WHOLE, WHOLE], "anna cut": [CUT]}, "10": {"anna": [WHOLE], "anna cut": [CUT]}})
    cut, whole = both.of(Only.CUT_OUTS), both.of(Only.PHOTOGRAPHS)
    assert cut.material.notes == {"5": {"anna cut": [CUT]}, "10": {"anna cut": [CUT]}}
    assert whole.material.notes == {"5": {"anna": [WHOLE, WHOLE]}, "10": {"anna": [WHOLE]}}
    assert cut.held_material is whole.held_material is both.held_material
    assert cut.material.backgrounds is both.material.backgrounds


def test_a_denomination_without_notes_of_that_kind_is_named() -> None:
    with pytest.raises(TrainingError, match="there are no cut-outs of 10"):
        prepared({"5": {"anna cut": [CUT]}, "10": {"anna": [WHOLE]}}).of(Only.CUT_OUTS)
