"""Owns what is spoken, in which language: every sentence a person can hear is made here. Knows no sound.

Amounts: the number by Babel (CLDR) and the currency's spoken name from our catalogue, which may say it better
than CLDR ("500 rupees", not "500.00 Indian rupees"); a currency without one takes CLDR's name. A part of a unit is
said as people say it, "2 euros 50" and "50 cents", where it has a name here, else as a decimal. Everything else
comes from the gettext catalogues in `edge/locale`; English stands here. `make translations` finds the texts by how
they are marked: `_("...")`, `_pair("...", "...")`, `self._count("...", "...", number)`, `gettext("...")`, with plain
literals. No other file may hold words to be spoken.

Babel is imported only by whoever needs it: a currency without a name here, part of a unit, a language's variant. What
most devices say needs none of them, and its tables are 6 MB and a tenth of the start.
"""

from __future__ import annotations

import gettext
import math
import re
from collections.abc import Iterable, Mapping
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from edge.core.errors import ConfigError, Reason
from edge.core.messages import Decision, Fault, Guidance, Hint, Recovered, Verdict
from edge.core.session import OLD_AFTER_S, Total

if TYPE_CHECKING:
    from babel import Locale

CATALOGUES = Path(__file__).resolve().parent.parent / "locale"
DOMAIN = "saynote"
SOURCE_LANGUAGE = "en"  # stands in this file and needs no catalogue
SHORTEST_UNIT = 3  # letters: shorter ones stand within many words
PLENTY = 100  # a number that every language puts with the form of "many"


def _(text: str) -> str:
    """Mark a text for the catalogues without translating it yet."""
    return text


def _pair(one: str, many: str) -> tuple[str, str]:
    """Mark a text with a plural for the catalogues without translating it yet."""
    return one, many


PHRASES = {
    "ready": _("Ready"),
    "goodbye": _("Goodbye"),
    "demonstration": _("Demonstration, play money"),
    "not genuine": _("I do not tell genuine notes from counterfeits"),
    "not sure": _("Not sure, turn the note"),
    "one note": _("One note at a time"),
    "nothing yet": _("No note yet"),
    "total none": _("Total: nothing"),
    "undone": _("Last note taken back"),
    "nothing to undo": _("Nothing to take back"),
    "confirm clear": _("Clear the total? Press once for yes"),
    "cleared": _("Total cleared"),
    "kept": _("Total kept"),
    "stopped for good": _("I cannot go on"),
    "live view": _("The live view is on"),
    "captures kept": _("Pictures of uncertain notes are being kept"),
    "long ago": _("more than a day ago"),
}

HINTS = {
    Hint.TOO_DARK: _("Too dark"),
    Hint.HOLD_STILL: _("Hold still"),
    Hint.CLOSER: _("Closer"),
    Hint.FURTHER: _("Further away"),
    Hint.LEFT: _("Left"),
    Hint.RIGHT: _("Right"),
    Hint.UP: _("Up"),
    Hint.DOWN: _("Down"),
    Hint.COVERED: _("The camera is covered"),
}

FAULTS = {
    ("camera", Reason.MISSING.value): _("No camera, I keep looking for it"),
    ("camera", Reason.BUSY.value): _("Another program uses the camera"),
    ("camera", Reason.STOPPED.value): _("The camera has stopped, I keep trying"),
    ("camera", Reason.NOT_INSTALLED.value): _("The camera software is not installed"),
    ("camera", Reason.FROZEN.value): _("The camera gives the same picture again and again"),
    ("camera", ""): _("The camera does not work"),
    ("speaker", Reason.BUSY.value): _("Another program holds the sound card"),
    ("speaker", ""): _("The sound card does not work"),
    ("button", ""): _("The button does not work"),
    ("pulses", ""): _("The pulses do not work"),
    ("light", ""): _("The light does not work"),
    ("broker", ""): _("The message broker does not answer"),
    ("outbox", ""): _("The disk is full or broken, nothing is recorded"),
    ("config", ""): _("The settings file has a mistake"),
    ("bundle", Reason.REFUSED.value): _("The model is damaged, I use the one before"),
    ("bundle", ""): _("The model is damaged, I cannot read notes"),
    ("engine", ""): _("The recogniser does not work"),
    ("web", ""): _("The live view does not work"),
    ("board", Reason.HOT.value): _("The computer is too hot and slows down"),
    ("board", Reason.WEAK.value): _("The power supply is too weak"),
    ("clock", Reason.UNSET.value): _("The clock is not set"),
    ("disk", Reason.FULL.value): _("The disk is full"),
    ("disk", ""): _("The disk cannot be written"),
    ("permissions", ""): _("A permission is missing"),
}

# Ages in which a repetition is told how old it is, in seconds: near enough, and all rendered beforehand.
AGES_S = (
    *(10, 20, 30, 45),
    *(minutes * 60 for minutes in (1, 2, 3, 5, 10, 15, 20, 30, 45)),
    *(hours * 3600 for hours in (1, 2, 3, 6, 12, 24)),
)

RECOVERED = {
    "camera": _("The camera works again"),
    "speaker": _("The sound works again"),
}

# Spoken names that are better than CLDR's, or that CLDR lacks.
CURRENCIES = {
    "INR": _pair("{number} rupee", "{number} rupees"),
    "VND": _pair("{number} dong", "{number} dong"),
    "XTS": _pair("{number} play crown", "{number} play crowns"),
}

# The part of each currency that its smallest notes and their sums may need: CLDR says how many make one, and no name.
_CENTS = _pair("{number} cent", "{number} cents")
_PAISA = _pair("{number} paisa", "{number} paisa")
_FILS = _pair("{number} fils", "{number} fils")
PARTS = {
    **dict.fromkeys(("EUR", "USD", "AUD", "CAD", "NZD", "SGD", "HKD", "ZAR"), _CENTS),
    "GBP": _pair("{number} penny", "{number} pence"),
    **dict.fromkeys(("INR", "NPR", "PKR"), _PAISA),
    **dict.fromkeys(("KWD", "BHD", "JOD", "AED"), _FILS),
    "OMR": _pair("{number} baisa", "{number} baisa"),
    "EGP": _pair("{number} piastre", "{number} piastres"),
    "XTS": _pair("{number} play cent", "{number} play cents"),
}
# Languages in which a part is said by its number alone, after the whole: "2 euros 50". Others name it.
BARE_PARTS = ("en", "es", "fr", "de", "pt", "pl")


class Speech:
    """Says things in one language; amounts are those of `currency` where no other is named."""

    def __init__(self, language: str, currency: str) -> None:
        if language not in languages() and _locale(language) is None:
            raise _unknown(language)
        self.language = language
        self.currency = currency
        self._catalogue = _catalogue(language)

    def amount(self, label: str, count: Decimal | None = None, currency: str = "") -> str:
        """The amount `label`, or a total of `count`, in words to be spoken: "500 rupees"."""
        value, currency = count if count is not None else Decimal(label), currency or self.currency
        return self._in_parts(value, currency) or self._in_units(value, currency)

    def _in_parts(self, value: Decimal, currency: str) -> str | None:
        """ "2 euros 50" or "50 cents"; None for a whole number, and where the part has no name or is none of them."""
        if value == value.to_integral_value():
            return None
        from babel.numbers import get_currency_precision

        digits = get_currency_precision(currency)
        whole, part = divmod(value.scaleb(digits), 10**digits)
        if part != int(part):
            return None
        named = PARTS.get(currency)
        rest = self._catalogue.ngettext(*named, int(part)).format(number=int(part)) if named else ""
        if whole == 0:
            return rest or None
        # Fewer digits need the name: "2 euros 5" could be 2.50.
        if re.split("[-_]", self.language)[0].lower() in BARE_PARTS and part >= 10 ** (digits - 1):
            rest = str(int(part))
        return (
            self._catalogue.gettext("{amount} {part}").format(amount=self._in_units(whole, currency), part=rest)
            if rest
            else None
        )

    def _in_units(self, value: Decimal, currency: str) -> str:
        number = self._number(value)
        if currency in CURRENCIES:
            one, many = CURRENCIES[currency]
            # Never the form of 1 or 2 for a part: some languages say those without the number.
            whole = int(value) if value == int(value) else PLENTY
            return self._catalogue.ngettext(one, many, whole).format(number=number)
        from babel.numbers import get_currency_name

        return f"{number} {get_currency_name(currency, count=float(value), locale=_locale(self.language))}"

    def _number(self, value: Decimal) -> str:
        """Digits of 0 to 9 in every script: each espeak-ng voice reads them as its own language's numbers."""
        if value >= 0 and value == value.to_integral_value():
            return str(int(value))
        from babel.numbers import format_decimal

        return str(format_decimal(value, locale=_locale(self.language), group_separator=False, numbering_system="latn"))

    def phrase(self, key: str) -> str:
        """The fixed phrase `key` of PHRASES. Raises KeyError for another."""
        return self._catalogue.gettext(PHRASES[key])

    def decision(self, decision: Decision) -> str | None:
        """What `decision` sounds like; None for silence."""
        if decision.verdict is Verdict.AMOUNT:
            return self.amount(decision.label, currency=decision.currency)
        return {
            Verdict.UNSURE: self.phrase("not sure"),
            Verdict.SEVERAL: self.phrase("one note"),
        }.get(decision.verdict)

    def guidance(self, guidance: Guidance) -> str:
        """What a hint sounds like."""
        return self._catalogue.gettext(HINTS[guidance.hint])

    def fault(self, fault: Fault) -> str:
        """What a fault sounds like: the device and what is done about it."""
        text = FAULTS.get((fault.device, fault.reason)) or FAULTS.get((fault.device, "")) or PHRASES["stopped for good"]
        return self._catalogue.gettext(text)

    def recovered(self, recovered: Recovered) -> str | None:
        """What a repair sounds like; None where nobody needs to hear of it."""
        text = RECOVERED.get(recovered.device)
        return self._catalogue.gettext(text) if text else None

    def checkup(self, problems: int, first: Fault | None) -> str:
        """What an examination found, and the first of it where there are words for it."""
        if problems == 0:
            return self._catalogue.gettext(_("Everything works"))
        count = self._count("{number} problem found", "{number} problems found", problems)
        return f"{count}. {self.fault(first)}" if first is not None else count

    def message(self, text: str) -> str:
        """A text from afar: whoever hears it must not take it for what the device has seen."""
        return self._catalogue.gettext("Message: {text}").format(text=text)

    def once_more(self, text: str, seconds_ago: float) -> str:
        """The last amount, repeated though nobody pressed: whoever hears it must not take it for another note."""
        return self._catalogue.gettext("Once more: {amount}").format(amount=self.repeated(text, seconds_ago))

    def units(self, currencies: Iterable[str]) -> set[str]:
        """The words that amounts of `currencies` are said with, in this language and in English, without the number."""
        spoken = (self, Speech(SOURCE_LANGUAGE, self.currency))
        counts = [Decimal(count) for count in ("0.05", "1", "2", "5", "100")]
        texts = [one.amount("", count, currency) for one in spoken for count in counts for currency in currencies]
        words = {word.strip(".,") for text in texts for word in text.split() if not any(map(str.isdigit, word))}
        return {word for word in words if len(word) >= SHORTEST_UNIT}

    def repeated(self, text: str, seconds_ago: float) -> str:
        """The last utterance again, with its age where that matters (over 10 s)."""
        age = self.age(seconds_ago)
        return f"{text}, {age}" if age else text

    def age(self, seconds_ago: float) -> str | None:
        """How long ago, to the nearest of the prepared `ages`; None where it does not matter (up to 10 s)."""
        if seconds_ago <= OLD_AFTER_S:
            return None
        if seconds_ago > 1.5 * 86_400:
            return self.phrase("long ago")
        return self._age(min(AGES_S, key=lambda age_s: abs(math.log(seconds_ago / age_s))))

    def ages(self) -> list[str]:
        """Every age that may be said: few enough to be rendered before they are asked for."""
        return [*(self._age(age_s) for age_s in AGES_S), self.phrase("long ago")]

    def _age(self, age_s: int) -> str:
        if age_s < 60:
            return self._count("{number} second ago", "{number} seconds ago", age_s)
        if age_s < 3600:
            return self._count("{number} minute ago", "{number} minutes ago", age_s // 60)
        return self._count("{number} hour ago", "{number} hours ago", age_s // 3600)

    def totals(self, total: Total) -> str:
        """The running total, one after the other where there are several currencies."""
        return ". ".join(self.total(one.amount, one.notes, one.currency) for one in (total, *total.others))

    def total(self, total: Decimal, notes: int, currency: str = "") -> str:
        """The running total of one currency and how many notes are in it."""
        if notes == 0:
            return self.phrase("total none")
        count = self._count("{number} note", "{number} notes", notes)
        return self._catalogue.gettext("Total: {amount}, {notes}").format(
            amount=self.amount("", total, currency), notes=count
        )

    def _count(self, one: str, many: str, number: int) -> str:
        return self._catalogue.ngettext(one, many, number).format(number=number)

    def fixed(
        self, denominations: tuple[str, ...], others: Mapping[str, tuple[str, ...]] = MappingProxyType({})
    ) -> list[str]:
        """Every text that may be said without warning, the amounts first: rendered before it is needed.

        `others`: amounts by their currency, where there are several.
        """
        texts = [self.amount(label) for label in denominations]
        texts += [self.amount(label, currency=currency) for currency, labels in others.items() for label in labels]
        texts += [self.phrase(key) for key in PHRASES]
        texts += [self._catalogue.gettext(text) for table in (HINTS, FAULTS, RECOVERED) for text in table.values()]
        return list(dict.fromkeys(texts))


def languages() -> list[str]:
    """The codes of the languages that can be spoken, English first."""
    found = CATALOGUES.glob(f"*/LC_MESSAGES/{DOMAIN}.mo")
    return [SOURCE_LANGUAGE, *sorted(path.parent.parent.name for path in found)]


def _catalogue(language: str) -> gettext.NullTranslations:
    tag = language.replace("-", "_")
    base = tag.split("_")[0]
    if base == SOURCE_LANGUAGE:
        return gettext.NullTranslations()
    try:
        return gettext.translation(DOMAIN, CATALOGUES, languages=[tag, base])
    except FileNotFoundError:
        raise _unknown(language) from None


def _locale(language: str) -> Locale | None:
    """What CLDR knows of a language; None where it does not know it."""
    from babel import Locale, UnknownLocaleError

    try:
        return Locale.parse(language, sep="-" if "-" in language else "_")
    except (ValueError, UnknownLocaleError):
        return None


def _unknown(language: str) -> ConfigError:
    from babel import Locale

    known = ", ".join(f"{code} ({Locale.parse(code).english_name})" for code in languages())
    return ConfigError([f"voice.language: {language!r} cannot be spoken; known are {known}"])
