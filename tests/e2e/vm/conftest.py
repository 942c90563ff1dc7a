"""What is slow and wants root runs only where it is asked for by its mark: `make e2e-arm`, `make e2e-device`."""

from __future__ import annotations

import pytest

MARKS = ("e2e_arm", "e2e_device")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    asked = str(config.getoption("markexpr"))
    unasked = [item for item in items for mark in MARKS if item.get_closest_marker(mark) and mark not in asked]
    if unasked:
        config.hook.pytest_deselected(items=unasked)
        items[:] = [item for item in items if item not in unasked]
