"""State machines move by compare-and-swap and refuse what they do not know."""

import pytest

from broker.core.errors import Conflict
from broker.virt.models import VirtualMachine
from broker.virt.states import VM, VmState


@pytest.fixture
def vm(world):
    return VirtualMachine.objects.create(name="one", cluster=world.cluster)


def test_a_move_changes_the_row_and_the_instance(vm):
    VM.move(vm, "created", title="mine")
    assert (vm.state, vm.title) == (VmState.READY, "mine")
    vm.refresh_from_db()
    assert (vm.state, vm.title) == (VmState.READY, "mine")


def test_of_two_movers_one_wins(vm):
    other = VirtualMachine.objects.get(pk=vm.pk)
    VM.move(vm, "created")
    with pytest.raises(Conflict):
        VM.move(other, "created")
    assert other.state == VmState.READY


def test_every_state_is_reachable_and_explained():
    reached = {VM.initial} | {transition.target for transition in VM.transitions.values()}
    assert reached == set(VM.states) == set(VM.meanings)
