"""Berth's own word with iSCSI targets: which there are, which LUNs they have, and the table of disks on the first LUN.

Machines reach their LUNs through QEMU; this is for the few kilobytes that Berth itself reads and writes, so it needs no
kernel module and no right of root. Sources: RFC 7143 (iSCSI), RFC 1994 (CHAP), SPC-2 and SBC-3 (the SCSI commands).
"""
