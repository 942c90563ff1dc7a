"""Owns what the service answers: its models as OpenAPI shows them, and how a reading becomes one. Knows no HTTP."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

from deploy.rest.problems import Problem
from deploy.rest.reader import Reading
from edge.core.bundle import Bundle

Said = Literal["amount", "unsure", "several", "no note"]


class Answer(BaseModel):
    """What a device would say to one picture."""

    name: str = Field("", description="the file's name, as it was sent")
    verdict: Said | None = Field(
        None,
        description="amount: it says the amount; unsure: it says that it is not sure; several: that there is more than "
        "one note; no note: it says nothing. null: the picture cannot be read, see problem",
        examples=["amount"],
    )
    amount: str | None = Field(None, description="of verdict amount alone, a decimal number", examples=["500"])
    currency: str | None = Field(None, description="of the amount, ISO 4217", examples=["INR"])
    confidence: float | None = Field(None, ge=0, le=1, description="fused probability; null for no note")
    said: str | None = Field(
        None, description="the sentence a device speaks; null for silence", examples=["500 rupees"]
    )
    scores: dict[str, float] | None = Field(None, description="fused probability of each label; not a decision")
    problem: Problem | None = Field(None, description="why this picture cannot be read, where there are several")


class Known(BaseModel):
    """A bundle that the service judges with."""

    name: str = Field(examples=["inr"])
    version: str = Field(examples=["0.5.0"])
    digest: str = Field(description="the bundle's identity, SHA-256")
    currency: str = Field(examples=["INR"])
    amounts: list[str] = Field(examples=[["10", "20", "50", "100", "200", "500", "2000"]])


class Answers(BaseModel):
    """One answer for each picture, in the order in which they were sent."""

    request_id: str
    bundles: list[str] = Field(description="name and version of each bundle", examples=[["inr 0.5.0"]])
    answers: list[Answer]


class Bundles(BaseModel):
    """What the service knows."""

    bundles: list[Known]


class State(BaseModel):
    """How the service does."""

    status: Literal["ok", "ready", "draining"]


def answer(name: str, reading: Reading) -> Answer:
    """What is told of a reading."""
    spoken = reading.said != ""
    return Answer.model_validate(
        {
            "name": name,
            "verdict": reading.verdict,
            "amount": reading.amount or None,
            "currency": reading.currency or None,
            "confidence": min(1.0, max(0.0, reading.confidence)) if spoken else None,
            "said": reading.said or None,
            "scores": reading.scores or None,
            "problem": None,
        }
    )


def known(bundle: Bundle) -> Known:
    """What is told of a bundle."""
    manifest = bundle.manifest
    return Known(
        name=manifest.name,
        version=manifest.version,
        digest=manifest.digest,
        currency=manifest.currency,
        amounts=list(bundle.denominations),
    )
