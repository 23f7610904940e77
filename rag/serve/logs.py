"""One JSON object a line and a request: who, what, how long, how it ended. No question and no text, unless asked."""

from __future__ import annotations

import json
import logging
import sys
import time
import traceback
from collections.abc import Mapping
from typing import Any

logger = logging.getLogger("rag.serve")


class JsonLines(logging.Formatter):
    """A record as one line of JSON: time, level, event, and the fields that came with it."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        at = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03}Z"
        fields: Mapping[str, Any] = getattr(record, "fields", {})
        line = {"time": at, "level": record.levelname.lower(), "event": record.getMessage(), **fields}
        return json.dumps(line, ensure_ascii=False, default=str)


def write_to_stderr() -> None:
    """Send the log to standard error. For the program's start; importing does nothing."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    logger.handlers[:] = [handler]
    logger.setLevel(logging.INFO)
    logger.propagate = False


def place_of(error: BaseException) -> list[str]:
    """Where an unexpected error was raised, innermost last: file, line and function; its message could hold text."""
    frames = traceback.extract_tb(error.__traceback__)[-8:]
    return [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames]
