"""Ask a provider of OpenID Connect, whose answers are JSON."""

import json
from collections.abc import Mapping
from typing import Any

from broker.directories import https
from broker.directories.https import SECONDS, Silent

from .config import OidcConfig


class Line(https.Line):
    """All that is asked of a provider for one sign-in."""

    def __init__(self, config: OidcConfig, seconds: float = SECONDS):
        super().__init__(
            private=config.private, loopback=config.issuer.startswith("http:"), ca=config.ca, seconds=seconds
        )
        self.config = config

    def ask(
        self, url: str, *, body: str | None = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, dict[str, Any]]:
        """Status and JSON object of an answer; `body` is sent as a form by POST. Raises Silent."""
        status, content = self.fetch(url, body=body, headers={"Accept": "application/json", **(headers or {})})
        try:
            told = json.loads(content)
        except (ValueError, RecursionError):
            raise Silent(f"an answer ({status}) that is no JSON") from None
        if not isinstance(told, dict):
            raise Silent(f"an answer ({status}) that is no object")
        return status, told
