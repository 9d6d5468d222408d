"""Which address belongs to whom, from the networks' DHCP."""

from broker.virt.actions.power_off_vm import power_off_vm
from broker.virt.driver import Lease
from broker.virt.models import Nic
from broker.virt.monitor import addresses
from tests.virt.actions.stage import SYSTEM, Stage, done, fresh


def test_a_cards_address_is_the_one_it_was_given_last(db, settings):
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    stage = Stage()
    vm, other = stage.make("one", start=True), stage.make("two")
    addresses.look(stage.world.host, stage.line)
    card = vm.nics.get()
    assert stage.line.leases(stage.world.network.host_name) == (Lease(card.mac, card.leased),)
    assert card.leased.startswith("192.168.77.") and other.nics.get().leased == ""
    done(power_off_vm(actor=SYSTEM, vm=fresh(vm)))
    addresses.look(stage.world.host, stage.line)
    assert Nic.objects.get(pk=card.pk).leased == ""
