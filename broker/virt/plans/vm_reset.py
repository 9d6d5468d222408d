"""vm.reset: like the reset button."""

from broker.core.text import gettext_noop as N_
from broker.jobs.plans import Plan, register
from broker.virt.work import power_step

register(
    Plan(
        "vm.reset",
        N_("Reset"),
        "vm",
        (
            power_step(
                "reset", N_("Press reset"), lambda host, uuid: host.reset(uuid),
                event="vm.reset", message=N_("%(name)s was reset"),
                no_undo="What was in the guest's memory is gone.",
            ),
        ),
        cancellable=False,
    )
)  # fmt: skip
