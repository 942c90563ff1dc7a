"""Owns the routes of the service and what OpenAPI says of them. Who judges, and where, is handed in.

Pictures go a way of their own, past the layers of the framework, which cost as much as all else that HTTP does to them.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, TypeAlias

from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from deploy.rest import body
from deploy.rest.answers import Answer, Answers, Bundles, State, answer, known
from deploy.rest.collect import Collection
from deploy.rest.gate import Gate, context
from deploy.rest.metrics import MEDIA_TYPE, Metrics
from deploy.rest.pool import BusyError, Judge
from deploy.rest.problems import MEDIA_TYPE as PROBLEM_TYPE
from deploy.rest.problems import Problem, ProblemError, describe, respond
from deploy.rest.rate import Rate
from deploy.rest.reader import OtherFormatError, Reading, TooLargeError, UnreadError
from deploy.rest.settings import Settings
from edge import __version__

Classify: TypeAlias = Callable[[Request], Awaitable[Response]]

CLASSIFY = "/v1/classify"
BINARY = {"schema": {"type": "string", "format": "binary"}}
FILES = {"type": "object", "required": ["picture"], "properties": {
    "picture": {"type": "array", "minItems": 1, "items": {"type": "string", "format": "binary"}}}}  # fmt: skip
PICTURES = {
    "requestBody": {
        "required": True,
        "description": "One picture as it is, or one or more as the files of a form, whatever their fields are called. "
        "Its content says what it is: JPEG, PNG or WebP.",
        "content": dict.fromkeys(body.RAW_TYPES, BINARY) | {body.MULTIPART: {"schema": FILES}},
    }
}
EXAMPLE = {
    "request_id": "5f0c2c9f6d0f4c5e9b0a4a7d3c1b2a90",
    "bundles": ["inr 0.5.0"],
    "answers": [
        {"name": "", "verdict": "amount", "amount": "500", "currency": "INR", "confidence": 0.998,
         "said": "500 rupees", "scores": {"500": 0.998, "background": 0.001}, "problem": None}
    ],
}  # fmt: skip
UNSURE = {**EXAMPLE, "answers": [
    {"name": "a.jpg", "verdict": "unsure", "amount": None, "currency": None, "confidence": 0.71,
     "said": "Not sure, turn the note", "scores": {"20": 0.71, "200": 0.28}, "problem": None},
    {"name": "b.jpg", "verdict": "no note", "amount": None, "currency": None, "confidence": None, "said": None,
     "scores": {"background": 0.99}, "problem": None}]}  # fmt: skip


def _problems(*statuses: HTTPStatus) -> dict[int | str, dict[str, Any]]:
    return {
        int(status): {
            "description": status.phrase,
            "model": Problem,
            "content": {PROBLEM_TYPE: {"example": {"type": "about:blank", "title": status.phrase, "status": status,
                                                   "detail": "why", "instance": "urn:saynote:request:5f0c2c9f"}}},
        }
        for status in statuses
    }  # fmt: skip


OF_ANY_REQUEST = HTTPStatus.BAD_REQUEST, HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
AT_THE_DOOR = _problems(
    *OF_ANY_REQUEST, HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.MISDIRECTED_REQUEST,
    HTTPStatus.INTERNAL_SERVER_ERROR,
)  # fmt: skip
OF_PICTURES = _problems(
    HTTPStatus.BAD_REQUEST, HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE, HTTPStatus.UNPROCESSABLE_ENTITY, HTTPStatus.TOO_MANY_REQUESTS,
    HTTPStatus.SERVICE_UNAVAILABLE,
)  # fmt: skip


@dataclass
class Service:
    """The application and what belongs to it."""

    gate: Gate  # to be served
    metrics: Metrics
    api: FastAPI


def build(settings: Settings, judge: Judge) -> Service:
    """The service; `judge` is closed with it. Raises HardwareError where pictures are to be kept and cannot."""
    budget = body.Budget(settings.bodies_most_bytes)
    metrics = Metrics(judge.bundles(), judge.waiting, lambda: budget.taken)
    collection = None
    if settings.collect:
        collection = Collection(
            settings.collect, judge.bundles(), max_mb=settings.collect_mb, keep_days=settings.collect_days,
            told=lambda kept: metrics.collected.labels("yes" if kept else "no").inc(),
        )  # fmt: skip

    @contextlib.asynccontextmanager
    async def life(_: FastAPI) -> AsyncIterator[None]:
        yield
        await judge.close()
        if collection:
            collection.close()

    api = FastAPI(
        title="saynote", version=__version__, lifespan=life, docs_url=None, redoc_url=None,
        description="What a saynote device would say to a photograph: an amount, that it is not sure, that there is "
        "more than one note, or nothing. It does not tell genuine notes from counterfeits.",
    )  # fmt: skip
    straight = _Straight(api)
    rate = Rate(settings.pictures_per_s, settings.burst)
    service = Service(Gate(straight, settings.keys, rate, metrics), metrics, api)
    for kind in (*FORESEEN, Exception):
        api.add_exception_handler(kind, _tell)
    _add_state(service)
    straight.classify = _add_judging(service, settings, judge, budget, collection)
    return service


class _Straight:
    """The application, with a straight way for pictures: the same answers and problems as by its own."""

    classify: Classify

    def __init__(self, api: FastAPI) -> None:
        self._api = api

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "POST" or scope["path"] != CLASSIFY:
            await self._api(scope, receive, send)
            return
        context(scope)["route"] = CLASSIFY
        request = Request(scope, receive)
        try:
            response = await self.classify(request)
        except Exception as error:
            await _tell(request, error)(scope, receive, send)
            if not isinstance(error, FORESEEN):
                raise  # into the log
        else:
            await response(scope, receive, send)


def _add_state(service: Service) -> None:
    api = service.api

    @api.get("/healthz", operation_id="healthz", summary="Whether it lives", responses=_problems(*OF_ANY_REQUEST))
    async def healthz() -> State:
        return State(status="ok")

    @api.get("/readyz", operation_id="readyz", summary="Whether new requests are welcome",
             responses=_problems(*OF_ANY_REQUEST, HTTPStatus.SERVICE_UNAVAILABLE))  # fmt: skip
    async def readyz() -> State:
        if service.gate.draining:
            raise ProblemError(HTTPStatus.SERVICE_UNAVAILABLE, "it ends, once what it has begun is done")
        return State(status="ready")

    @api.get("/metrics", operation_id="metrics", summary="For Prometheus", response_class=Response,
             responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}, **AT_THE_DOOR})  # fmt: skip
    async def metrics() -> Response:
        return Response(service.metrics.page(), media_type=MEDIA_TYPE)


def _add_judging(
    service: Service, settings: Settings, judge: Judge, budget: body.Budget, collection: Collection | None
) -> Classify:
    api = service.api
    names = [f"{bundle.manifest.name} {bundle.manifest.version}" for bundle in judge.bundles()]

    @api.get("/v1/bundles", operation_id="bundles", summary="What it knows", responses=AT_THE_DOOR)
    async def bundles() -> Bundles:
        return Bundles(bundles=[known(bundle) for bundle in judge.bundles()])

    examples = {"an amount": {"value": EXAMPLE}, "two that it does not say": {"value": UNSURE}}
    well: dict[int | str, dict[str, Any]] = {200: {"content": {"application/json": {"examples": examples}}}}

    @api.post(CLASSIFY, operation_id="classify", summary="What a device would say to pictures", response_model=Answers,
              openapi_extra=PICTURES, responses=well | OF_PICTURES | AT_THE_DOOR)  # fmt: skip
    async def classify(request: Request) -> Response:
        found = context(request.scope)
        with budget.share() as share:
            pictures = await body.pictures(request, settings, share)
            service.gate.charge(found["client"], len(pictures))
            readings = await judge.judge([data for _, data in pictures])
        alone = len(pictures) == 1
        answers = [
            _told(service, name, reading, found["request_id"], alone=alone)
            for (name, _), reading in zip(pictures, readings, strict=True)
        ]
        for reading in readings:
            if collection and isinstance(reading, Reading):
                collection.offer(reading)
        told = Answers(request_id=found["request_id"], bundles=names, answers=answers)
        return Response(told.model_dump_json(), media_type="application/json")

    return classify


def _told(service: Service, name: str, reading: Reading | Exception, request_id: str, *, alone: bool) -> Answer:
    """What is told of one picture. Raises ProblemError for the only one of a request, and what is not its fault."""
    if isinstance(reading, Reading):
        service.metrics.pictures.labels(reading.verdict).inc()
        service.metrics.stages.labels("decode").observe(reading.decode_ms / 1e3)
        service.metrics.stages.labels("judge").observe(reading.judge_ms / 1e3)
        return answer(name, reading)
    if not isinstance(reading, UnreadError):
        raise reading
    service.metrics.pictures.labels("unread").inc()
    status = {
        OtherFormatError: HTTPStatus.UNSUPPORTED_MEDIA_TYPE, TooLargeError: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    }.get(type(reading), HTTPStatus.UNPROCESSABLE_ENTITY)  # fmt: skip
    if alone:
        raise ProblemError(status, f"the picture {reading}")
    problem = describe(status, f"the picture {reading}", request_id)
    return Answer.model_validate({"name": name, "problem": problem})


FORESEEN = (ProblemError, BusyError, HTTPException, ClientDisconnect)


def _tell(request: Request, error: Exception) -> Response:
    """Whatever fails is told as a problem."""
    return respond(_problem(error), context(request.scope)["request_id"])


def _problem(error: Exception) -> ProblemError:
    if isinstance(error, ProblemError):
        return error
    if isinstance(error, BusyError):
        return ProblemError(HTTPStatus.SERVICE_UNAVAILABLE, str(error), {"Retry-After": str(error.retry_after_s)})
    if isinstance(error, HTTPException):
        status = HTTPStatus(error.status_code)
        known = {404: "there is no such page", 405: "that is not done to this page"}
        return ProblemError(status, known.get(status, status.phrase.lower()), error.headers)
    if isinstance(error, ClientDisconnect):
        return ProblemError(HTTPStatus.BAD_REQUEST, "the request was cut off")
    return ProblemError(HTTPStatus.INTERNAL_SERVER_ERROR, "something unforeseen happened; it stands in the log")
