"""What is done in an installation's own process: fill it, open its secrets."""

import json
import sys
import uuid
from datetime import timedelta

from django.contrib.sessions.models import Session as SignIn

from broker.core import clock
from broker.directories.models import User
from broker.jobs.models import Job, Step
from broker.virt.models import HaWatch, HostHealth, Recovery, VirtualMachine
from broker.virt.pki.authority import authority
from broker.virt.ssh.key import private_key


def fill() -> list[str]:
    """People, a host that was found dead, machines, jobs in every state that matters, secrets that are sealed.

    Returns the secrets.
    """
    from tests.world import World

    world, now = World.build(), clock.now()
    common = {"cluster": world.cluster, "host": world.host, "state": "ready"}
    on = VirtualMachine.objects.create(name="on", power_state="running", boot_id="1", observed_at=now, **common)
    VirtualMachine.objects.create(name="off", power_state="off", power_reason="shutdown", observed_at=now, **common)
    lost = VirtualMachine.objects.create(
        name="lost", power_state="off", power_reason="host lost", available=True, observed_at=now, **common
    )
    Recovery.objects.create(vm=lost, host=world.host, epoch=3)
    HostHealth.objects.create(
        host=world.host, lost_at=now, silent_since=now, epoch=3, decision="dead", seen={"libvirt": ["a", "b"]}
    )
    HaWatch.objects.create(pk=1, since=now - timedelta(days=1), looked_at=now)
    for plan, state, position, kind, subject in (
        ("vm.start", "running", 2, "vm", on.pk), ("host.fence", "waiting", 1, "host", world.host.pk),
        ("vm.revert", "queued", 0, "vm", lost.pk), ("vm.create", "running", 1, "vm", uuid.uuid4()),
        ("vm.reset-disks", "running", 2, "vm", uuid.uuid4()), ("vm.start", "undoing", 0, "vm", uuid.uuid4()),
        ("vm.start", "succeeded", 3, "vm", uuid.uuid4()),
    ):  # fmt: skip
        job = Job.objects.create(
            plan=plan, title=plan, state=state, position=position, subject_kind=kind, subject_id=subject, epoch=1,
            subject_name="x", actor_name="root", worker="gone:1" if state == "running" else "",
            lease_until=now + timedelta(seconds=30), next_run_at=now,
        )  # fmt: skip
        Step.objects.create(job=job, index=position, name="x", title="X")
    SignIn.objects.create(session_key="k" * 32, session_data="x", expire_date=now + timedelta(hours=5))
    User.objects.filter(username="alice").update(display_name="Alice “Ünïcode” \\ ' \U0001f600")
    authority()
    return secrets()


def secrets() -> list[str]:
    """What opens with the right key alone."""
    from broker.virt.pki.authority import _key

    assert _key(authority())
    return [private_key()]


def main(what: str) -> None:
    json.dump({"fill": fill, "secrets": secrets}[what](), sys.stdout)
