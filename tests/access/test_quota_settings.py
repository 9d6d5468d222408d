"""Who may set a quota, and what one must be like."""

import pytest

from broker.access.actions.create_quota import create_quota
from broker.access.actions.delete_quota import delete_quota
from broker.access.actions.edit_quota import edit_quota
from broker.access.models import Quota
from broker.core.errors import Conflict, Denied, Invalid, Missing
from broker.events.models import Event
from broker.virt.models import Cluster

from .scene import whose_quota


class TestSettingThem:
    def test_an_administrator_sets_changes_and_removes_one(self, world):
        root = world.actor("root")
        row = create_quota(actor=root, group=world.staff, each=True, running=2, grace_percent=10)
        assert (row.mode, row.threshold_percent) == ("enforced", 80)
        row = edit_quota(actor=root, quota=row, running=None, vcpus=4, mode="audit")
        assert (row.running, row.vcpus, row.mode) == (None, 4, "audit")
        delete_quota(actor=root, quota=row)
        assert not Quota.objects.exists()
        kinds = Event.objects.order_by("id").values_list("kind", flat=True)
        assert list(kinds) == ["quota.created", "quota.changed", "quota.deleted"]

    def test_others_may_not(self, world):
        row = Quota.objects.create(user=world.alice, running=1)
        world.grant(world.bob, "auditor")
        world.grant(world.staff, "cluster-admin", world.cluster)
        for who in ("alice", "bob"):
            with pytest.raises(Denied):
                create_quota(actor=world.actor(who), user=world.bob, running=9)
            with pytest.raises(Denied):
                edit_quota(actor=world.actor(who), quota=row, running=9)
            with pytest.raises(Denied):
                delete_quota(actor=world.actor(who), quota=row)
        with pytest.raises(Missing):
            create_quota(actor=world.actor("charlie"), cluster=world.cluster, running=9)
        row.refresh_from_db()
        assert row.running == 1 and Quota.objects.count() == 1

    def test_of_a_cluster_by_who_may_there_and_only_there(self, world):
        world.grant(world.alice, "quota-admin", world.cluster)
        other = Cluster.objects.create(name="other")
        create_quota(actor=world.actor("alice"), user=world.bob, cluster=world.cluster, running=1)
        for where in ({"user": world.bob}, {"user": world.bob, "cluster": other}):
            with pytest.raises((Denied, Missing)):
                create_quota(actor=world.actor("alice"), running=1, **where)

    @pytest.mark.parametrize(
        ("wish", "field"),
        [
            ({}, "user"), ({"user": 1, "group": 1}, "group"), ({"user": 1, "each": True}, "each"),
            ({"user": 1, "running": -1}, "running"), ({"user": 1, "running": True}, "running"),
            ({"user": 1, "vcpus": 10**10}, "vcpus"), ({"user": 1, "vcpus": "8"}, "vcpus"),
            ({"user": 1, "mode": "hard"}, "mode"), ({"user": 1, "grace_percent": None}, "grace_percent"),
            ({"user": 1, "threshold_percent": 101}, "threshold_percent"), ({"user": 1, "epoch": 1}, "epoch"),
            ({"user": 1}, "vcpus"), ({"user": 1, "running": 1, "grace_hours": 5}, "grace_hours"),
        ],
    )  # fmt: skip
    def test_what_makes_no_sense_is_refused_at_its_field(self, world, wish, field):
        people = {"user": world.alice, "group": world.staff}
        limit = {} if wish == {"user": 1} else {"machines": 1}
        wish = {**limit, **{name: people.get(name, value) for name, value in wish.items()}}
        with pytest.raises(Invalid) as refused:
            create_quota(actor=world.actor("root"), **wish)
        assert refused.value.field == field
        assert not Quota.objects.exists()

    @pytest.mark.parametrize("whose", ["user", "group", "cluster", "user in cluster"])
    def test_one_for_each(self, world, whose):
        create_quota(actor=world.actor("root"), running=1, **whose_quota(world, whose))
        with pytest.raises(Conflict):
            create_quota(actor=world.actor("root"), running=1, **whose_quota(world, whose))

    def test_the_last_limit_cannot_be_taken_away(self, world):
        row = Quota.objects.create(user=world.alice, running=1)
        with pytest.raises(Invalid):
            edit_quota(actor=world.actor("root"), quota=row, running=None)
