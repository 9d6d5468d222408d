"""What leads to a machine's screen: its picture and the .vv file, for whoever may use the machine and nobody else."""

import pytest

from broker.core import clock
from broker.virt import screens
from broker.virt.models import ForeignMachine, VirtualMachine
from tests.portal.api.test_basics import problem

pytestmark = pytest.mark.urls("tests.portal.api.urls")
PICTURE = b"RIFF\xff\xfe\x00\x00WEBP"
DIRECT = [{"kind": "vnc", "host": "192.0.2.7", "port": 5901, "tls": False}]


@pytest.fixture
def machine(make_vm):
    vm = make_vm("one", power="running")
    VirtualMachine.objects.filter(pk=vm.pk).update(consoles=DIRECT)
    return vm


@pytest.fixture
def picture(monkeypatch):
    monkeypatch.setattr(screens, "latest", lambda pk: (PICTURE, 2.0))


class TestPicture:
    def test_a_user_of_the_machine_sees_it(self, caller, world, machine, picture):
        world.grant(world.alice, "vm-user", machine)
        answer = caller("alice").get(f"vms/{machine.pk}/screen/")
        assert (answer.status_code, answer["Content-Type"], answer.content) == (200, "image/webp", PICTURE)

    def test_looking_at_the_machine_is_not_enough(self, caller, world, machine, picture):
        world.grant(world.alice, "auditor")
        assert caller("alice").get(f"vms/{machine.pk}/").status_code == 200
        problem(caller("alice").get(f"vms/{machine.pk}/screen/"), 403, "denied")

    def test_it_is_no_json(self, caller, machine, picture):
        answer = caller("root").client.get(f"/api/v1/vms/{machine.pk}/screen/", headers={"Accept": "application/json"})
        problem(answer, 406, "not-acceptable")


class TestViewerFile:
    def test_a_user_of_the_machine_gets_it(self, caller, world, machine):
        world.grant(world.alice, "vm-user", machine)
        answer = caller("alice").post(f"vms/{machine.pk}/viewer-file/")
        assert (answer.status_code, answer["Content-Type"]) == (200, "application/x-virt-viewer")
        assert answer["Content-Disposition"] == f'attachment; filename="{machine.pk}.vv"'
        assert answer["Cache-Control"] == "no-store"
        lines = answer.content.decode().splitlines()
        assert lines[0] == "[virt-viewer]"
        assert {"type=vnc", "host=192.0.2.7", "port=5901"} <= set(lines)

    def test_looking_at_the_machine_is_not_enough(self, caller, world, machine):
        world.grant(world.alice, "auditor")
        problem(caller("alice").post(f"vms/{machine.pk}/viewer-file/"), 403, "denied")

    def test_a_stranger_finds_no_machine(self, caller, machine):
        problem(caller("charlie").post(f"vms/{machine.pk}/viewer-file/"), 404, "missing")

    def test_without_a_screen_for_it(self, caller, make_vm):
        problem(caller("root").post(f"vms/{make_vm('two', power='running').pk}/viewer-file/"), 409, "conflict")

    def test_a_field_means_nothing_here(self, caller, machine):
        document = problem(caller("root").post(f"vms/{machine.pk}/viewer-file/", {"kind": "vnc"}), 400, "invalid")
        assert list(document["errors"]) == ["kind"]

    def test_the_same_call_twice_has_one_answer(self, caller, machine):
        root, key = caller("root"), "7d0c1c2e-0000-4000-8000-000000000001"
        first, second = (root.post(f"vms/{machine.pk}/viewer-file/", Idempotency_Key=key) for _ in range(2))
        assert second["Idempotency-Replayed"] == "true"
        assert (second.content, second["Content-Type"]) == (first.content, first["Content-Type"])


class TestForeignMachines:
    @pytest.fixture
    def foreign(self, world):
        return ForeignMachine.objects.create(
            host=world.host, uuid="6f1c1c2e-0000-4000-8000-00000000000f", name="not-ours", power_state="running",
            vcpus=2, memory_bytes=2**30, observed_at=clock.now(),
        )  # fmt: skip

    def test_whoever_may_see_the_host_sees_them(self, caller, world, foreign):
        world.grant(world.alice, "auditor")
        [row] = caller("alice").get(f"hosts/{world.host.pk}/foreign-machines/").json()["results"]
        assert (row["id"], row["name"], row["power_state"]) == (foreign.uuid, "not-ours", "running")
        none = caller("alice").get(f"hosts/{world.host.pk}/foreign-machines/", power_state="off").json()
        assert none["count"] == 0

    def test_nobody_else_does(self, caller, world, foreign):
        problem(caller("charlie").get(f"hosts/{world.host.pk}/foreign-machines/"), 404, "missing")

    def test_they_are_never_touched(self, caller, world, foreign):
        problem(caller("root").delete(f"hosts/{world.host.pk}/foreign-machines/"), 405, "method")
