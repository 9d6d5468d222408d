"""vm.suspend: the guest's memory is saved on the host's disk and the machine stops; a start brings it back."""

from broker.core.text import gettext_noop as N_
from broker.jobs.plans import Plan, register
from broker.virt.work import power_step

register(
    Plan(
        "vm.suspend",
        N_("Suspend"),
        "vm",
        (
            power_step(
                "save", N_("Save the memory"), lambda host, uuid: host.suspend(uuid),
                event="vm.suspended", message=N_("%(name)s was suspended"),
                no_undo="The hypervisor saves all of it or leaves the machine running.",
            ),
        ),
        cancellable=False,
    )
)  # fmt: skip
