"""Duty: have every directory's users and groups follow it. One that is down or wrong holds up no other."""

import logging

from broker.core.errors import BerthError

from .kinds import KINDS
from .models import Directory

log = logging.getLogger(__name__)


def follow_all() -> int:
    """Look after each enabled directory; returns how many could be asked."""
    done = 0
    for directory in Directory.objects.filter(enabled=True):
        if directory.kind not in KINDS:
            continue
        try:
            KINDS.get(directory.kind).follow(directory)
            done += 1
        except BerthError as error:
            log.warning("%s: %s", directory, error)
        except Exception:
            log.exception("Following %s failed; it comes round again", directory)
    return done
