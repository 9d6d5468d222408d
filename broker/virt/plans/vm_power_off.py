"""vm.power-off: like pulling the plug. Saved memory of a suspended machine is dropped."""

from broker.core.text import gettext_noop as N_
from broker.jobs.plans import Plan, register
from broker.virt.work import cut_power, power_step

register(
    Plan(
        "vm.power-off",
        N_("Power off"),
        "vm",
        (
            power_step(
                "power-off", N_("Cut the power"), cut_power,
                event="vm.powered-off", message=N_("%(name)s was powered off"),
                no_undo="What was in the guest's memory is gone; starting it again is for its user to decide.",
            ),
        ),
        cancellable=False,
    )
)  # fmt: skip
