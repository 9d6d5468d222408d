"""vm.pause: the guest's processors stop; its memory stays."""

from broker.core.text import gettext_noop as N_
from broker.jobs.plans import Plan, register
from broker.virt.work import power_step

register(
    Plan(
        "vm.pause",
        N_("Pause"),
        "vm",
        (
            power_step(
                "pause", N_("Stop the processors"), lambda host, uuid: host.pause(uuid),
                event="vm.paused", message=N_("%(name)s was paused"),
                no_undo="The last effect of its plan: when it failed, nothing was paused.",
            ),
        ),
        cancellable=False,
    )
)  # fmt: skip
