"""Roles, permissions, quotas and "what may they do": who sees what, what the forms do, and what the pages cost."""

import pytest
from django.urls import reverse

from broker.access.models import Grant, Quota, Role
from broker.access.require import may
from broker.directories.models import Group
from tests.portal.web.test_pages import assert_strict, cost

LISTS = ("roles", "quotas", "permissions-system", "my-rights")
FORMS = ("role-new", "quota-new")


@pytest.fixture
def quota(site):
    return Quota.objects.create(group=site.world.staff, each=True, running=2, vcpus=3)


def pages(site, quota) -> dict[str, tuple]:
    role = Role.objects.create(name="desk", title="Desk", verbs=["vm.view"])
    return {
        "rights": (site.world.bob.pk,), "role": (role.pk,), "role-copy": (role.pk,), "role-edit": (role.pk,),
        "quota-edit": (quota.pk,), "permissions": ("pool", site.pool.pk),
    }  # fmt: skip


def test_an_administrator_opens_every_page_and_none_breaks_its_policy(site, quota):
    client = site.client("root")
    addresses = [reverse(f"portal:{name}") for name in LISTS + FORMS]
    addresses += [reverse(f"portal:{name}", args=args) for name, args in pages(site, quota).items()]
    addresses += [
        reverse("portal:permissions", args=[kind, obj.pk])
        for kind, obj in (("vm", site.server), ("host", site.world.host), ("cluster", site.world.cluster))
    ]
    addresses.append(reverse("portal:rights", args=[site.world.alice.pk]) + f"?on=vm:{site.desktop.pk}")
    for address in addresses:
        response = client.get(address)
        assert response.status_code == 200, address
        assert_strict(response.content.decode())


def test_a_stranger_sees_their_own_rights_and_nothing_else(site, quota):
    client = site.client("charlie")
    for name, args in pages(site, quota).items():
        assert client.get(reverse(f"portal:{name}", args=args)).status_code in (403, 404), name
    for name in (*FORMS, "permissions-system"):
        assert client.get(reverse(f"portal:{name}")).status_code == 403, name
    for name in ("roles", "quotas", "my-rights"):
        text = client.get(reverse(f"portal:{name}")).content.decode()
        for secret in ("desk-1", "Desk pool", "each of staff", "Administrator", "host-1"):
            assert secret not in text, (name, secret)


def test_alice_reads_why_she_may_use_her_desktop(site, quota):
    Quota.objects.create(user=site.world.alice, running=1)
    client = site.client("alice")
    text = client.get(reverse("portal:my-rights"), {"on": f"vm:{site.desktop.pk}"}).content.decode()
    assert "has this desktop" in text and "Desk pool" in text and "1 of 1" in text
    assert client.get(reverse("portal:rights", args=[site.world.bob.pk])).status_code == 404
    about = client.get(reverse("portal:my-rights"), {"on": f"vm:{site.server.pk}"})
    assert about.status_code == 404 and "secret-server" not in about.content.decode()


@pytest.mark.parametrize("on", ["vm", "vm:", "nothing:1", "vm:x", ":", "vm:\0", "user:1"])
def test_strange_questions_are_refused(site, on):
    response = site.client("root").get(reverse("portal:my-rights"), {"on": on})
    assert response.status_code in (200, 400, 404)


class TestRoles:
    def test_one_is_made_copied_changed_and_removed(self, site):
        client = site.client("root")
        made = client.post(reverse("portal:role-new"), {"title": "Desk", "name": "desk", "verbs": ["vm.view"]})
        role = Role.objects.get(name="desk")
        assert made.url == reverse("portal:role", args=[role.pk]) and role.verbs == ["vm.view"]
        form = client.get(reverse("portal:role-copy", args=[Role.objects.get(name="operator").pk])).content.decode()
        assert 'value="operator-copy"' in form and 'value="vm.*" checked' in form
        client.post(
            reverse("portal:role-edit", args=[role.pk]), {"title": "Desks", "verbs": ["vm.*", "vm.view", "pool.view"]}
        )
        role.refresh_from_db()
        assert (role.title, role.verbs) == ("Desks", ["pool.view", "vm.*"])
        client.post(reverse("portal:role-delete", args=[role.pk]))
        assert not Role.objects.filter(name="desk").exists()

    def test_only_rights_of_ones_own_are_offered_and_taken(self, site):
        world = site.world
        Role.objects.create(name="clerk", title="x", verbs=["system.manage", "system.view", "vm.view"])
        world.grant(world.bob, "clerk")
        client = site.client("bob")
        text = client.get(reverse("portal:role-new")).content.decode()
        assert 'value="vm.view"' in text and 'value="vm.delete"' not in text and 'value="*"' not in text
        answer = client.post(reverse("portal:role-new"), {"title": "x", "name": "all", "verbs": ["*"]})
        assert answer.status_code == 400 and not Role.objects.filter(name="all").exists()
        admin = Role.objects.get(name="admin")
        given = client.post(
            reverse("portal:permission-give"), {"kind": "system", "role": admin.pk, "name": "bob"}
        )  # fmt: skip
        assert given.status_code == 403 and "rights that you do not have" in given.content.decode()
        assert not may(world.actor("bob"), "vm.delete")


class TestPermissions:
    def test_a_role_is_given_and_taken_on_an_object(self, site):
        client, world = site.client("root"), site.world
        role = Role.objects.get(name="pool-admin")
        wish = {"kind": "pool", "object": site.pool.pk, "role": role.pk, "name": "STAFF"}
        assert client.post(reverse("portal:permission-give"), wish).status_code == 302
        row = Grant.objects.get(group=world.staff, role=role)
        page = client.get(reverse("portal:permissions", args=["pool", site.pool.pk])).content.decode()
        assert "Pool administrator" in page and "staff" in page and "the whole system" in page
        assert client.post(reverse("portal:permission-take", args=[row.pk])).status_code == 302
        assert not Grant.objects.filter(pk=row.pk).exists()

    def test_who_manages_a_pool_sees_and_gives_there_and_nowhere_else(self, site):
        world = site.world
        world.grant(world.bob, "pool-admin", site.pool)
        client = site.client("bob")
        address = reverse("portal:permissions", args=["pool", site.pool.pk])
        text = client.get(address).content.decode()
        assert "alice" in text and "root" not in text
        assert "Pool user" in text and 'value="' + str(Role.objects.get(name="operator").pk) not in text
        assert client.get(reverse("portal:permissions", args=["cluster", world.cluster.pk])).status_code == 404
        wish = {"kind": "pool", "object": site.pool.pk, "role": Role.objects.get(name="pool-user").pk}
        assert client.post(reverse("portal:permission-give"), {**wish, "name": "charlie"}).status_code == 302
        assert may(world.actor("charlie"), "pool.use", site.pool)
        roots = Grant.objects.get(user=world.root)
        assert client.post(reverse("portal:permission-take", args=[roots.pk])).status_code == 404

    @pytest.mark.parametrize(
        "wish", [{}, {"kind": "nothing"}, {"kind": "pool", "object": "x"}, {"kind": "system", "role": "x"}]
    )
    def test_nonsense_is_refused(self, site, wish):
        grants = Grant.objects.count()
        assert site.client("root").post(reverse("portal:permission-give"), wish).status_code in (400, 404)
        assert Grant.objects.count() == grants


class TestQuotas:
    def test_one_is_set_changed_and_removed(self, site):
        client = site.client("root")
        wish = {"mode": "enforced", "threshold_percent": 80, "grace_percent": 0}
        made = client.post(reverse("portal:quota-new"), {**wish, "group": "staff", "each": "on", "running": 2})
        assert made.status_code == 302
        row = Quota.objects.get()
        assert (row.group, row.each, row.running, row.vcpus) == (site.world.staff, True, 2, None)
        client.post(reverse("portal:quota-edit", args=[row.pk]), {**wish, "mode": "audit", "vcpus": 4})
        row.refresh_from_db()
        assert (row.mode, row.running, row.vcpus) == ("audit", None, 4)
        again = client.post(reverse("portal:quota-new"), {**wish, "group": "staff", "each": "on", "running": 2})
        assert again.status_code == 400 and "already" in again.content.decode()
        nobody = client.post(reverse("portal:quota-new"), {**wish, "user": "nobody", "running": 2})
        assert nobody.status_code == 400 and "nobody of that name" in nobody.content.decode()
        client.post(reverse("portal:quota-delete", args=[row.pk]))
        assert not Quota.objects.exists()

    def test_the_list_tells_what_is_used_and_by_whom_most(self, site, quota):
        site.machine("bobs", owner=site.world.bob, vcpus=4)
        text = site.client("root").get(reverse("portal:quotas")).content.decode()
        assert "each of staff" in text and "1 of 2" in text and "4 of 3" in text
        assert "over the limit" in text and "most: bob" in text


@pytest.mark.parametrize("name", LISTS)
def test_lists_cost_the_same_at_any_length(site, quota, name):
    client, world = site.client("root"), site.world
    site.machine("owned-0", owner=world.bob)
    world.staff.members.add(world.root)
    world.grant(world.root, "vm-user", site.granted)
    world.grant(world.staff, "vm-user", site.granted)
    Quota.objects.create(cluster=world.cluster, machines=100)
    few = cost(client, reverse(f"portal:{name}"))
    for number in range(8):
        group = Group.objects.create(directory=world.directory, name=f"group-{number}")
        group.members.add(world.bob, world.root)
        Quota.objects.create(group=group, each=bool(number % 2), running=5, disk_gib=9)
        Role.objects.create(name=f"role-{number}", title="x", verbs=["vm.view"])
        vm = site.machine(f"owned-{number + 1}", owner=world.bob)
        world.grant(group, f"role-{number}", vm)
        world.grant(world.root, f"role-{number}")
    assert cost(client, reverse(f"portal:{name}")) == few


def test_the_permissions_of_an_object_cost_the_same_at_any_number(site):
    client, address = site.client("root"), reverse("portal:permissions", args=["pool", site.pool.pk])
    site.world.grant(site.world.staff, "viewer", site.world.cluster)
    few = cost(client, address)
    for number in range(8):
        group = Group.objects.create(directory=site.world.directory, name=f"group-{number}")
        site.world.grant(group, "pool-user", site.pool)
        site.world.grant(group, "viewer", site.world.cluster)
    assert cost(client, address) == few
