"""The log: a JSON object on each line of stderr. No pixel, file name or style of a user is in it."""

from __future__ import annotations

import json
import logging
import sys
from datetime import datetime, timezone

__all__ = ["LOG", "begin_logging"]

LOG = logging.getLogger("adain_rt.serve")

_OURS = "facts"


class _AsJson(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, timezone.utc).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
            **getattr(record, _OURS, {}),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line)


def begin_logging() -> None:
    """Write what the server and its libraries say to stderr, and nothing in another form."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_AsJson())
    logging.getLogger().handlers = [handler]
    logging.getLogger("adain_rt").handlers = []  # those of the command line
    LOG.setLevel(logging.INFO)
    logging.getLogger("python_multipart").setLevel(logging.ERROR)  # it warns of each form that is not one
