"""Owns how the service says no: problem details as RFC 9457 has them, one sentence each. Knows no route."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus

from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

MEDIA_TYPE = "application/problem+json"


class Problem(BaseModel):
    """Problem details of RFC 9457."""

    type: str = Field("about:blank", description="no more is known of it than its status says")
    title: str = Field(examples=["Unsupported Media Type"])
    status: int = Field(examples=[415])
    detail: str = Field(examples=["the picture is a GIF, which saynote does not read: save it as JPEG"])
    instance: str = Field("", description="the request's id, as a URN", examples=["urn:saynote:request:5f0c2c9f"])


class ProblemError(Exception):
    """Ends a request with this status and sentence."""

    def __init__(self, status: HTTPStatus, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status, self.detail, self.headers = status, detail, dict(headers or {})

    def as_problem(self, request_id: str) -> Problem:
        """What the client is told."""
        return describe(self.status, self.detail, request_id)


def describe(status: HTTPStatus, detail: str, request_id: str) -> Problem:
    """The details of one failure."""
    instance = f"urn:saynote:request:{request_id}"
    return Problem(type="about:blank", title=status.phrase, status=status, detail=detail, instance=instance)


def respond(error: ProblemError, request_id: str) -> JSONResponse:
    """The response for it."""
    body = error.as_problem(request_id).model_dump()
    return JSONResponse(body, error.status, error.headers, media_type=MEDIA_TYPE)
