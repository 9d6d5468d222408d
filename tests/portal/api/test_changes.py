"""Machines changed, found by what is noted of them, and their cards, by the API."""

from broker.virt.models import Disk, FloatingDisk, HostDevice, VirtualMachine


def test_what_waits_is_told_and_undone(world, caller, make_vm):
    vm, root = make_vm("one"), caller("root")
    VirtualMachine.objects.filter(pk=vm.pk).update(power_state="running", host=world.host)
    told = root.patch(f"vms/{vm.pk}/", {"options": {"tpm": True}}).json()
    assert [(one["field"], one["now"], one["then"], one["reason"]) for one in told["pending"]] == [
        ("tpm", False, True, None)
    ]
    assert told["options"] == {}
    assert [one["id"] for one in root.get("vms/?changed=true").json()["results"]] == [str(vm.pk)]
    assert root.post(f"vms/{vm.pk}/undo-changes/", {"fields": ["tpm"]}).json()["pending"] == []
    assert root.post(f"vms/{vm.pk}/apply-changes/").status_code == 409
    assert root.post(f"vms/{vm.pk}/run-once/", {"boot": "floppy"}).status_code == 400
    assert root.post(f"vms/{vm.pk}/clone/", {"name": "copy"}).status_code == 409
    answer = root.post(f"vms/{vm.pk}/clone/", {"name": "copy", "snapshot": str(vm.pk)})
    assert answer.status_code == 400 and "snapshot" in answer.content.decode()


def test_a_machine_is_set_to_start_with_its_host(world, caller, make_vm):
    vm, root = make_vm("one"), caller("root")
    wish = {"autostart": True, "autostart_order": 7, "autostart_delay": 30}
    told = root.patch(f"vms/{vm.pk}/", wish).json()
    assert {name: told[name] for name in wish} == wish
    for bad in ({"autostart": 1}, {"autostart_order": -1}, {"autostart_delay": 3601}, {"autostart_order": "1"}):
        assert root.patch(f"vms/{vm.pk}/", bad).status_code == 400
    make_vm("two")
    assert [row["name"] for row in root.get("vms/?search=autostart%3Dyes").json()["results"]] == ["one"]


def test_machines_are_found_by_what_is_noted_of_them(world, caller, make_vm):
    one, root = make_vm("one"), caller("root")
    make_vm("two")
    noted = {"tags": ["web"], "own_fields": {"centre": "4711"}, "notes": "x", "protected": True}
    answer = root.patch(f"vms/{one.pk}/", noted).json()
    assert {name: answer[name] for name in noted} == noted
    assert root.post(f"vms/{one.pk}/give/", {"owner": str(world.alice.pk)}).json()["owner"]["id"] == str(world.alice.pk)
    for query in ("tag=web", "own_field=centre", "own_field=centre:4711", "protected=true", f"owner={world.alice.pk}"):
        found = root.get(f"vms/?{query}").json()["results"]
        assert [row["id"] for row in found] == [str(one.pk)], query
    for query in ("tag=db", "own_field=centre:1", "changed=true"):
        assert root.get(f"vms/?{query}").json()["results"] == [], query
    for bad in ({"tags": ["a b"]}, {"own_fields": {"x": 1}}, {"own_fields": {"a b": "x"}}, {"name": "../x"}):
        assert root.patch(f"vms/{one.pk}/", bad).status_code == 400


def test_cards_come_change_and_go(world, caller, make_vm):
    vm, root = make_vm("one"), caller("root")
    VirtualMachine.objects.filter(pk=vm.pk).update(power_state="off", host=world.host)
    made = root.post(f"vms/{vm.pk}/nics/", {"network": str(world.network.pk), "guard": "mac"})
    assert made.status_code == 201 and made.json()["plugged"]
    there = f"vms/{vm.pk}/nics/{made.json()['id']}/"
    assert root.patch(there, {"connected": False, "in_kib": 100}).json()["in_kib"] == 100
    for bad in ({"guard": "x"}, {"mac": "52:54:00:00:00:01"}, {"in_kib": -1}, {"network": "x"}):
        assert root.patch(there, bad).status_code == 400
    assert root.delete(there).status_code == 204
    assert root.get(there).status_code == 404


def test_a_network_is_edited_and_a_tag_needs_open_vswitch(world, caller):
    root = caller("root")
    there = f"networks/{world.network.pk}/"
    assert root.patch(there, {"guard": "addresses"}).json()["guard"] == "addresses"
    assert root.patch(there, {"vlan": 42}).status_code == 400
    assert root.patch(there, {"mtu": 9000}).json()["mtu"] == 9000
    assert root.patch(there, {"mtu": 67}).status_code == 400
    wish = {"cluster": str(world.cluster.pk), "name": "tagged", "kind": "ovs", "bridge": "ovs0", "vlan": 42}
    assert root.post("networks/", wish).json()["vlan"] == 42
    VirtualMachine.objects.all().update(power_state="running")


def test_shared_disks_come_and_go_and_a_disk_says_how_it_is_written_to(world, caller, make_vm):
    vm, root = make_vm("one"), caller("root")
    wished = {"storage": world.storage, "size_bytes": 1 << 30}
    shared = FloatingDisk.objects.create(name="all", volume="a.raw", shared=True, owner=world.alice, **wished)
    plain = FloatingDisk.objects.create(name="plain", volume="p.qcow2", **wished)
    told = root.get("floating-disks/?shared=true").json()["results"]
    assert [(one["name"], one["format"], one["owner"]["name"]) for one in told] == [("all", "raw", str(world.alice))]
    there = f"vms/{vm.pk}/shared-disks/"
    refused = root.post(there, {"disk": str(plain.pk)})
    assert refused.status_code == 409 and refused.json()["fix"]
    made = root.post(there, {"disk": str(shared.pk), "read_only": True})
    assert made.status_code == 201 and made.json()["read_only"] and made.json()["disk"]["id"] == str(shared.pk)
    assert caller("charlie").get(there).status_code == 404
    assert root.delete(f"floating-disks/{shared.pk}/").status_code == 409
    assert root.delete(f"{there}{made.json()['id']}/").status_code == 204
    assert root.post(f"floating-disks/{plain.pk}/share/", {"shared": True}).status_code == 202
    own = Disk.objects.create(vm=vm, volume="o.qcow2", target="vdb", **wished)
    disk = f"vms/{vm.pk}/disks/{own.pk}/"
    assert root.patch(disk, {"discard": "never"}).status_code == 400
    assert root.patch(disk, {"discard": "ignore", "detect_zeroes": "unmap"}).status_code == 409
    assert root.patch(disk, {"read_only": True, "detect_zeroes": "on"}).json()["read_only"] is True
    assert caller("charlie").patch(disk, {"read_only": False}).status_code == 404
    assert root.patch(disk, {"wipe_after_delete": "perhaps"}).status_code == 400
    assert root.patch(disk, {"wipe_after_delete": "on"}).json()["wipe_after_delete"] == "on"
    made = root.post(f"vms/{vm.pk}/disks/", {"size_bytes": 1 << 20, "wipe_after_delete": "off"})
    assert made.status_code == 202 and vm.disks.get(target="vdc").wipe_after_delete == "off"
    storage = f"storage-domains/{world.storage.pk}/"
    assert root.patch(storage, {"wipe_after_delete": True}).json()["wipe_after_delete"] is True
    assert root.patch(storage, {"warning_percent": 9}).json()["wipe_after_delete"] is True


def test_devices_of_its_host_come_and_go(world, caller, make_vm):
    vm, root = make_vm("one"), caller("root")
    VirtualMachine.objects.filter(pk=vm.pk).update(host=world.host)
    key = HostDevice.objects.create(host=world.host, key="usb-096e:0858", kind="usb", title="Key")
    disks = HostDevice.objects.create(host=world.host, key="pci-0000:00:17.0", kind="pci", unfit="disk", group=3)
    told = root.get(f"hosts/{world.host.pk}/devices/").json()["results"]
    assert [(one["key"], one["unfit"], one["group"]) for one in told] == [
        ("pci-0000:00:17.0", "disk", 3), ("usb-096e:0858", "", None),
    ]  # fmt: skip
    assert caller("charlie").get(f"hosts/{world.host.pk}/devices/").status_code == 404
    there = f"vms/{vm.pk}/host-devices/"
    refused = root.post(there, {"device": str(disks.pk)})
    assert refused.status_code == 409 and refused.json()["fix"]
    made = root.post(there, {"device": str(key.pk)})
    assert made.status_code == 201 and made.json()["plugged"] and made.json()["device"]["id"] == str(key.pk)
    assert root.post(there, {"device": str(key.pk)}).status_code == 409
    assert root.delete(f"{there}{made.json()['id']}/").status_code == 204
    assert root.get(there).json()["results"] == []


def test_a_clusters_ranges_of_addresses(world, caller, make_vm):
    root, there = caller("root"), f"clusters/{world.cluster.pk}/"
    assert (root.get(there).json()["mac_ranges"], root.get(there).json()["mac_use"]) == ([], None)
    told = root.patch(there, {"mac_ranges": ["02:00:00:00:00:00-02:00:00:00:00:0F"]}).json()
    assert told["mac_ranges"] == ["02:00:00:00:00:00-02:00:00:00:00:0f"] and told["mac_use"] == {"size": 16, "used": 0}
    for bad in ("02:00:00:00:00:00", ["x"], [1], ["02:00:00:00:00:09-02:00:00:00:00:00"], None, {"a": "b"}):
        answer = root.patch(there, {"mac_ranges": bad})
        assert answer.status_code == 400 and "mac_ranges" in answer.content.decode(), bad
    vm = make_vm("one")
    VirtualMachine.objects.filter(pk=vm.pk).update(power_state="off", host=world.host)
    made = root.post(f"vms/{vm.pk}/nics/", {"network": str(world.network.pk)}).json()
    assert made["mac"].startswith("02:00:00:00:00:0") and root.get(there).json()["mac_use"]["used"] == 1
    assert root.patch(there, {"description": "x"}).json()["mac_use"] == {"size": 16, "used": 1}
    assert root.post("clusters/", {"name": "second", "mac_ranges": told["mac_ranges"]}).json()["mac_use"]["used"] == 1
    assert root.patch(there, {"mac_ranges": []}).json()["mac_use"] is None


def test_a_machine_goes_and_its_disks_stay(world, caller, make_vm):
    vm, root = make_vm("one"), caller("root")
    there = f"vms/{vm.pk}/delete-keeping-disks/"
    assert caller("charlie").post(there).status_code == 404
    assert root.post(there, {"disks": True}).status_code == 400
    VirtualMachine.objects.filter(pk=vm.pk).update(linked=False)
    assert root.post(there).json()["plan"] == "vm.delete"
    vm.refresh_from_db()
    assert vm.state == "deleting"
