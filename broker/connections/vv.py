"""The .vv file with which remote-viewer opens a machine's screen directly.

Format: the key file that virt-viewer reads (remote-viewer(1), "CONNECTION FILE"). No API token, no ticket of
ours in it, and the program deletes it after reading.
"""

import configparser
import io

from broker.access.actor import Actor
from broker.access.require import require
from broker.core.errors import Conflict
from broker.core.text import gettext_noop as N_
from broker.virt.driver import PowerState
from broker.virt.models import VirtualMachine

from .consent import require_own_screen
from .endpoints import Endpoint, direct
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
    endpoint = direct(vm, "spice") or direct(vm, "vnc")
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
    return bool(direct(vm, "spice") or direct(vm, "vnc"))


def _render(vm: VirtualMachine, endpoint: Endpoint) -> str:
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
    parser["virt-viewer"] = values
    text = io.StringIO()
    parser.write(text, space_around_delimiters=False)
    return text.getvalue()


def _one_line(value: str) -> str:
    """A name must not start a line of its own in the file."""
    return "".join(character for character in value if character.isprintable())
