"""Owns how other bundles come in from afar and take the place of those in use, as one run is put together for it.

What it is made of stands in `edge.installer`, `edge.companion` and `edge.succession`; here they learn of each other's
doings, and the outlets of theirs. Few devices take in anything, so what that needs is imported only then.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from edge.core.bundle import Bundle
from edge.core.messages import Arrival, Compared, InUse
from edge.core.news import News
from edge.core.pocket import Pocket, thresholds_of
from edge.core.seal import Claim
from edge.core.shelf import Shelf
from edge.devices import Parts
from edge.hub import Hub
from edge.loading import Loaded
from edge.ports import Shadow
from edge.selection import bundle_folder, configured, unfit
from edge.settings import Config, changed
from edge.succession import Succession, Terms
from edge.wiring import Kit, Supply


def supply(config: Config, state: Path) -> Supply:
    """How bundles come in: fetched, verified and tried by `edge.installer`, under the keys that the settings name."""
    keys = Path(config.model.keys)

    def install(url: str, expected: Claim | None) -> str:
        from edge import installer

        shelf, about = Shelf(state, time.time), configured(config)
        return installer.install(url, shelf, keys, about, expected=expected, runtime=config.model.runtime)

    def read_news(payload: bytes) -> News:
        from edge import installer

        return installer.read_news(payload, keys)

    return Supply(install, read_news)


def _open_shadow(config: Config, folder: Path) -> Shadow:
    from edge.companion import Companion

    return Companion(folder, config.model.runtime)


def _switched(kit: Kit, hub: Hub) -> Callable[[int, Bundle], None]:
    """Tells the outlets who looks now; called from the main loop."""
    now = list(kit.bundles)

    def tell(number: int, bundle: Bundle) -> None:
        now[number] = bundle
        told = replace(kit, bundles=tuple(now))
        hub.post(InUse(told.bundle_name, told.digest, thresholds_of(now), told.versions))

    return tell


@contextlib.contextmanager
def succession(
    config: Config, devices: Parts, loaded: Sequence[Loaded], pocket: Pocket, hub: Hub, kit: Kit
) -> Iterator[Succession]:
    """What lets installed bundles take their place while the device runs."""
    places = {
        manifest.currency: (bundle_folder(name), manifest)
        for name in config.model.bundles
        for manifest in configured(changed(config, "model", bundle=name)).values()
    }
    terms = Terms(
        config.model,
        1e3 / config.camera.frames_per_s,
        unfit=lambda bundle: unfit(config, places[bundle.manifest.currency][0], bundle),
    )
    found = Succession(
        pocket,
        loaded,
        places,
        Shelf(kit.state, devices.clock.wall_s),
        terms,
        devices.engine,
        devices.shadow or (lambda folder: _open_shadow(config, folder)),
        switched=_switched(kit, hub),
        told=lambda entry, what, why: hub.post(Arrival(entry, what, why)),
        compared=lambda entry, tally: hub.post(Compared(entry, tally)),
    )
    found.start()
    try:
        yield found
    finally:
        found.close()
