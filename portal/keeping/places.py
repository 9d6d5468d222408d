"""What lies in the data directory: what an archive takes along, what it leaves out, and why.

Berth's authority, the SSH key and the keys of recordings are in the database, sealed under the secret key; the files
that processes make of them are made anew. Pure but for one listing.
"""

from pathlib import Path

from broker.core.text import gettext_noop as N_

DATABASE = "berth.sqlite3"
KEY = "secret.key"
KEPT = (DATABASE, KEY)

_ANEW = N_("made anew")
_WORK = N_("belongs to work that was under way")
LEFT_OUT = {
    "exports": _WORK,
    "import": N_("images to be imported, which came from elsewhere"),
    "kerberos.rcache": _ANEW,
    "libvirtd.conf": _ANEW,
    "log": N_("logs"),
    "media": _ANEW,
    "pki": N_("made anew by the authority in the database"),
    "recordings": N_("large; copy the directory too, its keys are in the archive"),
    "remote-desktops": _ANEW,
    "run": _ANEW,
    "screens": _ANEW,
    "sealing": _WORK,
    "ssh": N_("made anew from the key in the database"),
    "static": _ANEW,
    "storage": N_("images of machines, which backups of machines keep"),
    "uploads": _WORK,
    "video.lock": _ANEW,
}
# What nobody would miss.
QUIET = {_ANEW, _WORK, LEFT_OUT["log"], LEFT_OUT["pki"], LEFT_OUT["ssh"]}
ASIDE = "before-restore-"
UNKNOWN = N_("not Berth's")


def left_out(folder: Path) -> list[tuple[str, str]]:
    """What there is in the data directory that an archive does not hold and somebody might miss: name and reason."""
    names = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    mine = {name for name in names if name.startswith((DATABASE, ASIDE)) or name in KEPT}
    told = [(name, LEFT_OUT.get(name, UNKNOWN)) for name in names if name not in mine]
    return [(name, why) for name, why in told if why not in QUIET]
