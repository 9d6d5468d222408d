"""Signing on in a real Debian guest: who is logged in at its screen, as its own logind tells through its agent.

One start of the guest, which takes minutes where the processor is emulated.
"""

import base64
import time
from pathlib import Path

import pytest

from broker.connections import signing_on
from broker.connections.actions import issue_ticket, set_console_policy
from broker.connections.models import SignOn
from broker.core import clock
from broker.core.errors import Conflict
from broker.directories.models import User
from broker.events.models import Event
from broker.virt import guest_orders, guest_sign_on
from broker.virt.actions.delete_vm import delete_vm
from broker.virt.models import VirtualMachine
from pools import guest_work
from pools.models import Desktop, Pool, Sitting
from tests.connections.conftest import Setting, sign_in
from tests.virt.actions.stage import SYSTEM, done, fresh
from tests.virt.plans.test_cloud_init_lab import Guest, real  # noqa: F401 - a fixture

pytestmark = pytest.mark.lab
HELPER = Path(__file__).resolve().parents[2] / "deploy" / "guest" / "berth-sign-on"
# What this image spares its starts: a prompt on the screen, and the list of who is logged in that the agent reads.
PREPARE = "systemctl unmask getty@tty1; : >/run/utmp; useradd --create-home --shell /bin/bash bob"
WATCH = """(busctl monitor --json=short --match="type='signal',interface='org.freedesktop.login1.Session'" \
    >/root/signals 2>&1 &)"""


@pytest.mark.timeout(900)
def test_the_owner_is_logged_in_at_the_guests_screen_and_nobody_else_is(real, monkeypatch):  # noqa: F811
    monkeypatch.setattr(signing_on, "_send", lambda pk: None)
    world = real.world
    vm = real.make("desk", cloud_init={"hostname": "desk", "user": "alice"}, start=True)
    guest = Guest(real.line, str(vm.pk))
    guest.wait_for_cloud_init(instance=str(vm.pk))
    pool = Pool.objects.create(
        name="seats", title="Seats", cluster=world.cluster, template=real.version.template, size=1
    )
    Desktop.objects.create(vm=vm, pool=pool, number=1, state="assigned", holder=world.alice, held_since=clock.now())
    set_console_policy(actor=world.actor("root"), obj=pool, sign_on="agent")

    # A template without the helper: the cause is told at once.
    row = opened(real, vm, "alice")
    assert row.error["rule"] == "guest.helper", row.error
    guest.says(f"{PREPARE}; echo {base64.b64encode(HELPER.read_bytes()).decode()} | base64 -d >/root/helper")
    assert guest.says("sh /root/helper install") == "Installed."

    # She opens her desktop and is logged in there.
    row = opened(real, vm, "alice")
    assert (row.outcome, row.account) == ("signed-on", "alice"), row.error
    assert at_the_screen(guest) == "1000 alice seat0 tty1 user"
    guest.says("until pgrep -x bash -u alice -t tty1; do sleep 1; done")  # it is a login of hers, up to the shell
    assert guest.says("who").split()[:2] == ["alice", "tty1"]
    assert real.line.guest(str(vm.pk)).users == ("alice",)
    assert Event.objects.get(kind="session.signed-on").params["account"] == "alice"

    # A nonce is good once; nobody who is no person is logged in, and nobody beside her.
    vm, sleep = fresh(vm), time.sleep
    nonce = guest_sign_on.ask(vm, "ask", sleep=sleep)
    assert guest_sign_on.ask(vm, "begin", "alice", nonce, sleep=sleep) == "present"
    for words, rule in (
        (("begin", "alice", nonce), "guest.once"),
        (("begin", "root", None), "guest.no-system-account"),
        (("begin", "carol", None), "guest.no-person"),
        (("begin", "bob", None), "guest.one-person"),
    ):
        spent = [word or guest_sign_on.ask(vm, "ask", sleep=sleep) for word in words]
        with pytest.raises(Conflict) as info:
            guest_sign_on.ask(vm, *spent, sleep=sleep)
        assert info.value.rule == rule, words
    assert at_the_screen(guest) == "1000 alice seat0 tty1 user"

    # The rule locks it when she leaves; when she comes back it is unlocked.
    guest.says(WATCH)
    at = clock.now().isoformat()
    Sitting.objects.create(
        desktop=vm.desktop, held_since=vm.desktop.held_since,
        acts={"leave": {"base": at, "at": at, "act": "lock", "order": "lock", "orders": 1}},
    )  # fmt: skip
    guest_work.carry_out(vm.pk, "leave")
    assert Sitting.objects.get().acts["leave"]["outcome"] == "done"
    assert opened(real, vm, "alice").outcome == "unlocked"
    session = guest.says("loginctl show-seat seat0 --value -p ActiveSession")
    signals = [line for line in guest.says("cat /root/signals").splitlines() if f"session/_3{session}" in line]
    assert ['"member":"Lock"' in signals[0], '"member":"Unlock"' in signals[-1]] == [True, True], signals
    assert at_the_screen(guest) == "1000 alice seat0 tty1 user"

    # It is given to somebody else, who is not let in while she is there, and is once she was logged out.
    Desktop.objects.update(holder=world.bob, held_since=clock.now())
    row = opened(real, vm, "bob")
    assert row.error["rule"] == "guest.one-person" and at_the_screen(guest).startswith("1000 alice ")
    vm = fresh(vm)
    vm.guest = {"agent": True, "users": ["alice"]}
    guest_orders.give(vm, "log-out", sleep=sleep)
    deadline = time.monotonic() + 60
    while at_the_screen(guest):
        assert time.monotonic() < deadline
        time.sleep(1)
    assert guest.says("pgrep -x agetty -t tty1"), "the usual prompt is back"
    row = opened(real, vm, "bob")
    assert row.outcome == "signed-on", row.error
    assert at_the_screen(guest) == f"{guest.says('id -u bob')} bob seat0 tty1 user"

    Desktop.objects.all().delete()
    pool.delete()
    done(delete_vm(actor=SYSTEM, vm=fresh(vm)))


def opened(real, vm: VirtualMachine, name: str) -> SignOn:  # noqa: F811
    """The person opens the screen; the row when the workers are done with it."""
    person = User.objects.get(username=name)
    setting = Setting(real.world, fresh(vm), sign_in(person))
    ticket = issue_ticket(actor=setting.actor(name), vm=setting.vm, take_over=True).secret
    session, _endpoint = setting.redeem(ticket)
    row = SignOn.objects.get(session=session)
    while not row.outcome:
        SignOn.objects.filter(pk=row.pk).update(due_at=clock.now())
        signing_on.carry_out(row.pk)
        row.refresh_from_db()
    return row


def at_the_screen(guest: Guest) -> str:
    """Who is logged in, by what the guest's logind says; empty when nobody is."""
    return guest.says(
        """loginctl list-sessions --no-legend | while read -r id _; do
            echo $(loginctl show-session "$id" --value -p User -p Name -p Seat -p TTY -p Class -p State)
        done | grep -v closing | tr '\\n' ' ' | sed -E 's/ (active|online|opening)//; s/ $//'"""
    )
