"""Which recordings somebody sees."""

from django.db.models import Q, QuerySet

from broker.access.actor import Actor
from broker.access.require import own, visible_to
from broker.connections.models import Recording


def visible_recordings(actor: Actor) -> QuerySet[Recording]:
    """Those of oneself, to know that they are there, and those on whose machines one has "recording.view".

    With user and machine loaded.
    """
    granted = Q(pk__in=visible_to(actor, Recording).order_by().values("pk"))
    mine = own(actor, Q(user=actor.user_id))
    return Recording.objects.select_related("user", "vm").filter(granted | mine)
