from __future__ import annotations

import logging
import os
import sys
import warnings

import pytest

from training.errors import TrainingError
from training.phone.converters import quiet, require


def test_nothing_that_a_converter_says_is_heard_in_any_way_and_all_that_comes_after_is(
    capfd: pytest.CaptureFixture[str],
) -> None:
    with quiet():
        os.write(1, b"from C++\n")
        os.write(2, b"from C++\n")
        sys.stdout.write("from Python\n")
        sys.stderr.write("from Python\n")
        warnings.warn("from Python", stacklevel=1)
        logging.getLogger("coremltools").warning("from Python")
    sys.stdout.write("result\n")
    sys.stderr.write("progress\n")
    logging.getLogger("saynote").warning("heard again")
    told = capfd.readouterr()
    assert told.out == "result\n"
    assert "progress" in told.err
    assert "from" not in told.out + told.err


def test_an_exception_comes_through_with_the_terminal_as_it_was(capfd: pytest.CaptureFixture[str]) -> None:
    def converter() -> None:
        with quiet():
            os.write(2, b"pages of talk\n")
            raise ValueError("too deep")

    with pytest.raises(ValueError, match="too deep"):
        converter()
    os.write(2, b"heard\n")
    assert capfd.readouterr().err == "heard\n"
    assert logging.root.manager.disable == 0


def test_what_is_not_installed_is_named_all_at_once() -> None:
    require("--onnx", "json", "numpy")
    with pytest.raises(TrainingError, match=r"--onnx needs nowhere_1 and nowhere_2, not installed here: pip install"):
        require("--onnx", "nowhere_1", "json", "nowhere_2")
