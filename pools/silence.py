"""Desktops on hosts that do not answer: neither started nor handed out until their host is heard of again.

What is off stays on its host, for another may be running there what this database calls off. A host that was found
dead is another matter: its machines may be started elsewhere.
"""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from django.db.models import Case, Exists, OuterRef, Q, Value, When

from broker.core.errors import Reason, Unavailable
from broker.core.text import gettext_noop as N_
from broker.virt.models import HostHealth
from broker.virt.states import HostState

from .models import Desktop, Pool

if TYPE_CHECKING:
    from .seats import Look

SOON = timedelta(seconds=30)
"""For so long what runs on a silent host still counts as ready: libvirt that is restarted starts nothing elsewhere."""
RULE = "host.reachable"
IT_IS_SILENT, WORDS = N_("its host %(host)s does not answer (%(error)s)"), N_("its host does not answer")


def on_silent_host() -> Case:
    """Whether the machine of a desktop would be started on a host that does not answer."""
    dead = HostHealth.objects.filter(host=OuterRef("vm__host"), lost_at__isnull=False, only_leased=False)
    silent = When(
        Q(vm__host__isnull=False) & ~Q(vm__host__error="") & Q(vm__host__state=HostState.ACTIVE) & ~Exists(dead),
        then=Value(True),
    )
    return Case(silent, default=Value(False))


def given_up(silent: bool, heard: datetime | None, now: datetime) -> bool:
    """Whether a silent host was last heard of too long ago for its desktops to count as ready."""
    return silent and (heard is None or now - heard > SOON)


def cause(pool: Pool, look: "Look") -> dict[str, Any] | None:
    """What to say of a pool that lacks desktops because hosts are silent; None when none is."""
    ids = [row.pk for row in look.desktops if row.pk in look.silent]
    if not ids:
        return None
    rows = Desktop.objects.filter(pk__in=ids).select_related("vm__host").order_by("number")
    hosts = {row.vm.host_id: row.vm.host for row in rows if row.vm.host is not None}
    return Unavailable(
        N_("%(count)s desktops of %(pool)s are on hosts that do not answer."),
        rule=RULE,
        fix=N_("See to the hosts: power, network, libvirt. The pool goes on by itself when they answer."),
        reasons=[
            Reason(
                host.name, RULE, N_("it does not answer (%(error)s)"), kind="host", id=host.pk,
                words=N_("does not answer"), error=host.error,
            )
            for host in hosts.values()
        ],
        count=len(ids),
        pool=str(pool),
    ).as_dict()  # fmt: skip


def said_of(desktop: Desktop) -> Reason | None:
    """Why a free desktop, its machine and host loaded, is not to be had, when that is its host."""
    host = desktop.vm.host
    if host is None or not host.error:
        return None
    return Reason(
        desktop.vm.name, RULE, IT_IS_SILENT, kind="vm", id=desktop.pk, words=WORDS, host=host.name, error=host.error
    )
