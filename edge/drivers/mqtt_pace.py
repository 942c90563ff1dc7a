"""Owns how long to wait after a connection has ended, and who ended it as far as can be told; knows no network.

    an end like any other          at once, then longer each time, up to `PLAIN_S`
    another device of our name     longer each time, up to `TAKEN_S`: two that come back at once throw each other
                                   out for ever
    a broker that sends what was   `UNASKED_S`: it is broken, or means us no good
    never asked for

MQTT 5 says that somebody of our name has come. Under 3.1.1 the broker only hangs up: again and again, and yet lets us
in at once each time, which one that restarts does not. A single message that it hangs up on looks the same, but is the
same each time.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

from edge.core import backoff
from edge.drivers.mqtt_link import Ending

AT_ONCE_S = (0.05, 0.05)  # after a connection that was of use: a broker that restarts is still away then
PLAIN_S = (1.0, 20.0)
TAKEN_S = (5.0, 300.0)
SEEMS_TAKEN_S = (5.0, 120.0)
UNASKED_S = (60.0, 3600.0)
HANG_UPS = 3  # in a row: that is no chance any more
SHORT_S = 120.0  # a connection that lived longer was not thrown out by a device that came back at once
STEADY_S = 600.0  # longer than any pause of the other device: then the dispute is over


class Pace:
    """Hears of each end of a connection and gives the pause before the next."""

    def __init__(self) -> None:
        self.taken_over = 0  # times that another device threw us out
        self.disputed = False  # another device of our name is about
        self.certain = False  # the broker has said so
        self._hang_ups = 0  # in a row
        self._blamed: object = None  # the message that the broker hung up on last
        self._plain = _delays(PLAIN_S)
        self._taken = _delays(SEEMS_TAKEN_S)
        self._unasked = _delays(UNASKED_S)

    def after(self, ending: Ending) -> float:
        """Seconds to wait."""
        if ending.lived_s >= STEADY_S or not (ending.up or self.certain):
            self._settle()
        if ending.taken_over:
            self._is_certain()
        elif self._is_another_hang_up(ending):
            self._hang_ups += 1
            self._suspect()
        else:
            self._hang_ups = 0
        return self._pause_s(ending)

    def _pause_s(self, ending: Ending) -> float:
        if ending.unasked:
            return next(self._unasked)
        if self.disputed and ending.up:
            return next(self._taken)
        if ending.answered:
            self._plain = _delays(PLAIN_S)
            return next(_delays(AT_ONCE_S))
        return next(self._plain)

    def _settle(self) -> None:
        """The broker was away, or has kept us for long: nobody throws us out."""
        self.disputed = self.certain = False
        self._taken = _delays(SEEMS_TAKEN_S)

    def _is_certain(self) -> None:
        self.taken_over += 1
        if not self.certain:
            self._taken = _delays(TAKEN_S)
        self.disputed = self.certain = True

    def _is_another_hang_up(self, ending: Ending) -> bool:
        """Not of one message, and soon after we were let in."""
        if not ending.hung_up or ending.refused or ending.lived_s >= (STEADY_S if self.disputed else SHORT_S):
            return False
        again = ending.unanswered is not None and ending.unanswered == self._blamed
        self._blamed = ending.unanswered
        return not again

    def _suspect(self) -> None:
        if self.disputed:
            self.taken_over += 1
        elif self._hang_ups >= HANG_UPS:
            self.taken_over += self._hang_ups
            self.disputed = True


def _delays(first_and_cap_s: tuple[float, float]) -> Iterator[float]:
    return backoff.delays(*first_and_cap_s, random=random.random)
