"""What the machines of others on a simulated host are made of."""

from broker.virt.driver import FoundDisk, FoundMachine, FoundNic
from broker.virt.drivers.simulated.machines import Link, find


class Describing(Link):
    """The machines of others."""

    def found(self, uuid: str) -> FoundMachine:
        self.meet("found")
        with self.world.changing() as data:
            machine = find(data, uuid)
            told = machine["definition"]
            volumes = {
                f"{path}/{name}": one
                for path, kept in data["storages"].items()
                for name, one in kept["volumes"].items()
            }
            disks, outside = [], []
            hardware = told.get("hardware", {})
            for disk in told.get("disks", ()):
                if disk["device"] == "disk" and disk["path"] in volumes:
                    disks.append(FoundDisk(disk["target"], disk["path"], volumes[disk["path"]]["capacity"]))
                else:
                    outside.append(f"disk {disk['target']}")
            return FoundMachine(
                name=machine["name"], title=told.get("title", ""), vcpus=told.get("vcpus", 1),
                memory_mib=told.get("memory_mib", 1024), balloon_mib=0,
                machine="q35" if "q35" in told.get("machine", "q35") else "pc",
                graphics=tuple(told.get("graphics", ())), video=told.get("video", ""), disks=tuple(disks),
                nics=tuple(FoundNic(nic["mac"], nic["network"]) for nic in told.get("nics", ())),
                outside=tuple(outside), cpu_pinning=hardware.get("cpu_pinning") or "",
                emulator_cpus=hardware.get("emulator_cpus") or "",
                hugepages_kib=hardware.get("hugepages_kib") or 0, numa_nodes=hardware.get("numa_nodes") or 0,
                numa_mode=hardware.get("numa_mode") or "", numa_host_nodes=hardware.get("numa_host_nodes") or "",
            )  # fmt: skip
