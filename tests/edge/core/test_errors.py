from __future__ import annotations

import pickle
import re

import pytest

from edge.core import errors
from edge.core.errors import BundleError, ConfigError, EdgeError, HardwareError, Reason, TransientError

TREE = [
    ConfigError(["a is wrong", "b is wrong"]),
    BundleError("damaged"),
    HardwareError("camera", Reason.BUSY, "another program"),
    TransientError("no answer"),
]


@pytest.mark.parametrize("error", TREE, ids=lambda error: type(error).__name__)
def test_the_tree_at_the_top_of_the_file_is_the_tree(error: EdgeError) -> None:
    [code] = re.findall(rf"{type(error).__name__}\s+\w+\s+(\d+)", errors.__doc__ or "")
    assert error.exit_code == int(code)


def test_each_branch_has_its_own_exit_code_and_is_what_a_caller_expects() -> None:
    assert len({error.exit_code for error in TREE}) == len(TREE)
    for error, builtin in zip(TREE, (ValueError, ValueError, OSError, ConnectionError), strict=True):
        assert isinstance(error, builtin)


def test_trying_again_helps_neither_configuration_nor_bundle_nor_a_wrong_call() -> None:
    assert set(errors.PERMANENT_EXIT_CODES) == {errors.EXIT_USAGE, ConfigError.exit_code, BundleError.exit_code}


def test_an_error_is_one_sentence() -> None:
    assert [str(error) for error in TREE] == [
        "a is wrong; b is wrong",
        "damaged",
        "camera busy: another program",
        "no answer",
    ]


def test_a_broken_pipe_is_not_taken_for_a_broker_that_does_not_answer() -> None:
    assert not issubclass(BrokenPipeError, EdgeError)


def test_a_plain_error_can_be_kept() -> None:
    assert str(pickle.loads(pickle.dumps(BundleError("damaged")))) == "damaged"
