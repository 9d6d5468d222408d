"""A machine of somebody else's, with much in it that Berth does not know of and has to leave as it is."""

UUID = "6c1e6b52-6d6e-4e0b-9f0e-3f7a2f2b9b11"
XML = """<domain type='qemu' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>
  <name>{name}</name><uuid>{uuid}</uuid><title>Somebody's</title>
  <metadata><who:note xmlns:who='http://example.org/who'>keep me</who:note></metadata>
  <memory unit='MiB'>64</memory><currentMemory unit='MiB'>48</currentMemory><vcpu>1</vcpu>
  <os><type arch='x86_64' machine='pc'>hvm</type><smbios mode='sysinfo'/></os>
  <sysinfo type='smbios'><system><entry name='serial'>OLD-1</entry></system></sysinfo>
  <devices>
    <disk type='file' device='disk'><driver name='qemu' type='qcow2' cache='writeback'/>
      <source file='{ours}'/><target dev='vda' bus='virtio'/><serial>OLDSERIAL</serial><iotune>
      <total_iops_sec>5000</total_iops_sec></iotune></disk>
    <disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='{theirs}'/>
      <target dev='hda' bus='ide'/></disk>
    <interface type='user'><mac address='52:54:00:99:88:77'/><model type='e1000'/></interface>
    <watchdog model='ib700' action='none'/><panic model='isa'/>
    <graphics type='vnc' autoport='yes' keymap='de'/>
  </devices>
  <qemu:commandline><qemu:arg value='-fw_cfg'/><qemu:arg value='name=opt/old,string=timer'/></qemu:commandline>
</domain>"""
UNKNOWN = (
    "keep me", "OLD-1", "OLDSERIAL", "total_iops_sec", "writeback", "hda", "52:54:00:99:88:77", "ib700", "panic",
    "keymap='de'", "name=opt/old,string=timer",
)  # fmt: skip


def definition(*, ours: object, theirs: object, name: str = "oldtimer", uuid: str = UUID) -> str:
    """`ours`: the path of a qcow2 disk in a storage of Berth's; `theirs`: of a raw one anywhere else."""
    return XML.format(name=name, uuid=uuid, ours=ours, theirs=theirs)


def lost(xml: str) -> list[str]:
    """What of it is not in this definition any more."""
    return [word for word in UNKNOWN if word not in xml]
