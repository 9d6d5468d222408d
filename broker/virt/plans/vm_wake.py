"""vm.wake: the magic packet of Wake-on-LAN for a physical PC, again now and then until one of its ports answers.

Nothing tells whether a card heard it: a PC that stays silent is said to.
"""

from datetime import datetime, timedelta

from broker.core import clock
from broker.core.errors import Conflict, Unavailable
from broker.core.text import gettext_noop as N_
from broker.jobs.context import Context
from broker.jobs.plans import NotYet, Plan, Step, register
from broker.virt import work
from broker.virt.driver import PowerState
from broker.virt.models import PhysicalMachine
from broker.virt.physical import duty, magic_packet

AGAIN_EVERY = timedelta(seconds=10)  # a card that is just losing its link misses the first
GIVE_UP_AFTER = 180  # seconds: an old PC with a disk and updates to finish takes two minutes


def send(ctx: Context) -> None:
    now = clock.now().isoformat()
    _send(ctx, _pc(ctx))
    with ctx.write():
        ctx.save(asked=now, sent=now)


def wait(ctx: Context) -> None:
    pc = _pc(ctx)
    duty.look_at([pc])
    pc = _pc(ctx)
    on = pc.vm.power_state == PowerState.RUNNING
    if on and pc.open_ports:
        work.tell(ctx, pc.vm, "vm.woken", N_("%(name)s was woken"))
        return
    now, asked = clock.now(), datetime.fromisoformat(ctx.args["asked"])
    waited = (now - asked).total_seconds()
    if waited >= GIVE_UP_AFTER and on:
        raise Conflict(
            N_("%(name)s is on, but what it is opened by does not answer."),
            rule="physical.no-service",
            fix=N_("Look at the PC whether its VNC server or Remote Desktop runs, and its firewall lets them through."),
            name=pc.name,
        )
    if waited >= GIVE_UP_AFTER:
        raise Conflict(
            N_("%(name)s was sent the packet that wakes it, and did not answer within %(seconds)s seconds."),
            rule="physical.silent",
            fix=N_(
                "See that it has power and a cable, that Wake-on-LAN is on in its firmware, and that the packet gets "
                "into its network; else switch it on at its button."
            ),
            name=pc.name,
            seconds=GIVE_UP_AFTER,
        )
    if now - datetime.fromisoformat(ctx.args["sent"]) >= AGAIN_EVERY:
        _send(ctx, pc)
        with ctx.write():
            ctx.save(sent=now.isoformat())
    ctx.progress(waited / GIVE_UP_AFTER, N_("Woken; waiting until it answers"))
    raise NotYet(2.0, N_("Woken; waiting until it answers"))


def _send(ctx: Context, pc: PhysicalMachine) -> None:
    ctx.check()
    try:
        magic_packet.send(pc.mac, towards=pc.resolved or pc.address, broadcast=pc.broadcast or "")
    except OSError as error:
        raise Unavailable(
            N_("The packet that wakes %(name)s could not be sent: %(cause)s"),
            rule="physical.packet",
            fix=N_("See that a worker has a way into the PC's network."),
            name=pc.name,
            cause=error.strerror or str(error),
        ) from error


def _pc(ctx: Context) -> PhysicalMachine:
    return PhysicalMachine.objects.select_related("vm").get(pk=ctx.job.subject_id)


register(
    Plan(
        "vm.wake",
        N_("Wake"),
        "vm",
        (
            Step(
                "send", send, N_("Send the packet that wakes it"), probe=lambda ctx: bool(ctx.args.get("asked")),
                no_undo="A packet that was sent cannot be taken back.",
            ),
            Step(
                "wait", wait, N_("Wait until it answers"), probe=work.told("vm.woken"),
                no_undo="Only looks, and sends the packet again.",
            ),
        ),
    )
)  # fmt: skip
