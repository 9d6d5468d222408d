"""What the sign-in page offers beside its form: providers, and tickets that the browser holds."""

from typing import Any

from .kerberos import tickets
from .providers import providers


def other_ways(*, silently: bool = False) -> dict[str, Any]:
    """For the page's context. `silently`: tickets may be tried before anybody types, for nobody was refused or left."""
    ways = tickets()
    return {"providers": providers(), "tickets": ways, "silently": silently and any(way.silent for way in ways)}
