"""Owns how long to wait before trying again; knows neither what is tried nor the time.

The one helper for every retry of a transient failure: exponential, with jitter, with a cap.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator


def delays(
    first_s: float = 0.5, cap_s: float = 60.0, *, random: Callable[[], float], factor: float = 2.0
) -> Iterator[float]:
    """Seconds to wait before each next attempt, without end; begin a new one after a success.

    Each lies between half of its ceiling and the whole: never a hot loop, and a fleet that lost its broker at
    one moment does not come back at one moment. `random` gives numbers in [0, 1), as `random.random` does.
    """
    if not 0 < first_s <= cap_s or factor < 1:
        raise ValueError(f"back-off needs 0 < first_s <= cap_s and factor >= 1, not {first_s}, {cap_s}, {factor}")
    ceiling_s = first_s
    while True:
        yield ceiling_s * (1 + random()) / 2
        ceiling_s = min(cap_s, ceiling_s * factor)
