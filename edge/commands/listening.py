"""Owns the listening test: sounds that tell whoever sets the device up whether the beginning of words is swallowed.

A card that sleeps loses the first tenths of a second, so everything begins with a tone at full strength from its very
first sample: who hears no tone before "one" has such a card. It is played twice, the second time after a silence in
which a card that can fall asleep does. Then the amounts, as they will be heard.
"""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Iterator, Sequence

import numpy as np

from edge.commands.shell import add_bundle, configured, loader, put
from edge.core.bundle import Bundle
from edge.core.errors import EXIT_OK
from edge.core.messages import Pcm
from edge.core.speech import Speech
from edge.devices import open_engine, open_speaker, open_synth
from edge.drivers.clock import SystemClock
from edge.ports import Clock, Speaker, Synth
from edge.settings import Config

TONE_S, TONE_HZ, LOUDNESS = 0.12, 880, 9000
GAP_S = 0.05  # between tone and words
ASLEEP_S = 8.0  # of silence
COUNT = "1, 2, 3"  # read in the language of the voice


def arguments(parser: argparse.ArgumentParser) -> None:
    """What it takes."""
    add_bundle(parser)


def run(options: argparse.Namespace) -> int:
    """Play the test through the configured card."""
    config = configured(options)
    loaded = loader(options)(config, lambda bundle: open_engine(config, bundle))
    for _, engine in loaded:
        engine.close()
    chosen = [bundle for bundle, _ in loaded]
    synth, speaker = open_synth(config.voice), open_speaker(config.voice)
    for line in play(config, chosen, synth, speaker, SystemClock()):
        put(line)
    return EXIT_OK


def play(
    config: Config,
    chosen: Sequence[Bundle],
    synth: Synth,
    speaker: Speaker,
    clock: Clock,
    *,
    asleep_s: float = ASLEEP_S,
) -> Iterator[str]:
    """Play the test; a line before each sound says what should be heard."""
    language = config.voice.language
    speech = Speech(language, chosen[0].manifest.currency)
    count = begun_by_tone(synth.render(COUNT, language))
    with contextlib.closing(speaker):
        yield "1. You should hear a short high tone, then: one, two, three."
        _play(speaker, count)
        yield f"2. Now {asleep_s:.0f} seconds of silence, and then the same again."
        clock.sleep(asleep_s)
        _play(speaker, count)
        for text in (speech.amount(a, currency=b.manifest.currency) for b in chosen for a in b.denominations):
            yield f"   {text}"
            _play(speaker, synth.render(text, language))
    yield "No tone, or a shorter one the second time: the card swallows the beginning of what is said."
    yield "Use another card or the headphone socket; see Sound in docs/hardware.md."


def begun_by_tone(words: Pcm) -> Pcm:
    """`words` after a tone that begins at full strength, in one piece."""
    t_s = np.arange(int(TONE_S * words.rate_hz)) / words.rate_hz
    tone = LOUDNESS * np.cos(2 * np.pi * TONE_HZ * t_s)
    gap = np.zeros(int(GAP_S * words.rate_hz))
    return Pcm(np.concatenate([tone, gap, words.samples]).astype(np.int16), words.rate_hz)


def _play(speaker: Speaker, sound: Pcm) -> None:
    speaker.play(sound)
    speaker.wait(sound.seconds + 2)
