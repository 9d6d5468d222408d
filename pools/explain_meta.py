"""Why would this user get no desktop through this meta-pool, and of which member one? Asked without giving one."""

from broker.access.actor import Actor
from broker.access.require import may, require
from broker.core.errors import BerthError, Denied, NoCapacity
from broker.core.text import gettext_noop as N_
from broker.core.verdicts import Answer, Line, Table
from broker.directories.models import User
from broker.virt.explain import MOST_LINES, tried

from .actions.allocate_meta import allocate_meta
from .explain import disabled
from .hours import opening_of
from .meta import Given, Standing, ask, held_of, refusal_of, standings
from .models import Desktop, MetaPool
from .queue import worth_waiting


def explain_meta_allocation(*, actor: Actor, meta: MetaPool, user: User) -> Answer:
    """What Connect would come to for `user` now, with what each member says by itself, in the order it is asked.

    For who manages the meta-pool. Raises Missing or Denied.
    """
    require(actor, "meta-pool.manage", meta)
    as_user, members, held = Actor.for_user(user), standings(meta), held_of(user, meta)
    lines = [_line(as_user, user, member, held) for member in members]
    rules = dict.fromkeys(reason.rule for line in lines for reason in line.refusals)
    tables = (Table.of("pool", tuple(rules), lines, most=MOST_LINES),)
    if refusal := disabled(user) or _not_entitled(as_user, user, meta):
        return Answer(refusal=refusal, tables=tables)
    given, refused = tried(lambda: allocate_meta(actor=as_user, meta=meta))
    if refused is not None:
        if isinstance(refused, NoCapacity) and any(map(_worth_waiting, members)):
            refused.helps = (N_("The user would wait in the queue until one becomes free."), *refused.helps)
        return Answer(refusal=refused, tables=tables)
    assert isinstance(given, Given)
    desktop = given.allocation.desktop
    params = (("user", user.username), ("name", desktop.vm.name), ("pool", str(desktop.pool)))
    if given.allocation.state == "ready":
        return Answer(N_("%(user)s would get %(name)s of %(pool)s at once."), params, tables=tables)
    return Answer(N_("%(user)s would get %(name)s of %(pool)s, which would have to be started."), params, tables=tables)


def _line(as_user: Actor, user: User, member: Standing, held: list[Desktop]) -> Line:
    pool, of_it = member.pool, sum(desktop.pool_id == member.pool.pk for desktop in held)
    _given, error = tried(lambda: ask(as_user, user, pool, of_it))
    note = N_("the user has a desktop of it") if of_it else ""
    return Line("pool", str(pool.pk), str(pool), (refusal_of(pool, error),) if error else (), note)


def _worth_waiting(member: Standing) -> bool:
    return opening_of(member.pool).open and worth_waiting(member.pool)


def _not_entitled(as_user: Actor, user: User, meta: MetaPool) -> BerthError | None:
    if may(as_user, "meta-pool.use", meta):
        return None
    return Denied(
        N_("%(user)s has no right to take a desktop of %(meta)s."),
        rule="access.right",
        fix=N_("Give the user, or one of the user's groups, the role of pool user on the meta-pool."),
        user=user.username,
        meta=str(meta),
    )
