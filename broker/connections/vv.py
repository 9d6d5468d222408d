"""The .vv file with which remote-viewer opens a machine's screen: through the gateway by SPICE, else directly.

Format: the key file that virt-viewer reads (remote-viewer(1), "CONNECTION FILE"). There is no API token in it; through
the gateway it has a ticket that opens this one screen once, within two minutes. The program deletes it after reading.
"""

import configparser
import io

from broker.access.actor import Actor
from broker.access.require import require
from broker.core.errors import Conflict
from broker.core.text import gettext_noop as N_
from broker.settings import env
from broker.virt.driver import PowerState
from broker.virt.models import VirtualMachine

from .actions.issue_ticket import issue_ticket
from .consent import require_own_screen
from .endpoints import Endpoint, direct, through_gateway
from .native import PORT, USER, place, proxy_address
from .policy import only_by_vnc, policy_of
from .rules import NATIVE
from .viewer import note_viewer

MEDIA_TYPE = "application/x-virt-viewer"


def viewer_file(actor: Actor, vm: VirtualMachine) -> str:
    """The text of the file; that it was handed out counts as a session. Raises Missing or Denied; Conflict when no

    screen can be reached from outside.
    """
    require(actor, "vm.use", vm)
    require_own_screen(actor, vm)
    if vm.power_state not in (PowerState.RUNNING, PowerState.PAUSED):
        raise Conflict(
            N_("%(name)s is not running."), rule="power.running", fix=N_("Start it, then connect."), name=vm.name
        )
    policy = policy_of(vm)
    if _through_public_port(vm) and not only_by_vnc(policy):
        issued = issue_ticket(actor=actor, vm=vm, kind="spice", via=NATIVE, take_over=True)
        return _render(vm, Endpoint("spice", host=place(vm.pk), port=PORT), issued.secret)
    # Past the gateway nothing is withheld.
    limited = only_by_vnc(policy) or not policy.usb
    endpoint = None if limited else direct(vm, "spice") or direct(vm, "vnc")
    if endpoint is None:
        raise Conflict(
            N_("The screen of %(name)s can be reached only through the browser."),
            rule="console.direct",
            fix=N_("Open its console in the browser."),
            name=vm.name,
        )
    note_viewer(actor, vm, endpoint)
    return _render(vm, endpoint)


def offers_file(vm: VirtualMachine) -> bool:
    """Whether `viewer_file` would have an address to write, for pages that show or hide the entry."""
    return bool(_through_public_port(vm) or direct(vm, "spice") or direct(vm, "vnc"))


def _through_public_port(vm: VirtualMachine) -> bool:
    inside = through_gateway(vm, "spice")
    return bool(proxy_address() and inside and (inside.unix or env.console_ca_dir))


def _render(vm: VirtualMachine, endpoint: Endpoint, ticket: str = "") -> str:
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
    }
    if ticket:
        values["proxy"] = f"http://{USER}:{ticket}@{proxy_address()}"
    parser["virt-viewer"] = values
    text = io.StringIO()
    parser.write(text, space_around_delimiters=False)
    return text.getvalue()


def _one_line(value: str) -> str:
    """A name must not start a line of its own in the file."""
    return "".join(character for character in value if character.isprintable())
