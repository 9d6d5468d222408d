"""The .vv file with which remote-viewer opens a machine's screen: through the gateway by SPICE, else directly.

Format: the key file that virt-viewer reads (remote-viewer(1), "CONNECTION FILE"). There is no API token in it; through
the gateway it has a ticket that opens this one screen once, within two minutes. The program deletes it after reading.
"""

import configparser
import io
from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from broker.access.actor import Actor
from broker.access.require import require
from broker.core.errors import Conflict
from broker.core.text import gettext_noop as N_
from broker.settings import env
from broker.virt.driver import PowerState
from broker.virt.models import VirtualMachine

from .actions.issue_ticket import issue_ticket
from .blind import host_certificate, may_be_blind
from .consent import require_own_screen
from .endpoints import Endpoint, direct, through_gateway
from .models import ConsolePolicy
from .native import TLS_PORT, USER, place, proxy_address
from .policy import only_by_vnc, policies_of, policy_of
from .rules import NATIVE
from .viewer import note_viewer
from .viewer_wishes import USUAL, ViewerWishes

MEDIA_TYPE = "application/x-virt-viewer"


def viewer_file(actor: Actor, vm: VirtualMachine, wishes: ViewerWishes = USUAL) -> str:
    """The text of the file; that it was handed out counts as a session. Raises Missing or Denied; Conflict when no

    screen can be reached from outside.
    """
    require(actor, "vm.use", vm)
    require_own_screen(actor, vm)
    if vm.power_state not in (PowerState.RUNNING, PowerState.PAUSED):
        raise Conflict(
            N_("%(name)s is not running."),
            rule="power.running",
            about=vm,
            fix=N_("Start it, then connect."),
            name=vm.name,
        )
    policy = policy_of(vm)
    if refusal := refused(vm, policy):
        raise Conflict(refusal.text, rule=refusal.rule, fix=N_("Open its console in the browser by VNC."))
    if _through_public_port(vm):
        issued = issue_ticket(actor=actor, vm=vm, kind="spice", via=NATIVE, take_over=True)
        end = Endpoint("spice", host=place(vm.pk), port=TLS_PORT, tls=True)
        return _render(vm, policy, wishes, end, issued.secret, subject=_subject(vm, policy))
    endpoint = direct(vm, "spice") or direct(vm, "vnc")
    if endpoint is None:
        raise Conflict(
            N_("The screen of %(name)s can be reached only through the browser."),
            rule="console.direct",
            about=vm,
            fix=N_("Open its console in the browser."),
            name=vm.name,
        )
    note_viewer(actor, vm, endpoint)
    return _render(vm, policy, wishes, endpoint)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why programs may not open a screen that they could reach."""

    rule: str
    text: str


RECORDED = Refusal("console.recorded", N_("This screen is recorded, and only VNC in the browser can be."))
LIMITED = Refusal(
    "console.policy", N_("What may pass at this screen is limited, and only VNC in the browser keeps to that.")
)


def refused(vm: VirtualMachine, policy: ConsolePolicy) -> Refusal | None:
    """What the policy has against the file; None when there is nothing."""
    if policy.record:
        return RECORDED
    # Past the gateway nothing is withheld.
    limited = only_by_vnc(policy, vm) or not (policy.usb or _through_public_port(vm))
    return LIMITED if limited else None


def offers_file(vm: VirtualMachine) -> bool:
    """Whether `viewer_file` would have an address to write, for pages that show or hide the entry."""
    return bool(_through_public_port(vm) or direct(vm, "spice") or direct(vm, "vnc"))


def refusals(machines: Iterable[VirtualMachine]) -> dict[UUID, Refusal]:
    """Of machines whose screen a program could reach, those whose policy refuses it: for pages, before the click."""
    reachable = [vm for vm in machines if offers_file(vm)]
    policies = policies_of(reachable)
    found = ((vm.pk, refused(vm, policies[vm.pk])) for vm in reachable)
    return {pk: refusal for pk, refusal in found if refusal}


def _through_public_port(vm: VirtualMachine) -> bool:
    inside = through_gateway(vm, "spice")
    return bool(proxy_address() and inside and (inside.unix or env.console_ca_dir))


def _subject(vm: VirtualMachine, policy: ConsolePolicy) -> str:
    """Whose certificate the client is to find: the host's, or the gateway's where that must look into what passes."""
    from broker.virt.pki.authority import subject_of
    from broker.virt.pki.consoles import SUBJECT

    held = host_certificate(vm) if may_be_blind(vm, policy) else None
    return subject_of(held.certificate) if held else SUBJECT


def _render(
    vm: VirtualMachine, policy: ConsolePolicy, wishes: ViewerWishes, endpoint: Endpoint, ticket: str = "",
    subject: str = "",
) -> str:  # fmt: skip
    parser = configparser.RawConfigParser()
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    values = {
        "type": endpoint.kind,
        "host": _one_line(endpoint.host),
        ("tls-port" if endpoint.tls and endpoint.kind == "spice" else "port"): str(endpoint.port),
        "title": _one_line(vm.title or vm.name),
        "delete-this-file": "1",
        "toggle-fullscreen": "shift+f11",
        "release-cursor": "shift+f12",
        "secure-attention": "ctrl+alt+end",
        "enable-usbredir": str(int(policy.usb)),
        "enable-usb-autoshare": str(int(policy.usb and wishes.share_usb)),
        "enable-smartcard": str(int(policy.smartcard and wishes.smartcard)),
        "fullscreen": str(int(wishes.full_screen)),
    }
    if ticket:
        from broker.virt.pki.authority import authority

        values["proxy"] = f"http://{USER}:{ticket}@{proxy_address()}"
        values["ca"] = authority().certificate.strip().replace("\n", "\\n")
        values["host-subject"] = subject
    parser["virt-viewer"] = values
    text = io.StringIO()
    parser.write(text, space_around_delimiters=False)
    return text.getvalue()


def _one_line(value: str) -> str:
    """A name must not start a line of its own in the file."""
    return "".join(character for character in value if character.isprintable())
