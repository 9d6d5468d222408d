"""What buttons do: each goes through its action, and says how it went."""

import json

import pytest
from django.urls import reverse

from broker.access.models import Grant
from broker.connections.models import ConsoleTicket
from broker.jobs.models import Job
from broker.virt.models import VirtualMachine
from pools.models import Desktop, Pool

HTMX = {"HX-Request": "true"}


def plan_on(vm) -> str:
    return Job.objects.filter(subject_kind="vm", subject_id=vm.pk).values_list("plan", flat=True).first() or ""


@pytest.mark.parametrize(
    ("verb", "plan"),
    [
        ("shutdown", "vm.shutdown"), ("power-off", "vm.power-off"), ("reboot", "vm.reboot"), ("reset", "vm.reset"),
        ("suspend", "vm.suspend"), ("pause", "vm.pause"),
    ],
)  # fmt: skip
def test_power_of_a_running_machine(site, verb, plan):
    response = site.client("alice").post(reverse("portal:vm-power", args=[site.desktop.pk, verb]), headers=HTMX)
    assert response.status_code == 204
    assert json.loads(response["HX-Trigger"])["berth:toast"]["level"] == "good"
    assert plan_on(site.desktop) == plan


def test_starting_what_runs_is_refused_with_cause_and_fix(site):
    response = site.client("alice").post(reverse("portal:vm-power", args=[site.desktop.pk, "start"]), headers=HTMX)
    assert response.status_code == 409
    told = json.loads(response["HX-Trigger"])["berth:toast"]
    assert told["level"] == "bad" and told["text"] and told["fix"]


def test_an_unknown_verb_is_not_found(site):
    assert site.client("alice").post(reverse("portal:vm-power", args=[site.desktop.pk, "explode"])).status_code == 404


def test_connect_starts_a_machine_that_is_off_and_leads_to_its_screen(site):
    client = site.client("bob")
    response = client.post(reverse("portal:vm-connect", args=[site.granted.pk]))
    assert response.status_code == 302
    assert response.url == reverse("portal:console", args=[site.granted.pk])
    assert plan_on(site.granted) == "vm.start"
    page = client.get(response.url).content.decode()
    assert 'data-ready="no"' in page and "<progress" in page


def test_taking_a_desktop_leads_to_its_screen(site):
    response = site.client("alice").post(reverse("portal:pool-take", args=[site.pool.pk]))
    assert response.url == reverse("portal:console", args=[site.free.pk])
    assert Desktop.objects.get(pk=site.free.pk).holder == site.world.alice


def test_a_pool_without_a_free_desktop_says_so(site):
    Desktop.objects.filter(pk=site.free.pk).update(state="broken")
    type(site.pool).objects.filter(pk=site.pool.pk).update(kind="manual", size=2)
    response = site.client("alice").post(reverse("portal:pool-take", args=[site.pool.pk]))
    assert response.status_code == 503
    assert "To my desktops" in response.content.decode()


def test_giving_a_desktop_back(site):
    response = site.client("alice").post(reverse("portal:vm-release", args=[site.desktop.pk]), headers=HTMX)
    assert response.status_code == 204 and response["HX-Redirect"] == "/"
    assert Desktop.objects.get(pk=site.desktop.pk).holder is None


def test_somebody_elses_desktop_cannot_be_given_back(site):
    site.world.grant(site.world.bob, "pool-user", site.pool)
    assert site.client("bob").post(reverse("portal:vm-release", args=[site.desktop.pk])).status_code == 404
    assert Desktop.objects.get(pk=site.desktop.pk).holder == site.world.alice


def test_deleting_a_machine(site):
    response = site.client("root").post(reverse("portal:vm-delete", args=[site.granted.pk]), headers=HTMX)
    assert response.status_code == 204 and response["HX-Redirect"] == reverse("portal:vms")
    assert plan_on(site.granted) == "vm.delete"


def test_cancelling_a_job(site):
    response = site.client("root").post(reverse("portal:job-cancel", args=[site.job.pk]), headers=HTMX)
    assert response.status_code == 204
    site.job.refresh_from_db()
    assert site.job.cancel_requested


def machine_form(site, **values):
    return {"name": "made", "version": site.world.version.pk, "linked": "on", **values}


def test_making_a_machine(site):
    response = site.client("root").post(reverse("portal:vm-new"), machine_form(site, title="Made by hand"))
    vm = VirtualMachine.objects.get(name="made")
    assert response.status_code == 302 and response.url == reverse("portal:vm", args=[vm.pk])
    assert plan_on(vm) == "vm.create" and vm.vcpus == site.world.version.vcpus


@pytest.mark.parametrize("name", ["", "no spaces please", "x" * 500, "<b>", "a\u200bb", "desk-1"])
def test_a_bad_name_of_a_machine_is_shown_at_the_form(site, name):
    response = site.client("root").post(reverse("portal:vm-new"), machine_form(site, name=name))
    assert response.status_code == 400
    assert "field-error" in response.content.decode() or 'role="alert"' in response.content.decode()
    assert not Job.objects.filter(plan="vm.create").exists()


def test_editing_a_machine(site):
    address = reverse("portal:vm-edit", args=[site.granted.pk])
    values = {"title": "New title", "description": "", "vcpus": 2, "memory_mib": 1024}
    assert site.client("root").post(address, values).status_code == 302
    site.granted.refresh_from_db()
    assert site.granted.title == "New title" and site.granted.vcpus == 2
    assert site.client("bob").post(address, values).status_code in (400, 403)


def test_choosing_the_hardware_of_a_machine(site):
    address, client = reverse("portal:vm-hardware", args=[site.granted.pk]), site.client("root")
    values = {
        name: value for name, value in client.get(address).context["form"].initial.items() if value is not False
    }  # fmt: skip
    assert client.post(address, values).status_code == 302
    site.granted.refresh_from_db()
    assert site.granted.options == {}, "what nobody changed is not chosen"
    VirtualMachine.objects.filter(pk=site.granted.pk).update(vcpus=4)
    assert client.post(address, {**values, "tpm": "on", "sockets": 2, "cores": 2}).status_code == 302
    site.granted.refresh_from_db()
    assert site.granted.options == {"tpm": True, "sockets": 2, "cores": 2, "threads": 1}
    refused = client.post(address, {**values, "sockets": 7})
    assert refused.status_code == 400 and "field-error" in refused.content.decode()
    assert site.client("bob").post(address, values).status_code in (400, 403)


def pool_form(site, **values):
    return {
        "name": "second", "title": "Second pool", "template": site.world.template.pk, "storage": site.world.storage.pk,
        "network": site.world.network.pk, "kind": "automatic", "size": 2, "prestarted": 1, "max_per_user": 1, **values,
    }  # fmt: skip


def test_making_a_pool(site):
    response = site.client("root").post(reverse("portal:pool-new"), pool_form(site))
    pool = Pool.objects.get(name="second")
    assert response.url == reverse("portal:pool", args=[pool.pk])


@pytest.mark.parametrize(
    "wrong",
    [{"name": ""}, {"name": "with space"}, {"size": -1}, {"size": "many"}, {"prestarted": 9}, {"template": "x"}],
)
def test_a_wrong_pool_is_refused_at_the_form(site, wrong):
    response = site.client("root").post(reverse("portal:pool-new"), pool_form(site, **wrong))
    assert response.status_code == 400
    assert not Pool.objects.filter(name="second").exists()


def test_editing_a_pool_over_somebody_elses_edit_is_refused(site):
    client, address = site.client("root"), reverse("portal:pool-edit", args=[site.pool.pk])
    seen = site.pool.revision
    values = {
        "title": "Renamed", "kind": "automatic", "size": 6, "prestarted": 0, "max_per_user": 2, "revision": seen,
    }  # fmt: skip
    assert client.post(address, values).status_code == 302
    site.pool.refresh_from_db()
    assert site.pool.title == "Renamed" and site.pool.size == 6
    late = client.post(address, {**values, "title": "Late"})
    assert late.status_code == 400 and "Somebody else changed" in late.content.decode()


def test_entitling_by_name_and_taking_it_away(site):
    client = site.client("root")
    address = reverse("portal:pool-entitle", args=[site.pool.pk])
    assert client.post(address, {"name": "CHARLIE"}, headers=HTMX).status_code == 204
    assert client.post(address, {"name": "staff"}, headers=HTMX).status_code == 204
    assert client.post(address, {"name": "no such one"}, headers=HTMX).status_code == 400
    grant = Grant.objects.get(user=site.world.charlie, object_id=site.pool.pk)
    gone = client.post(reverse("portal:pool-disentitle", args=[site.pool.pk, grant.pk]), headers=HTMX)
    assert gone.status_code == 204 and not Grant.objects.filter(pk=grant.pk).exists()


def test_taking_a_desktop_back_as_its_manager(site):
    address = reverse("portal:desktop-deed", args=[site.desktop.pk, "release"])
    assert site.client("bob").post(address).status_code == 404
    assert site.client("root").post(address, headers=HTMX).status_code == 204
    assert Desktop.objects.get(pk=site.desktop.pk).holder is None


def test_maintenance_of_a_host_and_back(site):
    client, host = site.client("root"), site.world.host
    for verb, state in (("maintain", "maintenance"), ("activate", "active")):
        assert client.post(reverse("portal:host-deed", args=[host.pk, verb]), headers=HTMX).status_code == 204
        host.refresh_from_db()
        assert host.state == state


@pytest.fixture
def screen(site):
    """Alice's desktop with a screen that the gateway could reach."""
    site.desktop.consoles = [{"kind": "vnc", "unix": "/run/berth/x.sock", "host": "", "port": 0, "tls": False}]
    site.desktop.save()
    return reverse("portal:console-ticket", args=[site.desktop.pk])


def ask(site, who, address, body="{}"):
    return site.client(who).post(address, body, content_type="application/json", headers={"Accept": "application/json"})


def test_a_ticket_is_handed_out_once_as_json(site, screen):
    response = ask(site, "alice", screen, '{"kind": "vnc", "view_only": true}')
    answer = response.json()
    assert response.status_code == 200 and response["Cache-Control"] == "no-store"
    assert set(answer) == {"ticket", "path", "kind", "view_only", "recorded"} and answer["view_only"] is True
    assert answer["recorded"] is False
    row = ConsoleTicket.objects.get()
    assert answer["ticket"] not in str(row.__dict__) and row.user == site.world.alice


@pytest.mark.parametrize("body", ["[]", "nonsense", '{"kind": 7}', '{"kind": "telnet"}', "x" * 9000, '"x"'])
def test_a_strange_ticket_request_is_refused(site, screen, body):
    response = ask(site, "alice", screen, body)
    assert response.status_code == 400 and response.json()["message"] and response.json()["fix"]
    assert not ConsoleTicket.objects.exists()


def test_a_ticket_for_somebody_elses_machine_is_refused_as_json(site, screen):
    response = ask(site, "bob", screen)
    assert response.status_code == 404 and response.json()["message"]


def test_a_ticket_for_a_machine_that_is_off_says_what_to_do(site):
    response = ask(site, "bob", reverse("portal:console-ticket", args=[site.granted.pk]))
    assert response.status_code == 409 and "Start it" in response.json()["fix"]


def test_the_console_page_has_the_gateways_table_of_endings(site):
    from broker.gateway.closing import ALL

    text = site.client("alice").get(reverse("portal:console", args=[site.desktop.pk])).content.decode()
    block = text.split('<script id="console-words" type="application/json">')[1].split("</script>")[0]
    closing = json.loads(block)["closing"]
    assert {int(code) for code in closing} == {ending.code for ending in ALL}
    assert all(closing[str(ending.code)]["again"] == ending.again for ending in ALL)


class TestTheTicketThatThePageBrings:
    """One question less before the first picture; S38: other sites have none made."""

    @pytest.fixture
    def page(self, site, screen):
        """What the console page's script is given, for Alice."""
        address = reverse("portal:console", args=[site.desktop.pk])

        def read(**headers):
            text = site.client("alice").get(address, headers=headers).content.decode()
            if "console-data" not in text:
                return None
            return json.loads(text.split('<script id="console-data" type="application/json">')[1].split("</script>")[0])

        site.desktop.power_state = "running"
        site.desktop.save()
        return read

    def test_is_one_as_any_other(self, site, page):
        brought = page()["ticket"]
        assert set(brought) == {"ticket", "path", "kind", "view_only", "recorded"} and brought["kind"] == "vnc"
        row = ConsoleTicket.objects.get()
        assert (row.user, row.vm, row.used_at, row.web_session != "") == (site.world.alice, site.desktop, None, True)
        assert brought["ticket"] not in str(row.__dict__)

    def test_uses_up_nothing(self, site, page, screen):
        """However often the page is loaded, there is one unused ticket, and those that are asked for come."""
        assert [bool(page()["ticket"]) for _ in range(3)] == [True, False, False]
        assert ConsoleTicket.objects.count() == 1
        assert ask(site, "alice", screen).status_code == 200

    def test_is_not_made_by_other_sites_nor_for_the_live_part(self, page):
        assert page(sec_fetch_site="cross-site")["ticket"] is None
        assert page(sec_fetch_site="same-site")["ticket"] is None
        assert page(hx_request="true") is None
        assert not ConsoleTicket.objects.exists()
        assert page(sec_fetch_site="same-origin")["ticket"]

    def test_is_not_there_where_it_would_be_refused(self, site, page):
        site.desktop.power_state = "off"
        site.desktop.save()
        assert "ticket" not in page()
        site.desktop.power_state, site.desktop.consoles = "running", []
        site.desktop.save()
        assert page()["ticket"] is None
        assert not ConsoleTicket.objects.exists()
