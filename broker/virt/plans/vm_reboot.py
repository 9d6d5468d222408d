"""vm.reboot: ask the guest to restart. A job resumed after it was told does not ask again."""

from broker.core.text import gettext_noop as N_
from broker.jobs.plans import Plan, register
from broker.virt.work import power_step

register(
    Plan(
        "vm.reboot",
        N_("Reboot"),
        "vm",
        (
            power_step(
                "ask", N_("Ask the guest to restart"), lambda host, uuid: host.reboot(uuid),
                event="vm.rebooted", message=N_("%(name)s was asked to restart"),
                no_undo="A request to the guest cannot be taken back.",
            ),
        ),
        cancellable=False,
    )
)  # fmt: skip
