"""Owns how many pictures a client may send: a bucket of tokens each. Reads no clock, and remembers so many clients."""

from __future__ import annotations

from collections import OrderedDict

CLIENTS_MAX = 10_000  # remembered; of more, the one that was still for longest begins anew


class Rate:
    """So many a second, so many at once; 0 a second: no limit."""

    def __init__(self, per_s: float, burst: int) -> None:
        self._per_s, self._burst = per_s, burst
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()  # tokens, and when they were counted

    def take(self, client: str, now_s: float, count: int = 1) -> float:
        """Take `count` tokens; seconds to wait where there are too few, 0 where they were taken.

        What is more than a bucket can hold costs a full one.
        """
        if not self._per_s:
            return 0.0
        wanted = min(count, self._burst)
        tokens, then_s = self._buckets.pop(client, (float(self._burst), now_s))
        tokens = min(self._burst, tokens + max(0.0, now_s - then_s) * self._per_s)
        enough = tokens >= wanted
        self._buckets[client] = tokens - wanted if enough else tokens, now_s
        if len(self._buckets) > CLIENTS_MAX:
            self._buckets.popitem(last=False)
        return 0.0 if enough else (wanted - tokens) / self._per_s
