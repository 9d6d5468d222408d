"""Certificates that near their end although they renew by themselves: told 30, 7 and 1 days before, and at the end.

An expired certificate cuts Berth off from a host's libvirt, and nothing else: the agent reports and renews by its own
secret, and nobody signs in with a certificate.
"""

from datetime import timedelta

from django.db import transaction

from broker.access.actor import Actor
from broker.core import clock
from broker.core.text import gettext_noop as N_
from broker.events.record import record
from broker.virt.models import HostCertificate

DAYS = (30, 7, 1, 0)
DUTY = Actor.system("virt.certificates")


def warn() -> int:
    """Tell of each threshold once; returns how many were told."""
    now, told = clock.now(), 0
    for row in HostCertificate.objects.filter(until__lt=now + timedelta(days=DAYS[0])).select_related("host"):
        passed = min(days for days in DAYS if row.until - now <= timedelta(days=days))
        with transaction.atomic():
            mine = HostCertificate.objects.filter(pk=row.pk, until=row.until, warned=row.warned)
            if (row.warned is not None and row.warned <= passed) or not mine.update(warned=passed):
                continue
            record(
                "host.certificate-ends", actor=DUTY, subject=row.host, name=row.host.name, days=(row.until - now).days,
                severity="error" if passed <= 1 else "warning",
                message=N_("The certificate of %(name)s has ended; see to its agent, or enrol it anew") if passed == 0
                else N_("The certificate of %(name)s ends in %(days)s days and was not renewed; see to its agent"),
            )  # fmt: skip
            told += 1
    return told
