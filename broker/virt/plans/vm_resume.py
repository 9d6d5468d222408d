"""vm.resume: a paused guest goes on."""

from broker.core.text import gettext_noop as N_
from broker.jobs.plans import Plan, register
from broker.virt.work import power_step

register(
    Plan(
        "vm.resume",
        N_("Resume"),
        "vm",
        (
            power_step(
                "resume", N_("Let the processors go on"), lambda host, uuid: host.resume(uuid),
                event="vm.resumed", message=N_("%(name)s goes on"),
                no_undo="The last effect of its plan: when it failed, nothing went on.",
            ),
        ),
        cancellable=False,
    )
)  # fmt: skip
