"""Observations and machines for the monitor's tests."""

import time
import uuid
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from broker.virt.driver import ConsoleEndpoint, Observation, PowerState
from broker.virt.models import VirtualMachine

START = datetime(2026, 1, 1, tzinfo=UTC)


def at(seconds: float) -> datetime:
    """A moment `seconds` after the machines of these tests were made."""
    return START + timedelta(seconds=seconds)


def machine(world, name: str = "one", **fields) -> VirtualMachine:
    """A ready machine on the world's host, made at START."""
    fields = {"state": "ready", "created_at": START, "definition": "d1", "observed_definition": "d1"} | fields
    return VirtualMachine.objects.create(name=name, cluster=world.cluster, host=world.host, **fields)


def seen(vm, seconds: float, power: PowerState = PowerState.RUNNING, **fields) -> Observation:
    """What a host says of `vm` at START + seconds; `vm` may be a UUID of a stranger."""
    pk = vm if isinstance(vm, uuid.UUID) else vm.pk
    one = Observation(uuid=str(pk), name=str(vm), power=power, at=at(seconds), definition="d1", vcpus=2, memory=1 << 29)
    if power in (PowerState.RUNNING, PowerState.PAUSED):
        one = replace(one, boot_id="run-1", consoles=(ConsoleEndpoint("vnc", unix="/run/vnc.sock"),))
    return replace(one, **fields)


def eventually(condition: Callable[[], object], *, within: float = 5.0, every: float = 0.01) -> float:
    """Wait until `condition` holds; returns the seconds it took, AssertionError after `within`."""
    began = time.monotonic()
    while not condition():
        if time.monotonic() - began > within:
            raise AssertionError(f"not within {within} s: {condition.__doc__ or condition}")
        time.sleep(every)
    return time.monotonic() - began
