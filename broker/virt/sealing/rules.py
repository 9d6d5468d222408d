"""What is taken out of a Linux system that is to become a template.

Paths are as in the running system; `*` stands for anything within one name. The same lists drive the sealing of an
image (`seal.py`) and of a running guest (`inside.py`).
"""

# Files that go. Each is made anew by the system that needs it, or was never part of it.
REMOVE = (
    # who the machine is
    "/etc/ssh/ssh_host_*",
    "/etc/krb5.keytab",
    "/var/lib/samba/private/secrets.*",
    "/var/lib/sss/db/*",
    "/var/lib/sss/mc/*",
    "/var/lib/systemd/credential.secret",
    "/etc/udev/rules.d/70-persistent-net.rules",
    "/var/lib/NetworkManager/secret_key",
    "/var/lib/NetworkManager/seen-bssids",
    "/var/lib/NetworkManager/timestamps",
    "/etc/machine-info",
    # randomness that two machines must not share
    "/var/lib/systemd/random-seed",
    "/var/lib/urandom/random-seed",
    "/var/lib/random-seed",
    # addresses it once had
    "/var/lib/dhcp/*",
    "/var/lib/dhclient/*",
    "/var/lib/dhcpcd/*",
    "/var/lib/dhcpcd5/*",
    "/var/lib/NetworkManager/*.lease",
    "/var/lib/NetworkManager/dhclient-*.conf",
    # what people typed
    *(
        f"{home}/{name}"
        for home in ("/root", "/home/*")
        for name in (
            ".bash_history", ".zsh_history", ".sh_history", ".ash_history", ".history", ".python_history",
            ".mysql_history", ".psql_history", ".sqlite_history", ".lesshst", ".viminfo", ".wget-hsts",
            ".ssh/known_hosts", ".ssh/known_hosts.old", ".local/share/fish/fish_history", ".Xauthority",
            ".ICEauthority", ".xsession-errors",
        )
    ),
)  # fmt: skip
# Files that stay and become empty: systemd draws an id when it finds this one empty.
EMPTY = ("/etc/machine-id",)
# Files that go only when they are files: a link of this name leads to the one above.
REMOVE_FILES = ("/var/lib/dbus/machine-id",)
# Directories that stay, without anything in them.
CLEAR = (
    "/var/lib/cloud", "/var/log/journal", "/var/crash", "/var/lib/systemd/coredump", "/var/lib/systemd/timers",
    "/var/spool/mail", "/var/mail", "/tmp", "/var/tmp",  # noqa: S108 - the guest's, not ours
)  # fmt: skip
# The logs: those that were put away go, the present ones become empty and keep their owner, which daemons rely on.
LOGS = "/var/log"
PUT_AWAY = ("*.gz", "*.xz", "*.bz2", "*.zst", "*.old", "*.[0-9]", "*.[0-9][0-9]", "*-[0-9][0-9][0-9][0-9][0-9][0-9]*")

# Systems that make their host keys only when the package is installed get this, so that a clone can be reached.
KEYS_UNIT_PATH = "/etc/systemd/system/berth-host-keys.service"
KEYS_UNIT_LINK = "/etc/systemd/system/multi-user.target.wants/berth-host-keys.service"
KEYS_UNIT = """\
[Unit]
Description=Make this machine's own SSH host keys
Before=ssh.service sshd.service ssh.socket sshd.socket
ConditionPathExistsGlob=!/etc/ssh/ssh_host_*_key

[Service]
Type=oneshot
ExecStart=/usr/bin/ssh-keygen -A

[Install]
WantedBy=multi-user.target
"""
