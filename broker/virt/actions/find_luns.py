"""Have an iSCSI portal looked at: which targets it has, which LUNs these have, and whether somebody uses them."""

from django.db import transaction

from broker.access.actor import Actor
from broker.access.require import require
from broker.core.text import gettext_noop as N_
from broker.events.record import record
from broker.jobs.enqueue import enqueue
from broker.jobs.models import Job
from broker.virt import names, storage_secret
from broker.virt.models import Cluster
from broker.virt.storage_rules import require_chap


@transaction.atomic
def find_luns(*, actor: Actor, cluster: Cluster, portal: str, user: str = "", password: str = "") -> Job:
    """Enqueue it; the job's args name what was `found` when it has ended, and no password any more.

    `user` and `password` are CHAP's, empty for targets that ask for none. Nothing is written on any LUN.
    Raises Missing, Denied, Invalid or Busy.
    """
    require(actor, "storage.manage", cluster)
    portal = names.portal(portal.strip(), field="portal")
    require_chap(user, password)
    record("cluster.look-iscsi.asked", actor=actor, subject=cluster, portal=portal,
           message=N_("A look for LUNs at %(portal)s was asked for"))  # fmt: skip
    secret = storage_secret.sealed(password)
    return enqueue(
        "cluster.look-iscsi", actor=actor, subject=cluster, args={"portal": portal, "user": user, "secret": secret}
    )
