"""Physical PCs: machines that no hypervisor runs. Berth wakes them, looks whether they are on, and opens their screens.

Such a PC is a VirtualMachine whose `machine` is PHYSICAL, on no host, beside a row PhysicalMachine: so cards, rights,
pools, tickets, sessions and events are those of every desktop (docs/adr/0005-physical-pcs-are-machines.md).
"""
