"""The pages of the library, of new machines from everything, and of adopting: each goes through its action."""

from uuid import uuid4

import pytest
from django.urls import reverse

from broker.core import clock
from broker.jobs.models import Job
from broker.virt import cloud_init
from broker.virt.models import ForeignMachine, Image, ImageSource, VirtualMachine


@pytest.fixture
def images(site):
    def make(name, kind, **values):
        return Image.objects.create(
            name=name, kind=kind, storage=site.world.storage, size_bytes=4096, volume=name, **values
        )

    return make("debian", "iso", state="ready"), make("disk", "disk", state="ready", capacity_bytes=2 << 30)


def new(site, **values):
    return site.client("root").post(reverse("portal:vm-new"), {"name": "fresh", **values})


def test_the_library_shows_what_there_is_to_those_who_may(site, images):
    Image.objects.filter(name="disk").update(state="uploading", received_bytes=1024)
    text = site.client("root").get(reverse("portal:images")).content.decode()
    assert "debian" in text and "25 %" in text and reverse("portal:image-upload") in text
    assert "debian" not in site.client("charlie").get(reverse("portal:images")).content.decode()
    one = reverse("portal:image", args=[images[1].pk])
    assert "Cancel the upload" in site.client("root").get(one).content.decode()
    assert site.client("charlie").get(one).status_code == 404
    assert site.client("root").get(reverse("portal:image-upload")).status_code == 200
    assert site.client("charlie").get(reverse("portal:image-upload")).status_code == 403


def test_deleting_goes_through_its_action(site, images):
    there = reverse("portal:image-delete", args=[images[0].pk])
    assert site.client("charlie").post(there).status_code == 404
    assert site.client("root").post(there, headers={"HX-Request": "true"}).status_code == 204
    assert Job.objects.get(subject_id=images[0].pk).plan == "image.delete"


def test_a_machine_is_made_from_each_source(site, images):
    cd, disk = images
    storage = site.world.storage.pk
    assert new(site, name="one", cd=cd.pk, disk_gib=4, storage=storage).status_code == 302
    vm = VirtualMachine.objects.get(name="one")
    assert (vm.cd, vm.disks.get().size_bytes, vm.options["boot"]) == (cd, 4 << 30, "disk-cdrom")
    words = {"user": "alice", "password": "correct horse", "packages": "nginx\nhtop"}
    assert new(site, name="two", image=disk.pk, disk_gib=8, **words).status_code == 302
    vm = VirtualMachine.objects.get(name="two")
    assert vm.disks.get().size_bytes == 8 << 30 and vm.cloud_init and "alice" not in vm.cloud_init
    assert new(site, name="three", version=site.world.version.pk, linked="on").status_code == 302
    assert VirtualMachine.objects.get(name="three").linked


def test_further_users_of_its_guest_are_rows_of_the_form(site, images):
    page = site.client("root").get(reverse("portal:vm-new")).content.decode()
    assert 'name="users-0-full_name"' in page and 'name="users-__prefix__-sudo"' in page
    rows = {
        "users-TOTAL_FORMS": 3, "users-INITIAL_FORMS": 0,
        "users-0-name": "bob", "users-0-groups": "staff, video", "users-0-password": "correct horse",
        "users-2-name": "eve", "users-2-full_name": "Eve E.", "users-2-sudo": "on",
    }  # fmt: skip
    made = {"image": images[1].pk, "disk_gib": 8, "user": "alice"}
    assert new(site, name="two", **made, **rows).status_code == 302
    words = cloud_init.opened(VirtualMachine.objects.get(name="two"))
    bob, eve = words["users"]
    assert (words["user"], bob["name"], bob["groups"], bob["sudo"]) == ("alice", "bob", ["staff", "video"], False)
    assert bob["password_hash"].startswith("$6$")
    assert eve == {"name": "eve", "full_name": "Eve E.", "groups": [], "ssh_keys": [], "sudo": True}
    for wrong, told in (
        ({"users-0-name": ""}, "Correct what is said of further users."),
        ({"users-2-name": "bob"}, "Two users are called bob."),
        ({"users-0-name": "alice"}, "Two users are called alice."),
        ({"users-TOTAL_FORMS": 900}, "Correct what is said of further users."),
        ({"users-TOTAL_FORMS": "x"}, "Correct what is said of further users."),
    ):
        answer = new(site, name="three", **made, **rows | wrong)
        assert answer.status_code == 400 and told in answer.content.decode(), wrong
    assert not VirtualMachine.objects.filter(name="three").exists()


def test_what_an_appliance_says_is_shown_and_is_what_a_machine_gets(site, images):
    proposal = {"vcpus": 2, "memory_mib": 3072, "cards": 1, "firmware": "uefi"}
    Image.objects.filter(pk=images[1].pk).update(proposal=proposal)
    text = site.client("root").get(reverse("portal:image", args=[images[1].pk])).content.decode()
    assert "2 processors" in text and "UEFI" in text
    assert new(site, name="one", image=images[1].pk).status_code == 302
    vm = VirtualMachine.objects.get(name="one")
    assert (vm.vcpus, vm.memory_mib, vm.options["firmware"]) == (2, 3072, "uefi")


def test_a_cd_is_changed_on_its_form(site, images):
    there = reverse("portal:vm-cd", args=[site.granted.pk])
    client = site.client("root")
    assert "debian" in client.get(there).content.decode()
    assert site.client("charlie").get(there).status_code == 404
    assert client.post(there, {"cd": images[1].pk}).status_code == 400
    assert client.post(there, {"cd": images[0].pk}).status_code == 302
    assert Job.objects.get(subject_id=site.granted.pk, plan="vm.change-cd")
    assert "debian" in client.get(reverse("portal:vm-disks", args=[site.granted.pk])).content.decode()


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({}, "Say on which storage"),
        ({"storage": True}, "Say from what it is made"),
        ({"version": True, "disk_gib": 4}, "from something else, not both"),
        ({"storage": True, "disk_gib": 4, "user": "alice", "password": "b4d-pw"}, "This password cannot be used"),
    ],
)
def test_what_does_not_go_together_is_said_at_its_field(site, images, values, words):
    rows = {"storage": site.world.storage.pk, "version": site.world.version.pk}
    answer = new(site, **{name: rows[name] if value is True else value for name, value in values.items()})
    assert answer.status_code == 400 and words in answer.content.decode()
    assert 'value="b4d-pw"' not in answer.content.decode()
    assert not VirtualMachine.objects.filter(name="fresh").exists()


def test_a_foreign_machine_is_adopted_from_its_host_s_page(site):
    host = site.world.host
    row = ForeignMachine.objects.create(
        host=host, uuid=uuid4(), name="old", power_state="running", observed_at=clock.now()
    )
    there = reverse("portal:host-adopt", args=[host.pk, row.uuid])
    assert there in site.client("root").get(reverse("portal:host", args=[host.pk])).content.decode()
    assert site.client("charlie").post(there).status_code == 404
    assert site.client("root").post(there, headers={"HX-Request": "true"}).status_code == 204
    assert Job.objects.get(subject_id=row.uuid).plan == "vm.adopt"


def test_a_page_tells_who_uses_an_image_and_renames_it(site, images):
    cd, root = images[0], site.client("root")
    VirtualMachine.objects.filter(pk=site.server.pk).update(cd=cd)
    assert (
        str(site.server.title or site.server.name) in root.get(reverse("portal:image", args=[cd.pk])).content.decode()
    )
    edit = reverse("portal:image-edit", args=[cd.pk])
    assert root.post(edit, {"name": "debian-12", "description": "Bookworm"}).status_code == 302
    assert root.post(edit, {"name": "disk"}).status_code == 400
    cd.refresh_from_db()
    assert (cd.name, cd.description) == ("debian-12", "Bookworm")
    assert site.client("charlie").get(edit).status_code == 404
    office = root.get(reverse("admin:virt_image_change", args=[cd.pk])).content.decode()
    assert "debian-12" in office and site.server.name in office
    root.post(
        reverse("admin:virt_image_change", args=[cd.pk]),
        {"name": "debian-13", "machines-TOTAL_FORMS": 0, "machines-INITIAL_FORMS": 0},
    )
    cd.refresh_from_db()
    assert cd.name == "debian-13"


def test_a_server_is_allowed_and_an_image_is_fetched_from_it(site):
    root, bob = site.client("root"), site.client("bob")
    site.world.grant(site.world.bob, "operator")
    values = {"host": "cloud.example", "port": 443, "most_gib": 5}
    assert bob.post(reverse("portal:image-source-new"), values).status_code == 403
    assert root.post(reverse("portal:image-source-new"), values).status_code == 302
    source = ImageSource.objects.get()
    edit = reverse("portal:image-source-edit", args=[source.pk])
    assert root.post(edit, {"private": "on", "most_gib": 6}).status_code == 302
    assert bob.post(edit, {"most_gib": 7}).status_code == 403
    source.refresh_from_db()
    assert (source.private, source.most_gib) == (True, 6)
    listed = root.get(reverse("portal:image-sources")).content.decode()
    assert "cloud.example" in listed and edit in listed
    assert "cloud.example" in bob.get(reverse("portal:image-fetch")).content.decode()
    wish = {"name": "disk", "kind": "disk", "storage": site.world.storage.pk}
    refused = bob.post(reverse("portal:image-fetch"), wish | {"url": "http://cloud.example/disk.qcow2"})
    assert refused.status_code == 400 and "HTTPS" in refused.content.decode()
    assert (
        bob.post(reverse("portal:image-fetch"), wish | {"url": "https://cloud.example/disk.qcow2"}).status_code == 302
    )
    assert Image.objects.get(name="disk").url == "https://cloud.example/disk.qcow2"
    assert site.client("charlie").get(reverse("portal:image-fetch")).status_code == 403
    assert root.post(reverse("admin:virt_imagesource_add"), values | {"host": "other.example"}).status_code == 302
    root.post(reverse("portal:image-source-delete", args=[source.pk]))
    assert list(ImageSource.objects.values_list("host", flat=True)) == ["other.example"]
