"""The back office: every list opens, verbs call the actions, nothing can be written past them."""

import pytest
from django.test import Client
from django.urls import reverse

from broker.access.models import Grant, Role
from broker.directories.models import Group, User
from broker.events.models import Event
from broker.jobs.models import Job
from broker.virt.models import Cluster, Host, Network, VirtualMachine
from pools.models import Desktop, Pool
from tests.portal.api.conftest import make_desktop, make_pool, make_vm  # noqa: F401 - fixtures

pytestmark = pytest.mark.urls("tests.portal.admin.urls")


@pytest.fixture
def root(world):
    client = Client()
    client.force_login(world.root)
    return client


@pytest.fixture
def auditor(world):
    world.grant(world.bob, "auditor")
    client = Client()
    client.force_login(world.bob)
    return client


@pytest.fixture
def furnished(world, make_vm, make_pool, make_desktop):  # noqa: F811
    """Something in the lists."""
    make_vm("one", power="running", cpu_percent=70)
    pool = make_pool("seats", size=2)
    make_desktop(pool, 1, holder=world.alice)
    make_desktop(pool, 2)
    return world


def address(model, page, *args):
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{page}", args=args)


def test_the_first_page_counts(root, furnished):
    page = root.get(reverse("admin:index")).content.decode()
    assert "Machines" in page
    assert "1 running" in page
    assert "host-1" in page


def test_a_clusters_ranges_of_addresses(root, world):
    there = address(Cluster, "change", world.cluster.pk)
    refused = root.post(there, {"name": "main", "description": "", "mac_ranges": "x"}, follow=True)
    assert "is not a range of addresses" in refused.content.decode() and Cluster.objects.get().mac_ranges == ""
    ranges = "02:00:00:00:00:00-02:00:00:00:00:ff"
    assert root.post(there, {"name": "first", "description": "", "mac_ranges": ranges}).status_code == 302
    row = Cluster.objects.get()
    assert (row.name, row.mac_ranges) == ("first", ranges), "the row is written, not only the form's copy of it"
    assert Cluster.objects.get().mac_ranges == ranges
    assert "0 of 256" in root.get(there).content.decode()
    body = {"name": "second", "description": "", "mac_ranges": ranges}
    assert root.post(address(Cluster, "add"), body).status_code == 302
    assert Cluster.objects.get(name="second").mac_ranges == ranges


def test_the_rest_of_the_site_stays_strict(root, world):
    assert "unsafe" not in root.get("/").headers["Content-Security-Policy"]


def test_who_may_not_look_is_sent_away(world):
    client = Client()
    answer = client.get(reverse("admin:index"))
    answer = client.get(answer["Location"])
    assert answer["Location"].startswith("/sign-in?next=/admin/")
    client.force_login(world.alice)
    assert client.get(reverse("admin:index"), follow=True).status_code == 403


def test_sign_in_leads_nowhere_else(world):
    answer = Client().get(reverse("admin:login"), {"next": "https://evil.example/"})
    assert "evil" not in answer["Location"]


def test_an_auditor_looks_and_changes_nothing(auditor, furnished):
    vm = VirtualMachine.objects.get(name="one")
    page = auditor.get(address(VirtualMachine, "change", vm.pk))
    assert page.status_code == 200
    assert b'name="title"' not in page.content
    assert auditor.post(address(VirtualMachine, "change", vm.pk), {"title": "mine"}).status_code == 403
    assert auditor.post(f"/admin/virt/virtualmachine/{vm.pk}/power_off/").status_code == 403
    assert auditor.get(address(User, "add")).status_code == 403
    vm.refresh_from_db()
    assert vm.title == ""
    assert not Job.objects.exists()


class TestDeeds:
    def test_a_link_asks_and_changes_nothing(self, root, furnished):
        vm = VirtualMachine.objects.get(name="one")
        page = root.get(f"/admin/virt/virtualmachine/{vm.pk}/power_off/")
        assert b"loses what is not saved" in page.content
        assert not Job.objects.exists()

    def test_the_button_enqueues_the_job(self, root, furnished):
        vm = VirtualMachine.objects.get(name="one")
        page = root.post(f"/admin/virt/virtualmachine/{vm.pk}/power_off/", follow=True)
        job = Job.objects.get()
        assert (job.plan, job.subject_id, job.actor_name) == ("vm.power-off", vm.pk, "root")
        assert f"/admin/jobs/job/{job.pk}/change/" in page.content.decode()

    def test_many_at_once_ask_back_when_they_destroy(self, root, furnished):
        vm = VirtualMachine.objects.get(name="one")
        chosen = {"action": "do_delete_to_many", "_selected_action": [str(vm.pk)]}
        page = root.post(address(VirtualMachine, "changelist"), chosen)
        assert b"Nothing of it can be brought back" in page.content
        assert not Job.objects.exists()
        root.post(address(VirtualMachine, "changelist"), {**chosen, "confirmed": "yes"})
        assert Job.objects.get().plan == "vm.delete"

    def test_a_machine_goes_and_its_disks_stay(self, root, furnished):
        vm = VirtualMachine.objects.get(name="one")
        VirtualMachine.objects.filter(pk=vm.pk).update(linked=False)
        there = f"/admin/virt/virtualmachine/{vm.pk}/delete_keeping_disks/"
        assert b"Its disks stay as disks of no machine" in root.get(there).content
        root.post(there)
        assert Job.objects.get().args["keep"] == {"owner": str(User.objects.get(username="root").pk)}

    def test_a_refusal_is_told_and_recorded(self, root, furnished):
        vm = VirtualMachine.objects.get(name="one")  # it runs
        page = root.post(f"/admin/virt/virtualmachine/{vm.pk}/start/", follow=True)
        event = Event.objects.get(kind="admin.refused")
        assert event.params["cause"] in page.content.decode()
        assert not Job.objects.exists()

    def test_a_desktop_is_taken_back(self, root, furnished):
        desktop = Desktop.objects.get(holder__isnull=False)
        root.post(f"/admin/pools/desktop/{desktop.pk}/release/")
        desktop.refresh_from_db()
        assert desktop.holder is None

    def test_a_host_goes_to_maintenance(self, root, furnished):
        root.post(f"/admin/virt/host/{furnished.host.pk}/maintain/")
        assert Host.objects.get(pk=furnished.host.pk).state == "maintenance"

    def test_the_console_button_leads_to_the_console(self, root, furnished):
        vm = VirtualMachine.objects.get(name="one")
        assert root.get(f"/admin/virt/virtualmachine/{vm.pk}/console/")["Location"] == f"/vms/{vm.pk}/console/"


class TestForms:
    def test_a_machine_is_retitled_and_its_state_stays(self, root, furnished):
        vm = VirtualMachine.objects.get(name="one")
        counts = {
            f"{part}-{form}_FORMS": 0
            for part in ("disks", "disk_shares", "nics", "devices")
            for form in ("TOTAL", "INITIAL")
        }
        kept = {"description": "", "vcpus": vm.vcpus, "memory_mib": vm.memory_mib, "on_error": vm.on_error}
        kept |= {"autostart": "on", "autostart_order": 7, "autostart_delay": 0}
        body = {"title": "Mine", "power_state": "off", "state": "broken", "name": "other", **kept, **counts}
        answer = root.post(address(VirtualMachine, "change", vm.pk), body)
        assert answer.status_code == 302
        vm.refresh_from_db()
        assert (vm.title, vm.name, vm.state, vm.power_state) == ("Mine", "one", "ready", "running")
        assert (vm.autostart, vm.autostart_order) == (True, 7)
        assert Event.objects.filter(kind__startswith="vm.", subject_id=vm.pk).exists()

    def test_a_machine_cannot_be_written_into_existence_or_out_of_it(self, root, furnished):
        vm = VirtualMachine.objects.get(name="one")
        assert root.post(address(VirtualMachine, "add"), {"name": "x"}).status_code == 403
        root.post(address(VirtualMachine, "delete", vm.pk), {"post": "yes"})
        assert Job.objects.get().plan == "vm.delete"
        assert VirtualMachine.objects.filter(pk=vm.pk, state="deleting").exists()

    def test_a_user_is_made_and_given_a_password(self, root, world):
        body = {"username": "erin", "display_name": "Erin", "email": "", "password": "a longer one indeed"}
        root.post(address(User, "add"), body)
        erin = User.objects.get(username="erin")
        assert erin.check_password("a longer one indeed")
        root.post(address(User, "change", erin.pk), {"display_name": "E", "email": "", "password": "another long one"})
        erin.refresh_from_db()
        assert erin.display_name == "E"
        assert erin.check_password("another long one")
        assert "another long one" not in str(list(Event.objects.values_list("params", flat=True)))

    def test_a_weak_password_is_refused(self, root, world):
        root.post(address(User, "add"), {"username": "erin", "password": "short"})
        assert not User.objects.filter(username="erin").exists()
        assert Event.objects.filter(kind="admin.refused").exists()

    def test_a_group_gets_members(self, root, world):
        root.post(address(Group, "add"), {"name": "makers", "people": [str(world.alice.pk), str(world.bob.pk)]})
        assert set(Group.objects.get(name="makers").members.all()) == {world.alice, world.bob}

    def test_a_grant_is_given_and_taken(self, root, world, make_pool):  # noqa: F811
        pool, role = make_pool("seats"), Role.objects.get(name="pool-user")
        body = {"role": role.pk, "user": world.alice.pk, "group": "", "object_kind": "pool", "object_id": str(pool.pk)}
        root.post(address(Grant, "add"), body)
        row = Grant.objects.get(user=world.alice)
        assert (row.object_kind, row.object_id) == ("pool", pool.pk)
        root.post(address(Grant, "delete", row.pk), {"post": "yes"})
        assert not Grant.objects.filter(user=world.alice).exists()

    def test_a_grant_on_nothing_is_refused(self, root, world):
        role = Role.objects.get(name="pool-user")
        body = {"role": role.pk, "user": world.alice.pk, "object_kind": "pool", "object_id": str(world.host.pk)}
        page = root.post(address(Grant, "add"), body)
        assert b"There is no such pool" in page.content

    def test_the_last_administrator_stays(self, root, world):
        row = Grant.objects.get(user=world.root)
        root.post(address(Grant, "delete", row.pk), {"post": "yes"})
        assert Grant.objects.filter(pk=row.pk).exists()

    def test_a_pool_is_made_and_resized(self, root, world):
        body = {"name": "seats", "title": "Seats", "description": "", "template": world.template.pk, "version": "",
                "storage": world.storage.pk, "network": "", "kind": "automatic", "name_pattern": "",
                "size": 1, "prestarted": 0, "suspended": 0, "zone": "UTC", "after_hours": "keep",
                "max_per_user": 1}  # fmt: skip
        root.post(address(Pool, "add"), body)
        pool = Pool.objects.get(name="seats")
        root.post(address(Pool, "change", pool.pk), {**body, "size": 3})
        pool.refresh_from_db()
        assert pool.size == 3

    def test_a_network_is_made(self, root, world):
        body = {"cluster": world.cluster.pk, "name": "lab", "kind": "nat", "bridge": "", "subnet": "10.9.0.0/24"}
        root.post(address(Network, "add"), body)
        assert Network.objects.get(name="lab").subnet == "10.9.0.0/24"

    def test_builtin_roles_and_events_stay(self, root, world):
        role = Role.objects.get(name="operator")
        assert root.post(address(Role, "change", role.pk), {"title": "x", "verbs": "*"}).status_code == 403
        world.grant(world.alice, "operator")
        event = Event.objects.create(at="2026-01-01T00:00Z", kind="x", actor_name="x", template="x")
        assert root.post(address(Event, "change", event.pk), {"kind": "y"}).status_code == 403
        assert root.post(address(Event, "delete", event.pk), {"post": "yes"}).status_code == 403

    def test_a_role_is_made(self, root, world):
        root.post(address(Role, "add"), {"name": "desk", "title": "Desk", "verbs": "vm.view, vm.power"})
        assert Role.objects.get(name="desk").verbs == ["vm.power", "vm.view"]
