"""Quotas and rights through the API: what is answered to whom, and what cannot be slipped in."""

from datetime import datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from broker.access.models import Grant, Quota, QuotaOverrun, Role
from broker.access.reconcile import watch_graces
from broker.access.roles import BUILTIN
from broker.directories.models import Group
from broker.events.models import Event
from broker.jobs.models import Job
from broker.virt.models import Cluster, VirtualMachine
from pools.actions.create_meta_pool import create_meta_pool
from tests.virt.actions.stage import SYSTEM

pytestmark = pytest.mark.urls("tests.portal.api.urls")


class TestQuotas:
    def test_one_is_set_read_changed_and_removed(self, caller, world, make_vm):
        root = caller("root")
        made = root.post("quotas/", {"group": str(world.staff.pk), "each": True, "running": 2, "vcpus": 1})
        assert made.status_code == 201, made.content
        make_vm("one", power="running", owner=world.bob, vcpus=2)
        read = root.get(f"quotas/{made.json()['id']}/").json()
        assert (read["group"]["name"], read["mode"], read["disk_gib"]) == ("staff", "enforced", None)
        use = {one["resource"]: one for one in read["use"]}
        assert use["vcpus"] == {
            "resource": "vcpus", "limit": 1, "used": 2, "percent": 200, "by": str(world.bob.pk), "grace_ends_at": None,
        }  # fmt: skip
        refused = root.patch(f"quotas/{read['id']}/", {"grace_hours": 12})
        assert refused.status_code == 400 and "grace_hours" in refused.content.decode()
        changed = root.patch(
            f"quotas/{read['id']}/", {"mode": "audit", "running": None, "grace_percent": 100, "grace_hours": 12}
        )
        assert (changed.json()["mode"], changed.json()["running"]) == ("audit", None)
        watch_graces()
        (vcpus,) = root.get(f"quotas/{read['id']}/").json()["use"]
        ends = datetime.fromisoformat(vcpus["grace_ends_at"]) - timedelta(hours=12)
        assert ends == QuotaOverrun.objects.get(user=world.bob).since
        assert root.delete(f"quotas/{read['id']}/").status_code == 204
        assert not Quota.objects.exists()

    def test_everybody_sees_their_own_and_no_others(self, caller, world):
        mine = Quota.objects.create(user=world.alice, running=1)
        Quota.objects.create(user=world.bob, running=1)
        Quota.objects.create(cluster=world.cluster, running=1)
        assert [one["id"] for one in caller("alice").get("quotas/").json()["results"]] == [str(mine.pk)]
        assert caller("charlie").get("quotas/").json()["results"] == []
        assert len(caller("root").get("quotas/").json()["results"]) == 3

    def test_a_refusal_carries_its_rule_and_what_helps(self, caller, world, make_vm):
        Quota.objects.create(user=world.bob, running=0)
        vm = make_vm("one", owner=world.bob)
        world.grant(world.bob, "vm-user", vm)
        answer = caller("bob").post(f"vms/{vm.pk}/start/")
        assert answer.status_code == 403
        problem = answer.json()
        assert (problem["code"], problem["rule"]) == ("over-quota", "quota.running")
        assert "0 of 0 running machines" in problem["detail"] and "administrator" in problem["fix"]
        refused = Event.objects.get(kind="api.refused")
        assert refused.actor == world.bob and not Job.objects.exists()

    @pytest.mark.parametrize(
        "body",
        [
            {"running": -1},
            {"running": "2"},
            {"running": True},
            {"each": 1},
            {"mode": "hard"},
            {"used": 0},
            {},
            {"running": 1, "grace_percent": 10, "grace_hours": 0},
        ],
    )
    def test_what_makes_no_sense_is_refused(self, caller, world, body):
        assert caller("root").post("quotas/", {"user": str(world.bob.pk), **body}).status_code == 400

    def test_the_list_costs_the_same_at_any_length(self, caller, world, make_vm):
        root = caller("root")

        def cost() -> int:
            with CaptureQueriesContext(connection) as queries:
                assert root.get("quotas/").status_code == 200
            return len(queries)

        make_vm("first", owner=world.bob, power="running")
        Quota.objects.create(group=world.staff, running=1)
        cost()
        few = cost()
        for number in range(6):
            group = Group.objects.create(directory=world.directory, name=f"group-{number}")
            group.members.add(world.bob)
            Quota.objects.create(group=group, each=True, disk_gib=1)
            make_vm(f"more-{number}", owner=world.alice)
        assert cost() == few


class TestRights:
    def test_of_oneself_on_an_object_with_quotas_pools_and_desktops(self, caller, world, make_pool, make_desktop):
        pool = make_pool("seats", size=2, max_per_user=2)
        desktop = make_desktop(pool, 1, holder=world.bob)
        world.grant(world.staff, "pool-user", pool)
        Quota.objects.create(user=world.bob, running=3)
        answer = caller("bob").get(f"users/{world.bob.pk}/rights/", object_kind="pool", object_id=str(pool.pk)).json()
        verbs = {one["verb"]: one for one in answer["answers"]}
        assert verbs["pool.use"]["allowed"] and not verbs["pool.manage"]["allowed"]
        assert verbs["pool.use"]["ways"] == [
            {
                "role": "pool-user", "group": "staff", "kind": "pool", "object_id": str(pool.pk), "name": "Seats",
                "inherited": False, "lent": False,
            }
        ]  # fmt: skip
        assert [one["name"] for one in answer["pools"]] == ["Seats"]
        assert [one["id"] for one in answer["desktops"]] == [str(desktop.pk)]
        assert answer["quotas"][0]["use"][0]["limit"] == 3

    def test_a_meta_pool_counts_until_one_has_as_many_as_it_gives(self, caller, world, make_pool, make_desktop):
        pool = make_pool("seats", size=2, max_per_user=2)
        meta = create_meta_pool(actor=SYSTEM, name="office", title="Office", pools=[pool])
        world.grant(world.bob, "pool-user", meta)
        path = f"users/{world.bob.pk}/rights/"
        answer = caller("bob").get(path).json()
        assert (answer["pools"], [one["name"] for one in answer["meta_pools"]]) == ([], ["Office"])
        world.grant(world.charlie, "user-admin")
        assert caller("charlie").get(path).json()["meta_pools"] == [], (
            "whom the meta-pool is hidden from learns nothing"
        )
        make_desktop(pool, 1, holder=world.bob)
        assert caller("bob").get(path).json()["meta_pools"] == []

    def test_of_others_for_who_may_see_people_and_of_objects_one_sees(self, caller, world, make_pool):
        pool = make_pool("theirs")
        world.grant(world.bob, "pool-user", pool)
        assert caller("alice").get(f"users/{world.bob.pk}/rights/").status_code == 404
        world.grant(world.charlie, "user-admin")
        answer = caller("charlie").get(f"users/{world.bob.pk}/rights/")
        assert answer.status_code == 200
        text = answer.content.decode()
        assert "pool-user" in text and str(pool.pk) not in text and "Theirs" not in text
        about = {"object_kind": "pool", "object_id": str(pool.pk)}
        assert caller("charlie").get(f"users/{world.bob.pk}/rights/", **about).status_code == 404

    @pytest.mark.parametrize(
        ("query", "status"),
        [
            ({"object_kind": "pool"}, 400), ({"object_id": "x"}, 400), ({"object_kind": "x", "object_id": "y"}, 400),
            ({"object_kind": "vm", "object_id": "no-id"}, 404), ({"on": "vm"}, 400),
        ],
    )  # fmt: skip
    def test_half_a_question_is_refused(self, caller, world, query, status):
        assert caller("root").get(f"users/{world.root.pk}/rights/", **query).status_code == status


class TestRoles:
    def test_a_copy_of_a_predefined_one(self, caller):
        like = Role.objects.get(name="pool-admin")
        made = caller("root").post("roles/", {"name": "pools", "title": "Pools", "like": str(like.pk)})
        assert made.status_code == 201 and made.json()["verbs"] == sorted(like.verbs)

    def test_who_gives_rights_on_something_sees_roles_and_what_is_given_there(self, caller, world, make_pool):
        pool = make_pool("theirs")
        world.grant(world.alice, "pool-user", pool)
        world.grant(world.alice, "viewer", world.cluster)
        assert caller("bob").get("roles/").json()["results"] == []
        world.grant(world.bob, "pool-admin", pool)
        assert len(caller("bob").get("roles/", page_size=100).json()["results"]) >= len(BUILTIN)
        seen = {(one["user"] or {}).get("name") for one in caller("bob").get("grants/").json()["results"]}
        assert seen == {"alice", "bob"}
        given = caller("bob").get("grants/", object_kind="cluster").json()["results"]
        assert given == []


@pytest.mark.parametrize("role", sorted(BUILTIN.keys() - {"admin"}))
def test_no_role_next_door_opens_anything_here(caller, world, make_vm, make_pool, role):
    """S39 with every predefined role: given on another cluster, a pool or a machine, it reaches nothing else."""
    other = Cluster.objects.create(name="next-door")
    pool, vm = make_pool("theirs"), make_vm("theirs-1")
    own_vm = VirtualMachine.objects.create(cluster=other, name="own", state="ready")
    for obj in (other, own_vm):
        world.grant(world.charlie, role, obj)
    charlie = caller("charlie")
    for path in (f"pools/{pool.pk}/", f"vms/{vm.pk}/", f"hosts/{world.host.pk}/", f"templates/{world.template.pk}/"):
        assert charlie.get(path).status_code == 404, path
        assert charlie.delete(path).status_code in (404, 405), path
    for path in ("pools/", "hosts/", "templates/", "storage-domains/", "networks/"):
        assert charlie.get(path).json()["results"] == [], path
    assert {one["name"] for one in charlie.get("vms/").json()["results"]} <= {"own"}


@pytest.mark.parametrize(
    "extra",
    [
        {"owner": "x"}, {"host": "x"}, {"is_admin": True}, {"is_staff": True}, {"quota": 9}, {"epoch": 1},
        {"state": "x"}, {"verbs": ["*"]}, {"role": "admin"}, {"builtin": False}, {"holder": "x"},
    ],
    ids=lambda extra: next(iter(extra)),
)  # fmt: skip
def test_nothing_is_slipped_into_a_change(caller, world, make_vm, make_pool, extra):
    """S41: a field that the call does not have is refused, and nothing of the call is done."""
    vm, pool = make_vm("one"), make_pool("seats")
    role = Role.objects.create(name="mine", title="Mine", verbs=["vm.view"])
    quota = Quota.objects.create(user=world.bob, running=1)
    root = caller("root")
    targets = {
        f"vms/{vm.pk}/": {"title": "New"}, f"pools/{pool.pk}/": {"title": "New"},
        f"users/{world.bob.pk}/": {"display_name": "New"}, f"quotas/{quota.pk}/": {"running": 9},
    }  # fmt: skip
    if "verbs" not in extra:
        targets[f"roles/{role.pk}/"] = {"title": "New"}
    for path, body in targets.items():
        assert root.patch(path, {**body, **extra}).status_code == 400, path
    for row in (vm, pool, world.bob, role, quota):
        row.refresh_from_db()
    assert "New" not in (vm.title, pool.title, world.bob.display_name, role.title) and quota.running == 1


def test_lists_and_searches_tell_nothing_of_others(caller, world, make_vm):
    """S42: neither events, jobs, grants nor sessions of others, whatever is searched for."""
    vm = make_vm("secret-server")
    world.grant(world.bob, "vm-user", vm)
    caller("bob").post(f"vms/{vm.pk}/start/")
    caller("bob").delete(f"vms/{vm.pk}/")  # a refusal of bob's, with an address
    alice = caller("alice")
    for path in ("events/", "jobs/", "grants/", "sessions/", "users/", "groups/", "quotas/"):
        for query in ({}, {"search": "secret"}, {"search": "bob"}):
            answer = alice.get(path, **query)
            if answer.status_code == 400 and query:
                continue  # a list without a search
            text = answer.content.decode()
            assert answer.status_code == 200, (path, query)
            assert "secret-server" not in text and '"bob"' not in text and "127.0.0.1" not in text, (path, query)
    assert Grant.objects.filter(user=world.bob).exists()
