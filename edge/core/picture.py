"""Owns the making of a JPEG from pixels, for those who look at or keep a picture; knows nothing of either."""

from __future__ import annotations

import cv2

from edge.core.messages import Pixels


def jpeg(pixels: Pixels, *, quality: int, widest_px: int | None = None) -> bytes:
    """A (height, width, 3) RGB picture as JPEG, made smaller where it is wider than `widest_px`; no metadata."""
    height, width = pixels.shape[:2]
    if widest_px is not None and width > widest_px:
        size = (widest_px, max(1, round(height * widest_px / width)))
        pixels = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
    _, encoded = cv2.imencode(".jpg", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality])
    return bytes(encoded)
