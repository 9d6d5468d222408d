"""The pages, the API and the back office of physical PCs; and how one looks to the person who has it."""

from dataclasses import replace

import pytest
from django.test import Client
from django.urls import reverse

from broker.connections.actions import issue_ticket, redeem_ticket
from broker.connections.models import Session
from broker.core.errors import Conflict
from broker.jobs.models import Job
from broker.virt.models import PhysicalMachine, VirtualMachine
from broker.virt.physical import observe, secret
from pools.actions.entitle import entitle
from pools.models import Desktop, Pool
from tests.connections.conftest import sign_in

NEW = {"name": "pc-7", "title": "Desk 7", "address": "10.1.2.7", "vnc_port": 5900, "vnc_password": "s3cret-x",
       "rdp_port": 3389, "mac": "52:54:00:aa:bb:07", "tags": "lab, east"}  # fmt: skip


@pytest.fixture
def pc(site):
    wish = {**NEW, "cluster": str(site.world.cluster.pk)}
    assert site.client("root").post(reverse("portal:physical-pc-new"), wish).status_code == 302
    return PhysicalMachine.objects.get(vm__name="pc-7")


def on(pc, *ports):
    observe.write(pc, observe.Seen(pc.address, ports, there=True))


def off(pc):
    for _ in range(observe.MISSES):
        observe.write(pc, observe.Seen(pc.address))


def test_one_is_added_listed_changed_and_removed(site, pc):
    client = site.client("root")
    assert secret.opened(pc) == "s3cret-x"
    listed = client.get(reverse("portal:physical-pcs")).content.decode()
    assert "Desk 7" in listed and "VNC 5900, RDP 3389" in listed and "s3cret" not in listed
    edit = reverse("portal:physical-pc-edit", args=[pc.pk])
    shown = client.get(edit).content.decode()
    assert "s3cret" not in shown and "east, lab" in shown
    assert client.post(edit, NEW | {"vnc_password": "", "vnc_port": "", "maintenance": "on"}).status_code == 302
    pc.refresh_from_db()
    assert (pc.vnc_port, pc.maintenance, secret.opened(pc)) == (None, True, "s3cret-x")
    assert "maintenance" in client.get(reverse("portal:vm", args=[pc.pk])).content.decode()
    bad = client.post(edit, NEW | {"address": "127.0.0.1"})
    assert bad.status_code == 400 and "is not the address of a PC" in bad.content.decode()
    client.post(reverse("portal:physical-pc-delete", args=[pc.pk]))
    assert not PhysicalMachine.objects.exists()


def test_others_have_neither_pages_nor_rows(site, pc):
    for who in ("alice", "bob"):
        client = site.client(who)
        for page in ("physical-pc-edit", "physical-pc-delete"):
            address = reverse(f"portal:{page}", args=[pc.pk])
            answer = client.post(address, NEW, headers={"HX-Request": "true"})
            assert answer.status_code in (403, 404), (who, page)
        assert client.post(reverse("portal:physical-pc-new"), NEW).status_code in (403, 404)
        assert "pc-7" not in client.get(reverse("portal:physical-pcs")).content.decode()
    assert PhysicalMachine.objects.filter(pk=pc.pk).exists()


def test_who_was_given_it_sees_a_card_and_what_can_be_done(site, pc):
    site.world.grant(site.world.alice, "vm-user", pc.vm)
    client = site.client("alice")
    off(pc)
    home = client.get("/").content.decode()
    assert "Desk 7" in home and "Physical PC" in home and "Wake and connect" in home and "0 vCPU" not in home
    on(pc, 5900, 3389)
    page = client.get(reverse("portal:vm", args=[pc.pk])).content.decode()
    assert "Shut down" not in page and "10.1.2.7" not in page and "Physical PC" in page
    ways = client.get(reverse("portal:console-ways", args=[pc.pk])).content.decode()
    assert "Remote desktop (RDP)" in ways
    file = client.post(reverse("portal:console-rdp", args=[pc.pk]))
    assert b"full address:s:10.1.2.7:3389\r\n" in file.content and b"s3cret" not in file.content
    refused = client.post(reverse("portal:vm-power", args=[pc.pk, "power-off"]), headers={"HX-Request": "true"})
    assert refused.status_code == 409 and "physical PC" in str(refused.headers)


def test_connecting_wakes_it(site, pc):
    site.world.grant(site.world.alice, "vm-user", pc.vm)
    off(pc)
    assert site.client("alice").post(reverse("portal:vm-connect", args=[pc.pk])).status_code == 302
    assert [job.plan for job in Job.objects.filter(subject_id=pc.pk)] == ["vm.wake"]
    shown = site.client("alice").get(reverse("portal:console", args=[pc.pk])).content.decode()
    assert "Being woken" in shown


def test_the_ticket_leads_to_the_pc_with_its_password_and_only_where_it_may(site, pc, settings):
    site.world.grant(site.world.alice, "vm-user", pc.vm)
    on(pc, 5900)
    vm = VirtualMachine.objects.get(pk=pc.pk)

    def redeemed():
        actor, key = _signed_in(site)
        secret = issue_ticket(actor=actor, vm=vm, take_over=True).secret
        system = {"actor": type(actor).system("g"), "address": "192.0.2.1", "gateway": "g"}
        return redeem_ticket(secret=secret, web_session=key, **system)

    _, endpoint = redeemed()
    assert (endpoint.host, endpoint.port, endpoint.bare, endpoint.password) == ("10.1.2.7", 5900, True, "s3cret-x")
    assert "s3cret" not in repr(endpoint)
    # The address was good when it was looked for; the networks are others now.
    VirtualMachine.objects.filter(pk=pc.pk).update(consoles=[{"kind": "vnc", "host": "127.0.0.1", "port": 22,
                                                              "bare": True}])  # fmt: skip
    before = Session.objects.count()
    with pytest.raises(Exception) as refusal:
        redeemed()
    assert str(refusal.value) == "unreachable" and Session.objects.count() == before
    observe.write(pc, observe.Seen(pc.address, (3389,), there=True))
    vm = VirtualMachine.objects.get(pk=pc.pk)
    with pytest.raises(Conflict) as no_screen:
        redeemed()
    assert "no VNC server answers" in str(no_screen.value)


def _signed_in(site):
    key = sign_in(site.world.alice)
    return replace(site.world.actor("alice"), session_key=key), key


def test_the_api(site):
    client = site.client("root")
    wish = {**NEW, "cluster": str(site.world.cluster.pk), "tags": ["east"]}
    answer = client.post("/api/v1/physical-machines/", wish, content_type="application/json")
    assert answer.status_code == 201, answer.content
    made = answer.json()
    assert made["has_vnc_password"] and "s3cret" not in answer.content.decode()
    assert (made["name"], made["tags"], made["power_state"]) == ("pc-7", ["east"], "unknown")
    address = f"/api/v1/physical-machines/{made['id']}/"
    changed = client.patch(address, {"rdp_port": 0, "broadcast": "10.1.2.255"}, content_type="application/json")
    assert (changed.json()["rdp_port"], changed.json()["broadcast"]) == (None, "10.1.2.255")
    bad = client.patch(address, {"address": "169.254.169.254"}, content_type="application/json")
    assert bad.status_code == 400 and "address" in bad.content.decode()
    assert site.client("alice").get(address).status_code in (403, 404)
    assert client.get("/api/v1/physical-machines/?search=10.1.2").json()["count"] == 1
    assert client.delete(address).status_code == 204


def test_the_back_office(site):
    client: Client = site.client("root")
    wish = {**NEW, "cluster": str(site.world.cluster.pk)}
    answer = client.post(reverse("admin:virt_physicalmachine_add"), wish)
    assert answer.status_code == 302, answer.content.decode()[-3000:]
    pc = PhysicalMachine.objects.get()
    assert secret.opened(pc) == "s3cret-x"
    change = reverse("admin:virt_physicalmachine_change", args=[pc.pk])
    assert "s3cret" not in client.get(change).content.decode()
    assert client.post(change, wish | {"vnc_password": "", "title": "Other", "rdp_port": ""}).status_code == 302
    pc = PhysicalMachine.objects.select_related("vm").get()
    assert (pc.vm.title, pc.rdp_port, secret.opened(pc)) == ("Other", None, "s3cret-x")
    assert "Other" not in client.get(reverse("admin:virt_physicalmachine_changelist")).content.decode()
    assert client.post(reverse("admin:virt_physicalmachine_delete", args=[pc.pk]), {"post": "yes"}).status_code == 302
    assert not VirtualMachine.objects.filter(machine="physical").exists()


def test_the_lists_cost_the_same_for_many(site, pc, django_assert_max_num_queries):
    from broker.virt.actions.create_physical_machine import create_physical_machine

    client = site.client("root")

    def queries() -> int:
        with django_assert_max_num_queries(60) as seen:
            assert client.get(reverse("portal:physical-pcs")).status_code == 200
            assert client.get("/api/v1/physical-machines/").status_code == 200
        return len(seen)

    queries()
    few = queries()
    for number in range(8):
        create_physical_machine(
            actor=site.world.actor("root"), cluster=site.world.cluster, name=f"m-{number}", vnc_port=5900,
            address=f"10.2.0.{number + 1}", tags=["one", "two"],
        )  # fmt: skip
    assert queries() == few


def test_a_pool_of_them_is_made_and_filled_and_somebody_takes_one(site, pc):
    world, client = site.world, site.client("root")
    form = {"name": "room", "title": "R 12", "kind": "automatic", "max_per_user": 1, "cluster": str(world.cluster.pk),
            "size": 3, "prestarted": 1}  # fmt: skip
    assert client.post(reverse("portal:pool-new"), {**form, "cluster": ""}).status_code == 400
    assert client.post(reverse("portal:pool-new"), form).status_code == 302
    pool = Pool.objects.get(name="room")
    assert pool.is_physical and (pool.size, pool.prestarted) == (0, 0)
    edit = reverse("portal:physical-pc-edit", args=[pc.pk])
    assert client.post(edit, NEW | {"pool": str(pool.pk)}).status_code == 302
    assert "R 12" not in client.get(edit).content.decode()  # it has to leave that one first
    changed = {"title": "Room 13", "kind": "automatic", "max_per_user": 2, "revision": pool.revision}
    assert client.post(reverse("portal:pool-edit", args=[pool.pk]), changed).status_code == 302
    assert Pool.objects.get(pk=pool.pk).title == "Room 13"
    shown = client.get(reverse("portal:pool", args=[pool.pk])).content.decode()
    assert "pc-7" in shown and "Physical PCs" in shown
    assert "Physical PCs" in client.get(reverse("portal:pools")).content.decode()
    told = client.get(f"/api/v1/pools/{pool.pk}/").json()
    assert (told["template"], told["size"], told["free"]) == (None, 1, 1)
    on(pc, 5900)
    entitle(actor=world.actor("root"), pool=pool, user=world.charlie)
    home = site.client("charlie").get("/", follow=True).content.decode()
    assert "Room 13" in home or "Desk 7" in home
    taken = site.client("charlie").post(reverse("portal:pool-take", args=[pool.pk]))
    assert taken.status_code == 302 and str(pc.pk) in taken["Location"]
    assert "charlie" in client.get(reverse("portal:physical-pcs")).content.decode().lower()


def test_the_api_and_the_back_office_put_one_into_a_pool(site, pc):
    client, cluster = site.client("root"), str(site.world.cluster.pk)
    made = client.post("/api/v1/pools/", {"name": "room", "cluster": cluster}, content_type="application/json")
    assert made.status_code == 201, made.content
    address = f"/api/v1/pools/{made.json()['id']}/add-physical-machine/"
    for _ in range(2):
        answer = client.post(address, {"physical_machine": str(pc.pk)}, content_type="application/json")
    assert answer.status_code == 409 and Desktop.objects.get(pk=pc.pk).state == "free"
    other = {"name": "desks", "title": "Desks", "kind": "manual", "cluster": cluster, "size": 1, "prestarted": 0,
             "suspended": 0, "max_per_user": 1, "zone": "UTC", "after_hours": "keep"}  # fmt: skip
    answer = client.post(reverse("admin:pools_pool_add"), other)
    assert answer.status_code == 302, answer.content.decode()[-2000:]
    desks = Pool.objects.get(name="desks")
    assert desks.is_physical
    wish = NEW | {"name": "pc-8", "address": "10.1.2.8", "cluster": cluster, "pool": str(desks.pk)}
    assert client.post(reverse("admin:virt_physicalmachine_add"), wish).status_code == 302
    assert Desktop.objects.get(vm__name="pc-8").pool == desks
    assert client.get(reverse("admin:pools_pool_change", args=[desks.pk])).status_code == 200
