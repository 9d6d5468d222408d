"""Templates, hosts, storage and networks are made and removed on pages, by those who may."""

import json
import re
import struct

import pytest
from django.test import Client
from django.urls import reverse

from broker.jobs.models import Job
from broker.virt.actions.maintain_storage import maintain_storage
from broker.virt.images import import_directory
from broker.virt.models import Cluster, Host, Network, StorageDomain, TemplateVersion, VmTemplate
from tests.virt.actions.stage import SYSTEM

from .test_pages import assert_strict

HTMX = {"HX-Request": "true"}
MODELS = {"template": VmTemplate, "host": Host, "storage": StorageDomain, "network": Network}
PAGES = {"template": "template", "host": "host", "storage": "storage-one", "network": "network"}
VALUES = {
    "template": {"os_name": "Debian 13", "description": "For all"},
    "host": {"driver": "simulated", "uri": "sim://host-2"},
    "storage": {"path": "/srv/more"},
    "network": {"kind": "nat", "subnet": "192.168.77.0/24"},
}
WRONG = (
    ("template", {"name": "no spaces"}, "name"), ("template", {"os_name": "a\u200bb"}, "os_name"),
    ("template", {"cluster": "x"}, "cluster"), ("host", {"uri": "qemu+ssh://host/system?command=evil"}, "uri"),
    ("host", {"driver": "none-such"}, "driver"), ("host", {"uri": ""}, "uri"), ("storage", {"path": "/etc"}, "path"),
    ("storage", {"path": "relative"}, "path"), ("storage", {"host": "x"}, "host"),
    ("storage", {"kind": "nfs", "path": "", "server": "-o", "export": "/x"}, "server"),
    ("storage", {"kind": "nfs", "path": "", "server": "nas", "export": "x,y"}, "export"),
    ("storage", {"kind": "iscsi", "path": "", "server": "nas", "export": "x"}, "export"),
    ("storage", {"kind": "iscsi", "server": "nas", "export": "iqn.2026-01.org.example:x", "luns": "1;2"}, "luns"),
    ("network", {"subnet": ""}, "subnet"), ("network", {"subnet": "8.8.8.0/24"}, "subnet"),
    ("network", {"kind": "bridge"}, "bridge"), ("network", {"kind": "wormhole"}, "kind"),
)  # fmt: skip


def values(site, model: str, **more):
    return {"name": "made", "cluster": site.world.cluster.pk, **VALUES[model], **more}


@pytest.fixture
def image(site, settings, tmp_path) -> str:
    """A plain qcow2 image of 1 GiB in the import directory, as its header alone; beside it what is not offered."""
    settings.DATA_DIR = tmp_path
    folder = import_directory()
    folder.mkdir()
    head = struct.pack(">4sIQIIQIIQQIIQQQQII", b"QFI\xfb", 3, 0, 0, 16, 1 << 30, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 104)
    (folder / "desk.qcow2").write_bytes(head + bytes(8))
    (folder / "raw.img").write_bytes(bytes(512))
    (folder / ".hidden").write_bytes(head)
    (folder / "link.qcow2").symlink_to(folder / "desk.qcow2")
    return "desk.qcow2"


def version_values(site, image: str, **more):
    hardware = {
        "storage": site.world.storage.pk,
        "vcpus": 2,
        "memory_mib": 2048,
        "machine": "q35",
        "notes": "First",
        "firmware": "bios",
        "system": "other",
    }
    return {"source": image, **hardware} | more


def import_address(site) -> str:
    return reverse("portal:version-new", args=[site.world.template.pk])


@pytest.mark.parametrize("kind", MODELS)
def test_making_one_leads_to_its_page(site, kind):
    client, address = site.client("root"), reverse(f"portal:{kind}-new")
    page = client.get(address)
    assert page.status_code == 200 and 'method="post"' in page.content.decode()
    assert_strict(page.content.decode())
    response = client.post(address, values(site, kind))
    row = MODELS[kind].objects.get(name="made")
    assert response.status_code == 302 and response.url == reverse(f"portal:{PAGES[kind]}", args=[row.pk])
    assert client.get(response.url).status_code == 200
    for name, value in VALUES[kind].items():
        assert getattr(row, name) == value


@pytest.mark.parametrize(("kind", "wrong", "field"), WRONG)
def test_what_is_wrong_is_shown_at_its_field(site, kind, wrong, field):
    response = site.client("root").post(reverse(f"portal:{kind}-new"), values(site, kind, **wrong))
    text = response.content.decode()
    assert response.status_code == 400
    assert f'id="id_{field}_error"' in text and text.count("field-error") == 1
    assert_strict(text)
    assert not MODELS[kind].objects.filter(name="made").exists()


@pytest.mark.parametrize("kind", MODELS)
def test_a_taken_name_is_told_with_its_fix(site, kind):
    taken = getattr(site.world, kind).name
    response = site.client("root").post(reverse(f"portal:{kind}-new"), values(site, kind, name=taken))
    assert response.status_code == 400 and "Choose another name" in response.content.decode()


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize("who", ["charlie", "alice"])
def test_who_may_not_gets_no_form_and_makes_nothing(site, kind, who):
    client, address = site.client(who), reverse(f"portal:{kind}-new")
    assert client.get(address).status_code == 403
    assert client.post(address, values(site, kind)).status_code == 403
    assert not MODELS[kind].objects.filter(name="made").exists()


def test_a_right_on_one_cluster_makes_things_there_alone(site):
    other = Cluster.objects.create(name="other")
    site.world.grant(site.world.alice, "admin", other)
    client, address = site.client("alice"), reverse("portal:network-new")
    assert client.post(address, values(site, "network")).status_code == 400
    assert client.post(address, values(site, "network", cluster=other.pk)).status_code == 302
    assert Network.objects.get(name="made").cluster == other


@pytest.mark.parametrize("kind", MODELS)
def test_buttons_are_for_those_who_may(site, kind):
    lists = {"template": "templates", "host": "hosts", "storage": "storage", "network": "networks"}
    site.world.grant(site.world.bob, "auditor")
    row = getattr(site.world, kind)
    if kind == "host":
        Host.objects.filter(pk=row.pk).update(state="maintenance")
    new, remove = reverse(f"portal:{kind}-new"), reverse(f"portal:{kind}-delete", args=[row.pk])
    for who, shown in (("root", True), ("bob", False)):
        client = site.client(who)
        assert (new in client.get(reverse(f"portal:{lists[kind]}")).content.decode()) is shown
        page = client.get(reverse(f"portal:{PAGES[kind]}", args=[row.pk]))
        assert page.status_code == 200 and (remove in page.content.decode()) is shown


@pytest.mark.parametrize("kind", MODELS)
def test_removing_one(site, kind):
    site.client("root").post(reverse(f"portal:{kind}-new"), values(site, kind))
    row = MODELS[kind].objects.get(name="made")
    address = reverse(f"portal:{kind}-delete", args=[row.pk])
    assert site.client("charlie").post(address, headers=HTMX).status_code == 404
    site.world.grant(site.world.bob, "auditor")
    assert site.client("bob").post(address, headers=HTMX).status_code == 403
    client = site.client("root")
    assert client.get(address).status_code == 405
    if kind == "host":
        assert client.post(address, headers=HTMX).status_code == 409
        client.post(reverse("portal:host-deed", args=[row.pk, "maintain"]))
    response = client.post(address, headers=HTMX)
    assert response.status_code == 204 and response["HX-Redirect"]
    assert not MODELS[kind].objects.filter(pk=row.pk).exists()


@pytest.mark.parametrize("kind", MODELS)
def test_what_is_in_use_stays_and_its_users_are_named(site, kind):
    row = getattr(site.world, kind)
    if kind == "host":
        Host.objects.filter(pk=row.pk).update(state="maintenance")
    response = site.client("root").post(reverse(f"portal:{kind}-delete", args=[row.pk]), headers=HTMX)
    told = json.loads(response["HX-Trigger"])["berth:toast"]
    assert response.status_code == 409 and "in use by" in told["text"] and told["fix"]
    assert MODELS[kind].objects.filter(pk=row.pk).exists()


def test_importing_a_version(site, image):
    client = site.client("root")
    page = client.get(import_address(site)).content.decode()
    assert_strict(page)
    assert 'value="desk.qcow2"' in page and "raw.img" in page
    assert "link.qcow2" not in page and ".hidden" not in page
    response = client.post(import_address(site), version_values(site, image, firmware="uefi", tpm="on", system="other"))
    version = TemplateVersion.objects.get(template=site.world.template, number=2)
    assert response.url == reverse("portal:template", args=[site.world.template.pk])
    assert (version.vcpus, version.memory_mib, version.notes, version.size_bytes) == (2, 2048, "First", 1 << 30)
    assert version.options == {"firmware": "uefi", "tpm": True}
    job = Job.objects.get(subject_id=version.pk)
    assert job.plan == "template.import" and job.args["source"] == image
    # While it is imported it cannot be deleted, so the button is not there.
    page = client.get(response.url).content.decode()
    assert (
        "First" in page
        and "Firmware: UEFI · TPM" in page
        and reverse("portal:version-delete", args=[version.pk]) not in page
    )


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"source": "raw.img"}, "source"), ({"source": "link.qcow2"}, "source"), ({"source": "../desk"}, "source"),
        ({"vcpus": 9999}, "vcpus"), ({"memory_mib": 99999999}, "memory_mib"), ({"machine": "virt"}, "machine"),
        ({"notes": "a\u200bb"}, "notes"), ({"storage": ""}, "storage"),
    ],
)  # fmt: skip
def test_a_wrong_import_is_told_at_its_field(site, image, wrong, field):
    values = version_values(site, image, **wrong)
    response = site.client("root").post(import_address(site), values)
    assert response.status_code == 400 and f'id="id_{field}_error"' in response.content.decode()
    assert TemplateVersion.objects.count() == 1


def test_importing_without_an_image_says_where_it_must_lie(site, settings, tmp_path):
    settings.DATA_DIR = tmp_path
    page = site.client("root").get(import_address(site)).content.decode()
    assert "There is no image" in page and str(import_directory()) in page


def test_importing_is_for_those_who_manage_the_template(site, image):
    site.world.grant(site.world.bob, "auditor")
    for who, status in (("charlie", 404), ("alice", 404), ("bob", 403)):
        client = site.client(who)
        assert client.get(import_address(site)).status_code == status
        assert client.post(import_address(site), version_values(site, image)).status_code == status
    site.world.grant(site.world.alice, "admin", Cluster.objects.create(name="other"))
    assert site.client("alice").post(import_address(site), version_values(site, image)).status_code == 404
    assert TemplateVersion.objects.count() == 1


def test_deleting_a_version(site):
    spare = TemplateVersion.objects.create(
        template=site.world.template, number=2, state="ready", storage=site.world.storage, volume="spare.qcow2"
    )
    address = reverse("portal:version-delete", args=[spare.pk])
    assert (
        address in site.client("root").get(reverse("portal:template", args=[site.world.template.pk])).content.decode()
    )
    assert site.client("charlie").post(address, headers=HTMX).status_code == 404
    assert site.client("root").post(address, headers=HTMX).status_code == 204
    spare.refresh_from_db()
    assert spare.state == "deleting" and Job.objects.get(subject_id=spare.pk).plan == "template.delete-version"


def test_a_version_in_use_is_kept(site):
    address = reverse("portal:version-delete", args=[site.world.version.pk])
    response = site.client("root").post(address, headers=HTMX)
    assert response.status_code == 409 and "in use by" in response["HX-Trigger"]


def test_a_version_of_a_running_machine_is_made_while_it_runs_or_with_it_shut_down(site):
    template = site.desktop.template_version.template
    Job.objects.filter(pk=site.job.pk).update(state="failed")  # it would hold the machine
    root, address = site.client("root"), reverse("portal:version-make", args=[site.server.pk])
    page = root.get(address).content.decode()
    assert "Copy it while it runs" in page and "Shut it down for the copy" in page
    assert root.post(address, {"template": template.pk, "running": "somehow"}).status_code == 400
    for how, args in (("live", (True, False)), ("shut_down", (False, True))):
        answer = root.post(address, {"template": template.pk, "seal": "on", "running": how})
        assert answer.status_code == 302, answer.content.decode()
        job = Job.objects.get(plan="template.make", state="queued")
        assert (job.args["live"], job.args["start"]) == args
        Job.objects.filter(pk=job.pk).update(state="failed")
    off = root.get(reverse("portal:version-make", args=[site.granted.pk])).content.decode()
    assert "Copy it while it runs" not in off


def test_how_a_share_is_mounted_is_chosen_in_the_form_and_changed_in_maintenance(world):
    browser = Client()
    browser.force_login(world.root)
    wish = {"name": "nas", "cluster": str(world.cluster.pk), "kind": "nfs", "server": "192.0.2.10", "export": "/e"}
    page = reverse("portal:storage-new")
    assert browser.post(page, wish | {"mount_timeo": "1"}).status_code == 400
    assert browser.post(page, wish | {"mount_timeo": "50", "mount_retrans": "3", "mount_port": ""}).status_code == 302
    row = StorageDomain.objects.get(name="nas")
    assert row.mount == {"timeo": 50}
    edit = reverse("portal:storage-edit", args=[row.pk])
    assert b"mount_timeo" not in browser.get(edit).content
    maintain_storage(actor=SYSTEM, storage=row)
    assert b'value="50"' in browser.get(edit).content
    for address in (page, edit):
        fields = re.findall(r'<input [^>]*name="mount_[^>]*>', browser.get(address).content.decode())
        assert len(fields) == 4 and all('class="form-' in one for one in fields), fields
    assert browser.post(edit, {"name": "nas", "mount_hard": "on", "mount_timeo": "50"}).status_code == 302
    row.refresh_from_db()
    assert row.mount == {"hard": True, "timeo": 50, "retrans": 3, "port": 0}
    assert b"hard, timeo=50, retrans=3" in browser.get(reverse("portal:storage-one", args=[row.pk])).content
