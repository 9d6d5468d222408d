"""The duty: look at all hosts, decide, write verdicts, and set in motion what follows.

Several managers may run it: what one decided is written only if nobody else has looked meanwhile (compare-and-swap on
the watch row, in the transaction that writes the decisions). With a database that takes nothing, nothing is decided.
"""

import logging
from dataclasses import asdict

from django.db import transaction

from broker.access.actor import Actor
from broker.core.errors import Busy
from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.events.record import record
from broker.jobs.enqueue import enqueue
from broker.sql import Given, Statement, given, write_rows, written
from broker.virt.models import HaWatch, HostHealth, Verdict

from . import evidence, moments, recovery
from .judge import Decision, Ruling
from .loss import declare_lost

log = logging.getLogger(__name__)
HA = Actor.system("virt.ha")
QUIET = {Decision.ALIVE, Decision.WAIT}


def run() -> None:
    """Every few seconds."""
    seen = evidence.look(moments.now())
    with transaction.atomic():
        if not HaWatch.objects.filter(pk=1, looked_at=seen.before).update(looked_at=seen.now, since=seen.watch.since):
            log.info("Another manager looked at the hosts meanwhile")
            return
        changed = [one.health for one in seen.situations if one.changed]
        if changed:
            write_rows(changed, evidence.WRITTEN)
        for one in seen.situations:
            follow(one)
    recovery.run(seen.now)


def follow(one: evidence.Situation) -> None:
    """Write the ruling down if it is news, and do what it says unless the cluster only rehearses."""
    ruling = one.ruling
    if (ruling.decision, ruling.rule) != (one.health.decision, one.health.rule):
        write_verdict(one.health, ruling, one)
    if one.rules.when_dead != "act":
        return
    match ruling.decision:
        case Decision.ASK:
            _job("host.ask", one)
        case Decision.FENCE:
            _job("host.fence", one)
        case Decision.DEAD if one.health.lost_at is None or one.health.only_leased:
            declare_lost(one.host, one.health, at=moments.now())
        case Decision.LEASED if one.health.lost_at is None:
            declare_lost(one.host, one.health, at=moments.now(), only_leased=True)
        case Decision.RETURNED:
            _job("host.clean", one)


def write_verdict(health: HostHealth, ruling: Ruling, one: evidence.Situation | None = None) -> Verdict | None:
    """Add the verdict; that a host which was never in doubt answers is none. Events tell of what matters."""
    first = not health.decision
    _DECIDE.run(pk=health.pk, decision=ruling.decision, rule=ruling.rule)
    health.decision, health.rule = ruling.decision, ruling.rule
    if first and ruling.decision == Decision.ALIVE:
        return None
    host = health.host
    verdict = Verdict.objects.create(
        host=host,
        at=moments.now(),
        decision=ruling.decision,
        rule=ruling.rule,
        message=ruling.message,
        params=dict(ruling.params),
        evidence=[asdict(each) for each in one.case.evidence] if one else [],
        silent_seconds=int(one.case.silent) if one else 0,
        epoch=health.epoch,
    )
    if ruling.decision not in QUIET:
        record(
            f"host.ha-{ruling.decision}",
            actor=HA,
            subject=host,
            severity="error" if ruling.decision in (Decision.DEAD, Decision.FENCE, Decision.LEASED) else "warning",
            message=N_("%(name)s: %(why)s"),
            name=host.name,
            why=ruling.message % dict(ruling.params),
        )
    publish("host", host.pk, "changed")
    return verdict


_DECIDE = Statement(lambda: written(HostHealth).filter(pk=Given("pk")).update(**given(HostHealth, "decision", "rule")))


def _job(plan: str, one: evidence.Situation) -> None:
    try:
        with transaction.atomic():
            enqueue(plan, actor=HA, subject=one.host)
    except Busy:
        return  # it is under way, or another job is; the next look comes in seconds
