"""Owns the service's log: one JSON object a line on standard error, whatever others put into a message.

It holds no picture, no key, no file's name and no address of a page with its query.
"""

from __future__ import annotations

import json
import logging
import sys
import time

FIELD = "fields"  # of a record: what stands beside its message


class JsonLines(logging.Formatter):
    """A record as one line."""

    def format(self, record: logging.LogRecord) -> str:
        """Time, level, logger, message, the fields, and the traceback where there is one."""
        at = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        line = {
            "time": f"{at}.{int(record.msecs):03}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **getattr(record, FIELD, {}),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line)  # ASCII alone: no sign ends the line or steers a terminal


def write_json(level: int = logging.INFO) -> None:
    """Send all that is logged in this process to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    logging.captureWarnings(True)
