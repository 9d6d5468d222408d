"""A pool's session rules as one sentence, for its users and its administrators alike."""

from datetime import timedelta

from django.utils.functional import Promise
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext, ngettext_lazy

from .models import Pool, SessionRules
from .session_rules import Act, Rules, Step, Trigger

WHAT: dict[Act, Promise] = {
    Act.LOCK: gettext_lazy("locks"),
    Act.DISCONNECT: gettext_lazy("closes the screen"),
    Act.LOG_OUT: gettext_lazy("logs you out"),
    Act.SUSPEND: gettext_lazy("is suspended"),
    Act.SHUT_DOWN: gettext_lazy("shuts down"),
    Act.GIVE_BACK: gettext_lazy("goes back to the pool"),
}


def rules_of(pool: Pool) -> Rules:
    """The pool's rules, empty when nobody has made any."""
    try:
        return pool.session_rules.rules()
    except SessionRules.DoesNotExist:
        return Rules()


def sentence(pool: Pool) -> str:
    """What happens by itself, as one sentence in the reader's language; `session_rules` should be loaded."""
    rules = rules_of(pool)
    clauses = [_clause(step) for step in rules.steps if step.trigger is not Trigger.LONGEST]
    clauses += [_limit(step, rules) for step in rules.of(Trigger.LONGEST)]
    if not clauses:
        return _("Stays as you leave it; nothing happens by itself.")
    return capfirst(_("%(rules)s; %(kept)s.") % {"rules": ", ".join(clauses), "kept": _kept(pool, rules)})


def _clause(step: Step) -> str:
    what = WHAT[step.act]
    if step.trigger is Trigger.IDLE:
        return _("%(what)s after %(time)s without a key or a click") % {"what": what, "time": duration(step.after)}
    if step.trigger is Trigger.LOGOFF:
        when = _("%(what)s %(time)s after you log out") if step.after else _("%(what)s when you log out")
    else:
        when = _("%(what)s %(time)s after you leave") if step.after else _("%(what)s as soon as you leave")
    return when % {"what": what, "time": duration(step.after)}


def _limit(step: Step, rules: Rules) -> str:
    values = {"what": WHAT[step.act], "time": duration(step.after), "more": duration(rules.extension)}
    if not rules.extensions:
        return _("%(what)s when a session has lasted %(time)s") % values
    more = ngettext(
        "%(what)s when a session has lasted %(time)s, which you can put off by %(more)s once",
        "%(what)s when a session has lasted %(time)s, which you can put off by %(more)s %(count)d times",
        rules.extensions,
    )
    return more % {**values, "count": rules.extensions}


def _kept(pool: Pool, rules: Rules) -> str:
    if kept := pool.session_rules.kept:
        return _("%(what)s are kept") % {"what": kept}
    # An automatic pool takes back what is off, too.
    ends = {Act.GIVE_BACK} | ({Act.SHUT_DOWN} if pool.kind == Pool.Kind.AUTOMATIC else set())
    if pool.stateful or not any(step.act in ends for step in rules.steps):
        return _("what you saved in it is kept")
    return _("what you left in it is then removed")


def duration(time: timedelta) -> str:
    """A time in words, in its largest two units: "1 hour 30 minutes"."""
    seconds = int(time.total_seconds())
    parts = []
    for size, words in _UNITS:
        count, seconds = divmod(seconds, size)
        if count:
            parts.append(str(words % {"count": count}))
    return " ".join(parts[:2]) or str(_UNITS[-1][1] % {"count": 0})


_UNITS = (
    (86400, ngettext_lazy("%(count)d day", "%(count)d days", "count")),
    (3600, ngettext_lazy("%(count)d hour", "%(count)d hours", "count")),
    (60, ngettext_lazy("%(count)d minute", "%(count)d minutes", "count")),
    (1, ngettext_lazy("%(count)d second", "%(count)d seconds", "count")),
)
