from __future__ import annotations

import pytest

from tests.instructions.boards import (
    BEGIN,
    BOARDS,
    END,
    FRAME_INSTRUCTIONS,
    FRAME_MULTIPLY_ADDS,
    PAGE,
    PUBLISHED_MULTIPLY_ADDS,
    Board,
    estimate,
    own_instructions,
    table,
    written,
)

PI_4 = next(board for board in BOARDS if board.name == "4")


def test_the_published_network_takes_the_published_time() -> None:
    assert estimate(PI_4, PUBLISHED_MULTIPLY_ADDS, 0).inference_ms == PI_4.published_ms


def test_half_the_network_takes_half_the_time_and_two_threads_at_most_twice_that() -> None:
    found = estimate(PI_4, PUBLISHED_MULTIPLY_ADDS / 2, 0)
    assert found.whole_ms == PI_4.published_ms / 2
    assert found.slowest_ms == PI_4.published_ms


def test_what_is_ours_goes_at_half_the_pace_of_one_core() -> None:
    board = Board("one", 100.0, "")
    a_core = FRAME_INSTRUCTIONS * PUBLISHED_MULTIPLY_ADDS / FRAME_MULTIPLY_ADDS / 4
    assert estimate(board, 0, a_core).own_ms == pytest.approx(200.0)


def test_the_page_tells_what_is_reckoned_now() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert page == written(page, table()), "python -m tests.instructions.boards --write"
    assert 1e6 < own_instructions() < 1e7


def test_only_what_stands_between_the_marks_is_replaced() -> None:
    assert written(f"a\n{BEGIN}\nold\n{END}\nb\n", ["new"]) == f"a\n{BEGIN}\nnew\n{END}\nb\n"
