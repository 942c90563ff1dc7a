"""Owns the one error of the trainer: what the person who trains can mend, in one sentence."""

from __future__ import annotations


class TrainingError(Exception):
    """The photographs, the weights or the options do not allow training; `str()` names the file or option."""
