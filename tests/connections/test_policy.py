"""The console policy: who sets it, which one holds, what it says, and that the gateway is told."""

import pytest

from broker.connections.actions import set_console_policy
from broker.connections.models import ConsolePolicy
from broker.connections.policy import policy_of, told
from broker.core.errors import Denied, Invalid, Missing
from broker.gateway.desk import Presented
from broker.gateway.django_desk import DjangoDesk
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
