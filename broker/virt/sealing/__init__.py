"""Taking out of a disk image what makes its machine itself: host keys, ids, logs, histories, leases.

The image's file systems come from a guest and are hostile: nothing here mounts them or lets the kernel look at
them. Tools of e2fsprogs read and change a private copy, each confined in time, memory and what it may open.
"""
