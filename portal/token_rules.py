"""What may be in the scope of an API token: known rights, objects one sees, networks; never more than its maker's."""

import ipaddress
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime

from django.db import models

from broker.access.actor import Actor
from broker.access.kinds import kind_of
from broker.access.require import require, within
from broker.access.scope import OWN, Scope, Token
from broker.access.verbs import VERBS, checked_verbs
from broker.core.errors import Denied, Invalid
from broker.core.text import gettext_noop as N_

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
KNOWN = {**VERBS, **OWN}
MOST_VERBS, MOST_OBJECTS, MOST_NETWORKS = 100, 100, 20
JOBS = "job.view"


def checked_scope(
    actor: Actor, *, read_only: bool, verbs: Iterable[str] | None, objects: Sequence[models.Model]
) -> Scope | None:
    """The scope; None when nothing is narrowed. What one may do one may see, so rights bring the right to see along,

    and to follow the jobs that come of them. Raises Invalid, Missing for an object that the actor does not see.
    """
    wanted = None if verbs is None else _with_sight(checked_verbs(verbs, KNOWN))
    if wanted is not None and not 0 < len(wanted) <= MOST_VERBS:
        raise Invalid(
            N_("A token has 1 to %(most)s rights."), field="verbs", most=MOST_VERBS,
            fix=N_("Name those it needs, or leave the list out for all that you have."),
        )  # fmt: skip
    if len(objects) > MOST_OBJECTS:
        raise Invalid(
            N_("Those are more than %(most)s objects."), field="objects", most=MOST_OBJECTS,
            fix=N_("Name the pool or the cluster that they belong to."),
        )  # fmt: skip
    for obj in objects:
        require(actor, f"{kind_of(obj).name}.view", obj)
    if not read_only and wanted is None and not objects:
        return None
    return Scope(
        read_only,
        None if wanted is None else tuple(wanted),
        frozenset((kind_of(obj).name, obj.pk) for obj in objects),
    )


def _with_sight(verbs: list[str]) -> list[str]:
    found = set(verbs)
    for verb in verbs:
        kind, _, deed = verb.partition(".")
        if f"{kind}.view" in KNOWN:
            found.add(f"{kind}.view")
        if kind in ("pool", "meta-pool"):
            found.add("vm.view")  # the desktop that one takes, to find it again
        if deed not in ("", "view") and kind not in ("own", "account"):
            found.add(JOBS)
    covered = {verb for verb in found if verb not in verbs and any(_wider(one, verb) for one in verbs)}
    return sorted(found - covered)


def _wider(pattern: str, verb: str) -> bool:
    return pattern != verb and Scope(verbs=(pattern,)).covers(verb)


def checked_networks(given: Iterable[str]) -> list[str]:
    """The networks as CIDR, a plain address as that one alone. Raises Invalid."""
    found: list[str] = []
    for one in given:
        try:
            network = str(ipaddress.ip_network(str(one).strip()))
        except ValueError:
            raise Invalid(
                N_("%(network)s is no network."), field="networks", network=str(one)[:64],
                fix=N_("Write it as 192.0.2.0/24 or 2001:db8::/32, with nothing set behind the prefix."),
            ) from None  # fmt: skip
        if network not in found:
            found.append(network)
    if len(found) > MOST_NETWORKS:
        raise Invalid(
            N_("Those are more than %(most)s networks."), field="networks", most=MOST_NETWORKS,
            fix=N_("Name larger ones."),
        )  # fmt: skip
    return found


def comes_from(networks: Iterable[str], address: str | None) -> bool:
    """Whether the address lies in one of these networks, or there are none. Of an unknown address it is not known."""
    found = [ipaddress.ip_network(one) for one in networks]
    if not found:
        return True
    try:
        came = ipaddress.ip_address(address or "")
    except ValueError:
        return False
    if isinstance(came, ipaddress.IPv6Address) and came.ipv4_mapped:
        came = came.ipv4_mapped
    return any(came in one for one in found)


def no_wider(
    actor: Actor, scope: Scope | None, objects: Sequence[models.Model], networks: Sequence[str], ends: datetime
) -> None:
    """Raise Denied when the new token would be good for more, longer or from elsewhere than the one it is made by.

    One with all rights of its person, good from everywhere, may make any, as it always could.
    """
    by = actor.token
    if by is None:
        return
    if by.scope is not None and (_more(actor, by.scope, scope, objects) or (by.ends and ends > by.ends)):
        _refuse(actor)
    allowed = [ipaddress.ip_network(one) for one in by.networks]
    inside = all(any(_lies(ipaddress.ip_network(one), two) for two in allowed) for one in networks)
    if allowed and not (networks and inside):
        _refuse(actor)


def _lies(
    one: ipaddress.IPv4Network | ipaddress.IPv6Network, two: ipaddress.IPv4Network | ipaddress.IPv6Network
) -> bool:
    return one.version == two.version and one.subnet_of(two)  # type: ignore[arg-type]  # of the same version


def _more(actor: Actor, own: Scope, scope: Scope | None, objects: Sequence[models.Model]) -> bool:
    """Whether `scope` includes anything that `own` leaves out."""
    if scope is None or (own.read_only and not scope.read_only):
        return True
    rights, place = Scope(verbs=own.verbs), Scope(objects=own.objects)
    if not all(rights.covers(verb) for verb in scope.verbs or ("*",)):
        return True
    there = replace(actor, token=Token("", place))
    return bool(own.objects) and not (
        objects and all(within(there, f"{kind_of(one).name}.view", one) for one in objects)
    )


def _refuse(actor: Actor) -> None:
    raise Denied(
        N_("This token may not make one that may do more, lasts longer or is good from elsewhere than itself."),
        rule="access.scope",
        fix=N_("Narrow the new one as this one is, or make it in your account."),
        token=actor.token.name if actor.token else "",
    )
