"""Owns the service on several machines: the same application in front, readers as replicas of Ray Serve behind it.

    client -> Ray's proxy -> Front (deploy.rest.app, on the head node) -> Readers (one interpreter each, on any node)

What is asked of a reader depends on nothing but the picture, so it is asked again of another where a reader or its node
dies meanwhile: as long as the head lives, no request that was let in is lost. `build` is what `serve run` and KubeRay
import. Nothing is collected here: pictures would lie on as many machines.
"""

from __future__ import annotations

import asyncio
import logging
import math
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from ray import serve
from ray.exceptions import RayError, RayTaskError
from ray.serve.exceptions import BackPressureError, RayServeException
from ray.serve.handle import DeploymentHandle

from deploy.rest import app as application
from deploy.rest.pool import BusyError
from deploy.rest.reader import Reader, Reading, UnreadError
from deploy.rest.settings import KEY, VARIABLE, Settings, read_keys, require
from edge import selection
from edge.core import bundle as bundles
from edge.core.bundle import Bundle
from edge.core.errors import ConfigError

log = logging.getLogger(__name__)

HEAD = {"node:__internal_head__": 0.001}  # Ray's own mark of its head node
TRIES, PAUSE_S, LONGEST_PAUSE_S = 30, 0.1, 3.0  # a node that vanishes is missed after some seconds
NOT_SENT_BACK = np.zeros((1, 1, 3), np.uint8)  # pixels stay where they were read
COUNTS = ("min_replicas", "max_replicas")


@serve.deployment(ray_actor_options={"num_cpus": 1}, max_ongoing_requests=2)
class Readers:
    """One interpreter on one processor."""

    def __init__(self, settings: Settings) -> None:
        cv2.setNumThreads(1)
        self._reader = Reader(settings.bundles, settings.language, settings.most_pixels)

    def read(self, data: bytes) -> Reading | UnreadError:
        """What `Reader.read` says, without the pixels."""
        try:
            return replace(self._reader.read(data), pixels=NOT_SENT_BACK)
        except UnreadError as error:
            return error


class RayJudge:
    """Asks the readers of the cluster."""

    def __init__(self, readers: DeploymentHandle, settings: Settings) -> None:
        self._readers, self._most = readers, settings.most_waiting
        self._bundles = [bundles.read(selection.find_bundle(name)) for name in settings.bundles]
        self._taken = 0
        self._picture_s = 0.1

    def bundles(self) -> list[Bundle]:
        """What it knows."""
        return self._bundles

    def waiting(self) -> int:
        """Pictures that wait or are being judged."""
        return self._taken

    async def judge(self, pictures: Sequence[bytes]) -> list[Reading | Exception]:
        """An answer to each, or what stood in its way. Raises BusyError before any is begun."""
        if self._taken + len(pictures) > self._most:
            raise BusyError(max(1, math.ceil(self._taken * self._picture_s)))
        self._taken += len(pictures)
        try:
            return list(await asyncio.gather(*map(self._ask, pictures)))
        finally:
            self._taken -= len(pictures)

    async def close(self) -> None:
        """Nothing is its own."""

    async def _ask(self, data: bytes) -> Any:
        """Of one reader after another, until one lives to answer."""
        for turn in range(TRIES):
            try:
                return await self._readers.read.remote(data)
            except RayTaskError as error:  # the reader's own mistake: another would make it, too
                return error
            except BackPressureError:
                return BusyError(1)
            except (RayError, RayServeException) as error:
                log.warning("a reader was lost, and another is asked: %s", type(error).__name__)
                await asyncio.sleep(min(LONGEST_PAUSE_S, PAUSE_S * 2**turn))
        return RuntimeError(f"no reader answered in {TRIES} turns")


@serve.deployment(ray_actor_options={"num_cpus": 0, "resources": HEAD}, max_ongoing_requests=2048)
@serve.ingress()
class Front:
    """The application of one process, with readers elsewhere."""

    def __init__(self, readers: DeploymentHandle, settings: Settings) -> None:
        self._service = application.build(settings, RayJudge(readers, settings))

    def __serve_build_asgi_app__(self) -> Any:
        return self._service.gate


def settings_of(arguments: dict[str, str]) -> Settings:
    """What `build` was told: names as in `Settings`, `bundle` and `key_file`. Raises ConfigError."""
    plain = {name: value for name, value in arguments.items() if name not in ("bundle", "key_file", "local", *COUNTS)}
    known = Settings.__dataclass_fields__
    refused = [name for name in plain if name not in known or name in ("bundles", "keys", "collect", "host", "port")]
    if refused:
        raise ConfigError([f"{', '.join(sorted(refused))} cannot be set on a cluster"])
    values = {name: type(getattr(Settings(), name))(value) for name, value in plain.items()}
    keys = read_keys(Path(arguments["key_file"]) if "key_file" in arguments else None, os.environ)
    if not keys and arguments.get("local") != "yes":
        raise ConfigError([f"a cluster needs key_file, {VARIABLE} or the credential {KEY}: its proxies may be reached"])
    names = tuple(arguments.get("bundle", "inr").split(","))
    found = replace(Settings(), bundles=names, keys=keys, **values)
    require(found)
    return found


def build(arguments: dict[str, str]) -> Any:
    """The application for `serve run deploy.rest.onray:build bundle=inr min_replicas=1 max_replicas=8`.

    `local=yes`: without a key, for a proxy that listens to its own machine alone. Raises ConfigError.
    """
    settings = settings_of(arguments)
    least, most = (int(arguments.get(name, default)) for name, default in zip(COUNTS, ("1", "8"), strict=True))
    scaling = {
        "min_replicas": least,
        "max_replicas": most,
        "target_ongoing_requests": 1.5,
        "upscale_delay_s": 5,
        "downscale_delay_s": 120,
    }
    made: Any = (Readers, Front)  # Ray's decorators have made more of them than classes
    return made[1].bind(made[0].options(autoscaling_config=scaling).bind(settings), settings)
