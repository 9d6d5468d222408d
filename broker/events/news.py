"""Tell listeners that something changed: after the commit, best effort, never the truth itself.

`publish` names an object; whoever cares reads the object again. Subscribers in this process are called
directly and must be quick; browsers get it over the channel layer's group "news".
"""

import logging
from collections import defaultdict
from collections.abc import Callable
from typing import Any

from channels.layers import get_channel_layer
from django.db import transaction

from .outbox import GROUP, OUTBOX, message_of

log = logging.getLogger(__name__)
_subscribers: dict[str, list[Callable[[str, str], None]]] = defaultdict(list)


def subscribe(kind: str) -> Callable[[Callable[[str, str], None]], Callable[[str, str], None]]:
    """Decorator: call the function with (id, change) for news of `kind`."""

    def register(function: Callable[[str, str], None]) -> Callable[[str, str], None]:
        _subscribers[kind].append(function)
        return function

    return register


def publish(kind: str, id: Any, change: str = "changed") -> None:
    """Announce on commit that object `id` of `kind` changed."""
    transaction.on_commit(lambda: _deliver(kind, str(id), change), robust=True)


def _deliver(kind: str, id: str, change: str) -> None:
    for function in _subscribers[kind]:
        try:
            function(id, change)
        except Exception:
            log.exception("A subscriber to %s failed; its reconciler will make up for it", kind)
    layer = get_channel_layer()
    if hasattr(layer, "send_from_anywhere"):
        layer.send_from_anywhere(GROUP, message_of([(kind, id, change)]))
    elif layer is not None:
        OUTBOX.send((kind, id, change))
