"""The console policy: who sets it, which one holds, what it says, and that the gateway is told."""

import pytest

from broker.connections.actions import set_console_policy
from broker.connections.models import ConsolePolicy
from broker.connections.policy import policy_of, told
from broker.core.errors import Conflict, Denied, Invalid, Missing
from broker.gateway.desk import Presented
from broker.gateway.django_desk import DjangoDesk
from broker.virt import pending, screen_wishes
from broker.virt.driver import ScreenParts
from pools.models import Desktop
from tests.portal.api.conftest import make_pool  # noqa: F401 - a fixture

pytestmark = pytest.mark.django_db


@pytest.fixture
def pool(setting, make_pool):  # noqa: F811
    made = make_pool("seats")
    Desktop.objects.create(vm=setting.vm, pool=made, number=1)
    return made


def test_only_who_manages_the_pool_or_machine_sets_it(setting, pool):
    with pytest.raises(Missing):
        set_console_policy(actor=setting.actor("charlie"), obj=pool, clipboard="none")
    with pytest.raises(Denied):
        set_console_policy(actor=setting.actor("alice"), obj=setting.vm, clipboard="none")
    assert not ConsolePolicy.objects.exists()


@pytest.mark.parametrize(
    "wrong",
    [
        {"clipboard": "sideways"}, {"files": "yes"}, {"speed": -1}, {"speed": 3}, {"quality": 10}, {"lock_after": 1},
        {"keyboard": "x"}, {"colour": 1}, {"speed": True},
    ],
)  # fmt: skip
def test_nonsense_is_refused(setting, pool, wrong):
    with pytest.raises(Invalid):
        set_console_policy(actor=setting.world.actor("root"), obj=pool, **wrong)


def test_a_machines_own_counts_before_its_pools_and_both_go_with_their_object(setting, pool):
    root = setting.world.actor("root")
    assert told(policy_of(setting.vm)) == []
    set_console_policy(actor=root, obj=pool, clipboard="in", watermark=True, lock_after=120, speed=512, usb=False)
    assert policy_of(setting.vm).clipboard == "in"
    assert len(told(policy_of(setting.vm))) == 5
    set_console_policy(actor=root, obj=setting.vm, clipboard="none")
    assert policy_of(setting.vm).clipboard == "none"
    setting.vm.desktop.delete()
    setting.vm.delete()
    assert ConsolePolicy.objects.get().object_kind == "pool"


def test_the_gateway_is_told_what_may_pass(setting, pool):
    set_console_policy(actor=setting.world.actor("root"), obj=pool, clipboard="out", speed=256)
    admitted = DjangoDesk.redeem.__wrapped__(
        DjangoDesk("g1"), Presented(setting.ticket(), setting.key, "192.0.2.1")
    )  # without the closing of connections that threads need
    assert (admitted.terms.paste, admitted.terms.copy, admitted.terms.speed) == (False, True, 256 * 1024)


def running_with(vm, **parts):
    """The machine's present run as its host tells it."""
    has = {"usb": 2, "smartcard": False, "clipboard": True, "files": True, **parts}
    vm.graphics, vm.consoles = ["vnc", "spice"], [{"kind": "spice", "unix": "/run/spice.sock", "parts": has}]
    vm.save()


def test_what_is_in_the_machine_itself_comes_with_its_next_start(setting, pool):
    """The pending change says so, and a job's definition has it."""
    running_with(setting.vm)
    assert pending.differences(setting.vm, None) == []
    set_console_policy(
        actor=setting.world.actor("root"), obj=pool, clipboard="in", files=False, usb=False, smartcard=True
    )
    lines = {one.field: (one.now, one.then) for one in pending.differences(setting.vm, None)}
    assert lines == {"usb": (2, 0), "smartcard": (False, True), "clipboard": (True, False), "files": (True, False)}
    assert screen_wishes.wanted(setting.vm) == ScreenParts(usb=0, smartcard=True, clipboard=False, files=False)
    setting.vm.graphics = ["vnc"]
    assert screen_wishes.wanted(setting.vm) is None
    setting.vm.power_state = "off"
    assert pending.differences(setting.vm, None) == []


@pytest.mark.parametrize(
    ("policy", "parts", "rule"),
    [
        ({"clipboard": "none"}, {}, "console.policy"),
        ({"clipboard": "none"}, {"clipboard": False}, None),
        ({"clipboard": "out"}, {"clipboard": False}, None),
        ({"files": False}, {"clipboard": False}, "console.policy"),
        ({"files": False, "clipboard": "none"}, {"clipboard": False, "files": False}, None),
        ({"speed": 512}, {"clipboard": False, "files": False}, "console.policy"),
    ],
)
def test_spice_is_there_where_the_run_itself_keeps_to_the_policy(setting, pool, policy, parts, rule):
    running_with(setting.vm, **parts)
    set_console_policy(actor=setting.world.actor("root"), obj=pool, **policy)
    if rule is None:
        assert setting.ticket(kind="spice")
        return
    with pytest.raises(Conflict) as info:
        setting.ticket(kind="spice")
    assert info.value.rule == rule
