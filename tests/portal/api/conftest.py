"""Callers of the API: one client per person, signed in by token; and machines and pools to call about."""

import itertools

import pytest
from django.test import Client

from broker.virt.driver import PowerState
from broker.virt.models import Disk, Nic, VirtualMachine
from broker.virt.states import VmState
from pools.models import Desktop, Pool
from pools.states import DesktopState
from portal.models import ApiToken

_macs = itertools.count(1)


class Caller:
    """JSON in and out, as one person (or nobody)."""

    def __init__(self, token: str = ""):
        self.client = Client(
            headers={"Authorization": f"Bearer {token}"} if token else {}, raise_request_exception=False
        )

    def get(self, path, **query):
        return self.client.get(f"/api/v1/{path}", query)

    def call(self, method, path, body=None, **headers):
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.client.generic(
            method,
            f"/api/v1/{path}",
            b"" if body is None else _json(body),
            content_type="application/json",
            headers=headers,
        )

    def post(self, path, body=None, **headers):
        return self.call("POST", path, body, **headers)

    def patch(self, path, body=None, **headers):
        return self.call("PATCH", path, body, **headers)

    def delete(self, path, **headers):
        return self.call("DELETE", path, **headers)


def _json(body):
    import json

    return body if isinstance(body, bytes) else json.dumps(body).encode()


@pytest.fixture
def caller(world):
    """`caller("alice")`: a client with a token of hers; `caller("")`: nobody."""

    def make(name):
        if not name:
            return Caller()
        _, token = ApiToken.objects.create(user=getattr(world, name), name="test")
        return Caller(token)

    return make


@pytest.fixture
def make_vm(world):
    """`make_vm("one", power="running")`: a machine that is there, without a job having made it."""

    def make(name, power=PowerState.OFF, **fields):
        vm = VirtualMachine.objects.create(
            name=name, cluster=world.cluster, host=world.host, template_version=world.version, memory_mib=512,
            state=VmState.READY, power_state=power, boot_id="boot-1" if power == PowerState.RUNNING else "", **fields,
        )  # fmt: skip
        Disk.objects.create(vm=vm, storage=world.storage, volume=f"{name}.qcow2")
        Nic.objects.create(
            vm=vm, network=world.network, mac=f"52:54:00:00:{next(_macs) // 256:02x}:{next(_macs) % 256:02x}"
        )
        return vm

    return make


@pytest.fixture
def make_pool(world):
    def make(name, **fields):
        return Pool.objects.create(
            name=name,
            title=name.title(),
            cluster=world.cluster,
            template=world.template,
            storage=world.storage,
            **fields,
        )

    return make


@pytest.fixture
def make_desktop(make_vm):
    def make(pool, number=1, holder=None):
        state = DesktopState.ASSIGNED if holder else DesktopState.FREE
        return Desktop.objects.create(
            vm=make_vm(f"{pool.name}-{number}"), pool=pool, number=number, state=state, holder=holder
        )

    return make
