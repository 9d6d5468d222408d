"""One log line per record: time, level, logger, message; control characters made visible, so that a name
with a line break or a terminal escape in it cannot forge a line."""

import logging
import time

_CONTROL = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160)) if code not in (9, 10)}


class LineFormatter(logging.Formatter):
    """UTC timestamps; escapes control characters in the message but leaves a traceback's line breaks."""

    converter = staticmethod(time.gmtime)

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s", "%Y-%m-%dT%H:%M:%SZ")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the base class names it
        record.message = record.message.translate({**_CONTROL, 10: "\\n"})
        return super().formatMessage(record)
