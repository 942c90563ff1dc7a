"""Owns how a counted share is told: never without how many it is of and how sure that makes it."""

from __future__ import annotations

from dataclasses import dataclass

from scipy.stats import binomtest, chi2


@dataclass(frozen=True)
class Rate:
    """A share with its 95 % Clopper-Pearson interval."""

    count: int
    of: int
    share: float  # 0 where nothing was counted
    low: float
    high: float

    @property
    def bound(self) -> float | None:
        """The rule of three, 3/n, where nothing was found among n; else None."""
        return min(1.0, 3 / self.of) if self.of and not self.count else None

    def __str__(self) -> str:
        """For people: "0.983 (0.972 to 0.990), 590 of 600"."""
        if not self.of:
            return "none shown"
        text = f"{digits(self.share)} ({digits(self.low)} to {digits(self.high)}), {self.count} of {self.of}"
        return text if self.bound is None else f"{text}; 3/n = {digits(self.bound)}"


@dataclass(frozen=True)
class Pace:
    """Events in some hours, with the 95 % interval of their rate (exact Poisson)."""

    count: int
    hours: float
    per_hour: float
    low: float
    high: float

    @property
    def bound(self) -> float | None:
        """The rule of three, 3/hours, where nothing happened; else None."""
        return 3 / self.hours if self.hours and not self.count else None

    def __str__(self) -> str:
        """For people: "0 in 1.00 h (up to 3.69 an hour); 3/h = 3.00"."""
        text = f"{self.count} in {self.hours:.2f} h, {self.per_hour:.2f} an hour ({self.low:.2f} to {self.high:.2f})"
        return text if self.bound is None else f"{text}; 3/h = {self.bound:.2f}"


def rate(count: int, of: int) -> Rate:
    """`count` of `of` as a rate."""
    low, high = interval(count, of)
    return Rate(count, of, count / of if of else 0.0, low, high)


def interval(count: int, of: int) -> tuple[float, float]:
    """95 % Clopper-Pearson interval of a share; (0, 1) where nothing was counted."""
    if of == 0:
        return 0.0, 1.0
    found = binomtest(count, of).proportion_ci(0.95, method="exact")
    return float(found.low), float(found.high)


def pace(count: int, hours: float) -> Pace:
    """`count` events in `hours` as a rate per hour."""
    if hours <= 0:
        return Pace(count, 0.0, 0.0, 0.0, 0.0)
    low = float(chi2.ppf(0.025, 2 * count)) / 2 if count else 0.0
    high = float(chi2.ppf(0.975, 2 * count + 2)) / 2
    return Pace(count, hours, count / hours, low / hours, high / hours)


def digits(share: float) -> str:
    """A share with as many digits as tell: 0.983, but 0.0012."""
    return f"{share:.4f}" if 0 < share < 0.1 else f"{share:.3f}"
