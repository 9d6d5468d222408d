"""Grants, roles and jobs: who may, what is refused, what is written down."""

import pytest

from broker.access.actions.cancel_job import cancel_job
from broker.access.actions.create_role import create_role
from broker.access.actions.delete_role import delete_role
from broker.access.actions.edit_role import edit_role
from broker.access.actions.grant import grant
from broker.access.actions.revoke import revoke
from broker.access.actor import Actor
from broker.access.models import Grant, Role
from broker.access.require import may
from broker.core.errors import Conflict, Denied, Invalid, Missing
from broker.directories.actions.disable_user import disable_user
from broker.events.models import Event
from broker.jobs.models import Job
from broker.jobs.states import JobState
from tests.portal.api.conftest import make_pool  # noqa: F401 - a fixture


@pytest.fixture
def pool_user(world):
    return Role.objects.get(name="pool-user")


class TestGrant:
    def test_an_administrator_gives_and_takes(self, world, make_pool, pool_user):  # noqa: F811
        pool = make_pool("seats")
        row = grant(actor=world.actor("root"), role=pool_user, user=world.alice, obj=pool)
        assert may(world.actor("alice"), "pool.use", pool)
        revoke(actor=world.actor("root"), grant=row)
        assert not may(world.actor("alice"), "pool.view", pool)
        assert set(Event.objects.values_list("kind", flat=True)) == {"grant.given", "grant.revoked"}

    def test_others_may_not(self, world, make_pool, pool_user):  # noqa: F811
        pool = make_pool("seats")
        for name in ("alice", "charlie"):
            with pytest.raises(Missing):
                grant(actor=world.actor(name), role=pool_user, user=world.alice, obj=pool)
            with pytest.raises(Denied):
                grant(actor=world.actor(name), role=Role.objects.get(name="admin"), user=world.alice)
        row = world.grant(world.alice, "pool-user", pool)
        with pytest.raises(Missing):
            revoke(actor=world.actor("charlie"), grant=row)
        with pytest.raises(Denied):
            revoke(actor=world.actor("alice"), grant=row)

    def test_who_manages_a_pool_passes_on_only_what_they_have_there(self, world, make_pool, pool_user):  # noqa: F811
        pool = make_pool("seats")
        world.grant(world.bob, "operator")
        grant(actor=world.actor("bob"), role=pool_user, group=world.staff, obj=pool)
        grant(actor=world.actor("bob"), role=Role.objects.get(name="operator"), group=world.staff, obj=pool)
        for role in ("admin", "cluster-admin", "auditor", "template-admin"):
            with pytest.raises(Denied):
                grant(actor=world.actor("bob"), role=Role.objects.get(name=role), user=world.bob, obj=pool)
        with pytest.raises(Denied):
            grant(actor=world.actor("bob"), role=pool_user, user=world.alice)

    def test_twice_or_to_nobody_or_to_both_is_refused(self, world, make_pool, pool_user):  # noqa: F811
        pool, root = make_pool("seats"), world.actor("root")
        grant(actor=root, role=pool_user, user=world.alice, obj=pool)
        with pytest.raises(Conflict):
            grant(actor=root, role=pool_user, user=world.alice, obj=pool)
        with pytest.raises(Invalid):
            grant(actor=root, role=pool_user, obj=pool)
        with pytest.raises(Invalid):
            grant(actor=root, role=pool_user, user=world.alice, group=world.staff, obj=pool)

    def test_the_last_administrator_cannot_be_taken_away(self, world):
        row = Grant.objects.get(user=world.root)
        with pytest.raises(Conflict):
            revoke(actor=world.actor("root"), grant=row)
        row = Grant.objects.get(user=world.root)
        with pytest.raises(Conflict):
            disable_user(actor=world.actor("root"), user=world.root)
        world.root.refresh_from_db()
        assert world.root.is_active
        world.grant(world.staff, "admin")  # bob is in staff
        revoke(actor=world.actor("root"), grant=row)


class TestRoles:
    def test_own_roles_come_and_go(self, world):
        root = world.actor("root")
        role = create_role(actor=root, name="desk", title="Desk", verbs=["vm.view", "vm.view"])
        assert role.verbs == ["vm.view"]
        edit_role(actor=root, role=role, verbs=["vm.*"])
        held = world.grant(world.alice, "desk")
        with pytest.raises(Conflict):
            delete_role(actor=root, role=role)
        held.delete()
        delete_role(actor=root, role=role)
        assert not Role.objects.filter(name="desk").exists()

    def test_others_may_not(self, world):
        world.grant(world.bob, "operator")
        role = Role.objects.create(name="mine", title="x", verbs=[])
        for name in ("alice", "bob"):
            with pytest.raises(Denied):
                create_role(actor=world.actor(name), name="x", title="x", verbs=["*"])
            with pytest.raises(Denied):
                edit_role(actor=world.actor(name), role=role, verbs=["*"])
            with pytest.raises(Denied):
                delete_role(actor=world.actor(name), role=role)

    @pytest.mark.parametrize("verb", ["vm.fly", "", "VM.view", "host"])
    def test_a_right_that_does_not_exist_is_refused(self, world, verb):
        with pytest.raises(Invalid):
            create_role(actor=world.actor("root"), name="x", title="x", verbs=[verb])

    def test_builtin_roles_stay(self, world):
        role = Role.objects.get(name="operator")
        with pytest.raises(Conflict):
            edit_role(actor=world.actor("root"), role=role, verbs=["*"])
        with pytest.raises(Conflict):
            delete_role(actor=world.actor("root"), role=role)


class TestCancelJob:
    @pytest.fixture
    def job(self, world):
        return Job.objects.create(
            plan="nobody.knows", title="Work", subject_kind="vm", subject_id=world.host.pk, subject_name="x",
            actor=world.alice, actor_name="alice",
        )  # fmt: skip

    def test_whose_job_it_is_and_who_may_cancel_jobs(self, world, job):
        assert cancel_job(actor=world.actor("alice"), job=job).cancel_requested
        cancel_job(actor=world.actor("root"), job=job)
        assert Event.objects.filter(kind="job.cancelled").count() == 1

    def test_others_may_not(self, world, job):
        with pytest.raises(Missing):
            cancel_job(actor=world.actor("charlie"), job=job)
        world.grant(world.charlie, "auditor")
        with pytest.raises(Denied):
            cancel_job(actor=world.actor("charlie"), job=job)
        job.refresh_from_db()
        assert not job.cancel_requested

    def test_what_has_ended_stays_ended(self, world, job):
        Job.objects.filter(pk=job.pk).update(state=JobState.SUCCEEDED)
        with pytest.raises(Conflict):
            cancel_job(actor=Actor.system("test"), job=job)
