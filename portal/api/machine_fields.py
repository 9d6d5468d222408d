"""The hardware of a machine as part of a call's body."""

from broker.virt.machine_options import OPTIONS

from .settings_fields import rules_input

MachineOptions = rules_input("MachineOptions", OPTIONS)
