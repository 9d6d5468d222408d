"""A running machine with a screen, alice who may use it, and her sign-in."""

from dataclasses import dataclass

import pytest
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore

from broker.access.actor import Actor
from broker.connections.actions import issue_ticket, redeem_ticket
from broker.directories.models import User
from broker.virt.models import VirtualMachine

GATEWAY = Actor.system("gateway test")


def sign_in(user: User) -> str:
    """A Django session for the user, as the sign-in view makes it; returns its key."""
    store = SessionStore()
    store[SESSION_KEY] = str(user.pk)
    store[BACKEND_SESSION_KEY] = "broker.directories.backend.DirectoryBackend"
    store[HASH_SESSION_KEY] = user.get_session_auth_hash()
    store.create()
    return store.session_key


def make_vm(world, name: str, **fields) -> VirtualMachine:
    values = {
        "state": "ready",
        "power_state": "running",
        "boot_id": f"{name}-boot-1",
        "consoles": [{"kind": "vnc", "unix": f"/run/{name}/vnc.sock"}],
        **fields,
    }
    return VirtualMachine.objects.create(cluster=world.cluster, host=world.host, name=name, **values)


@dataclass
class Setting:
    world: object
    vm: VirtualMachine
    key: str

    def actor(self, name: str = "alice", *, key: str | None = None) -> Actor:
        user = User.objects.get(username=name)
        return Actor(user=user, name=user.username, address="192.0.2.1", session_key=self.key if key is None else key)

    def ticket(self, **options) -> str:
        return issue_ticket(actor=self.actor(), vm=self.vm, **options).secret

    def redeem(self, secret: str, *, key: str | None = None, address: str = "192.0.2.1"):
        return redeem_ticket(
            actor=GATEWAY, secret=secret, web_session=self.key if key is None else key, address=address, gateway="g1"
        )

    def open(self, **options):
        return self.redeem(self.ticket(**options))[0]


@pytest.fixture
def setting(world):
    vm = make_vm(world, "desk-1")
    world.grant(world.alice, "vm-user", vm)
    return Setting(world, vm, sign_in(world.alice))
