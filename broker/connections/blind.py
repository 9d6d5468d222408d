"""Where a native client may speak TLS with the machine's host itself, so that nobody on the way can look into it.

Only with hosts that have a certificate of Berth's own authority: their agent ends TLS, or their SPICE server does. And
only where nothing is withheld: what the gateway does not see it can neither keep back nor notice. Elsewhere it ends TLS
itself and looks.
"""

from broker.access.kinds import kind_of
from broker.virt.agent.consoles import TLS_SINCE
from broker.virt.models import HostAgent, HostCertificate, VirtualMachine

from .endpoints import through_gateway
from .models import ConsolePolicy, ConsoleTicket
from .policy import only_by_vnc, policy_of
from .rules import NATIVE
from .secrets import fingerprint


def may_be_blind(vm: VirtualMachine, policy: ConsolePolicy) -> bool:
    """Whether TLS may go from the client to the host: up to three queries."""
    end = through_gateway(vm, "spice")
    if end is None or only_by_vnc(policy, vm) or not policy.usb or host_certificate(vm) is None:
        return False
    return (not end.unix or _agent_ends_tls(vm)) and not _input_counts(vm)


def _agent_ends_tls(vm: VirtualMachine) -> bool:
    agent = HostAgent.objects.filter(host=vm.host_id).first() if vm.host_id else None
    version = str(agent.told.get("version", "")) if agent else ""
    return version.isdigit() and int(version) >= TLS_SINCE


def host_certificate(vm: VirtualMachine) -> HostCertificate | None:
    return HostCertificate.objects.filter(host=vm.host_id).first() if vm.host_id else None


def ticket_is_blind(secret: str, machine: str) -> bool:
    """What the ticket would be taken as now; uses nothing up, and says no of one that is none."""
    rows = ConsoleTicket.objects.filter(secret_hash=fingerprint(secret), kind="spice", via=NATIVE, view_only=False)
    ticket = rows.select_related("vm").first()
    fits = ticket is not None and str(ticket.vm_id) == machine
    return bool(ticket and fits and may_be_blind(ticket.vm, policy_of(ticket.vm)))


def _input_counts(vm: VirtualMachine) -> bool:
    """Whether its pool does something when nobody types: then somebody has to see who types."""
    rules = f"{kind_of(VirtualMachine).parents['pool']}__session_rules__idle"
    rows = VirtualMachine.objects.filter(pk=vm.pk).exclude(**{f"{rules}": "nothing"})
    return rows.filter(**{f"{rules}__isnull": False}).exists()
