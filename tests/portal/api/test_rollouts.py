"""Template versions and rollouts through the API: the numbers, the refusals, the user's own button."""

import pytest

from broker.jobs.models import Job
from broker.virt.models import TemplateVersion
from pools.models import Rollout


@pytest.fixture
def rolling(world, make_pool, make_desktop):
    """A pool of three on its way from version 1 to 2: one is there, Alice has one, one is free."""
    pool = make_pool("desk", size=3)
    new = TemplateVersion.objects.create(
        template=world.template, number=2, state="ready", storage=world.storage, volume="two.qcow2",
        size_bytes=4 << 30, notes="newer", made_from="gold",
        sealing={"outcome": "partly", "left": [{"message": "partition %(number)s was not sealed: its contents are "
                                                "%(kind)s", "params": {"number": "2", "kind": "XFS"}}]},
    )  # fmt: skip
    rows = [make_desktop(pool, 1, holder=world.alice), make_desktop(pool, 2), make_desktop(pool, 3)]
    type(rows[2].vm).objects.filter(pk=rows[2].pk).update(template_version=new)
    Rollout.objects.create(pool=pool, version=new, previous=world.version, numbers=[1, 2])
    return pool, rows, new


def test_how_far_it_is(caller, rolling):
    pool, _, new = rolling
    told = caller("root").get(f"pools/{pool.pk}/rollout/").json()
    assert (told["state"], told["version"]["id"], told["at_once"]) == ("running", str(new.pk), 5)
    assert {name: told[name] for name in ("total", "done", "old", "working", "free", "held", "kept", "broken")} == {
        "total": 3, "done": 1, "old": 2, "working": 0, "free": 1, "held": 1, "kept": 0, "broken": 0,
    }  # fmt: skip


def test_stop_pace_go_on_and_back(caller, rolling, world):
    pool, _, _ = rolling
    root = caller("root")
    assert root.post(f"pools/{pool.pk}/stop-rollout/").json()["state"] == "paused"
    assert root.post(f"pools/{pool.pk}/stop-rollout/").status_code == 409
    assert root.post(f"pools/{pool.pk}/pace-rollout/", {"at_once": 9}).json()["at_once"] == 9
    assert root.post(f"pools/{pool.pk}/pace-rollout/", {"at_once": 0}).status_code == 400
    assert root.post(f"pools/{pool.pk}/resume-rollout/").json()["state"] == "running"
    assert root.post(f"pools/{pool.pk}/roll-back/").json()["version"]["id"] == str(world.version.pk)
    assert root.get(f"pools/{pool.pk}/rollout/").status_code == 404


def test_a_user_sees_what_waits_and_updates_only_the_own_desktop(caller, rolling):
    pool, rows, new = rolling
    alice = caller("alice")
    seen = alice.get(f"desktops/{rows[0].pk}/").json()
    assert (seen["update"], seen["version"]["name"]) == (2, "desk v1")
    assert alice.post(f"desktops/{rows[1].pk}/update/").status_code == 404
    assert alice.get(f"pools/{pool.pk}/rollout/").status_code in (403, 404)
    assert caller("root").get(f"desktops/{rows[2].pk}/").json()["update"] is None
    assert alice.post(f"desktops/{rows[0].pk}/update/").status_code == 200
    assert Job.objects.get(plan="vm.reset-disks").args["version"] == str(new.pk)


def test_data_goes_only_with_consent(caller, rolling):
    pool, rows, _ = rolling
    type(pool).objects.filter(pk=pool.pk).update(stateful=True)
    type(pool).objects.get(pk=pool.pk).assignments.create(
        desktop=rows[0], desktop_name="one", user=rows[0].holder, reason="test"
    )
    alice = caller("alice")
    refused = alice.post(f"desktops/{rows[0].pk}/update/")
    assert (refused.status_code, refused.json()["rule"]) == (409, "update.data")
    assert alice.post(f"desktops/{rows[0].pk}/update/", {"discard": True}).status_code == 200


def test_a_version_says_how_it_was_sealed_and_its_notes_can_be_changed(caller, rolling):
    _, _, new = rolling
    root = caller("root")
    told = root.get(f"template-versions/{new.pk}/").json()
    assert (told["made_from"], told["sealing"]["outcome"]) == ("gold", "partly")
    assert told["sealing"]["left"] == ["partition 2 was not sealed: its contents are XFS"]
    assert root.patch(f"template-versions/{new.pk}/", {"notes": "newest"}).json()["notes"] == "newest"


def test_a_version_from_a_machine(caller, world, make_vm):
    vm = make_vm("gold")
    answer = caller("root").post(f"vms/{vm.pk}/make-version/", {"notes": "from gold"})
    assert answer.status_code == 202
    job = Job.objects.get(plan="template.make")
    assert answer.headers["Location"].endswith(f"/{job.pk}/")
    assert TemplateVersion.objects.get(pk=job.args["version"]).notes == "from gold"
    assert caller("root").post(f"vms/{vm.pk}/make-version/").status_code == 409  # it is being made already


def test_a_version_in_use_is_refused_with_who_uses_it(caller, rolling, world):
    refused = caller("root").delete(f"template-versions/{world.version.pk}/")
    assert (refused.status_code, refused.json()["rule"]) == (409, "version.in-use")
    assert "2 " in refused.json()["detail"]
