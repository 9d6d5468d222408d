"""host.ask, the soft fence: connect to a silent host anew, past everything of ours that may hang, and ask who it is."""

from broker.core.errors import BerthError
from broker.core.text import gettext_noop as N_
from broker.jobs.context import Context
from broker.jobs.plans import Plan, Step, register
from broker.virt import hosts
from broker.virt.ha import moments, signs
from broker.virt.ha.judge import ASKED
from broker.virt.models import Host, HostHealth


def answers(host: Host) -> bool:
    """Whether a connection made this moment works."""
    hosts.forget(host)
    try:
        hosts.connection(host).facts()
    except BerthError:
        return False
    return True


def ask(ctx: Context) -> None:
    """Both are noted, for the judge: that it does not answer, and that it does."""
    host = Host.objects.get(pk=ctx.job.subject_id)
    answered = answers(host)
    with ctx.write():
        if answered:
            signs.note(host, ASKED, moments.now())
        else:
            HostHealth.objects.filter(host=host).update(asked_at=moments.now())


register(
    Plan(
        "host.ask",
        N_("Ask anew"),
        "host",
        (Step("ask", ask, N_("Connect anew"), no_undo="Only asks."),),
        cancellable=False,
    )
)
