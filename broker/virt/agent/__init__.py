"""The agent of a host: a small program of its own, without Django and without libvirt.

Two processes watch each other. The *keeper* renews the host's leases on storage, looks at those of other hosts and
reports to the manager; it may hang on storage or network. The *guard* does no I/O but the process table: it stops the
guests whose lease was not renewed in time, whatever the keeper, libvirtd or the network do. A lease that ran out is
never renewed before the guests it covered are gone.

A third process leads Berth's gateways to the screens of the machines here (consoles.py).
"""
