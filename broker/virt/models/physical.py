"""PhysicalMachine: what makes a machine's row stand for a PC that no hypervisor runs."""

from django.db import models

from .machine import VirtualMachine


class PhysicalMachine(models.Model):
    """Its primary key is its machine's, which has the name, the notes, the rights and the state of power.

    `address`: its name or IP address, as typed; `resolved`: the IP address at which it was last looked for, the only
    one that consoles are opened at. `mac` and `broadcast`: which card is woken, and where the packet for it is sent;
    empty: to everybody in the network that leads to it. Ports are empty for what it does not offer; `probe_port`: by
    which it is seen to be on, where those are not to be knocked at. `vnc_secret` is sealed (physical/secret.py).
    The columns from `resolved` on are written by the duty alone: `open_ports` are those that answered, `misses` counts
    looks in a row that met nobody, and `error` is why it could not be looked for.
    """

    access_kind = "physical-machine"

    vm = models.OneToOneField(
        VirtualMachine, primary_key=True, editable=False, on_delete=models.CASCADE, related_name="physical"
    )
    address = models.CharField(max_length=253)
    mac = models.CharField("MAC address", max_length=17, blank=True)
    broadcast = models.GenericIPAddressField(protocol="IPv4", null=True, blank=True)
    vnc_port = models.PositiveIntegerField("VNC port", null=True, blank=True)
    vnc_secret = models.TextField(blank=True, editable=False)
    rdp_port = models.PositiveIntegerField("RDP port", null=True, blank=True)
    probe_port = models.PositiveIntegerField(null=True, blank=True)
    maintenance = models.BooleanField(default=False)

    resolved = models.GenericIPAddressField(null=True, editable=False)
    open_ports = models.JSONField(default=list, editable=False)
    misses = models.PositiveSmallIntegerField(default=0, editable=False)
    probed_at = models.DateTimeField(null=True, editable=False, db_index=True)
    error = models.TextField(blank=True, editable=False)

    class Meta:
        ordering = ("vm__name",)
        verbose_name = "physical PC"
        verbose_name_plural = "physical PCs"

    def __str__(self) -> str:
        return self.vm.name

    @property
    def name(self) -> str:
        return self.vm.name
