"""Make the demo, through the same actions an admin's clicks call; each part only if it is not there yet.

Runs beside the server: the image was built before, the jobs below are done by its own worker.
"""

import logging
import secrets
import shutil
import subprocess
import threading
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import close_old_connections

from broker.access.actions.grant import grant
from broker.access.actor import Actor
from broker.access.models import Grant, Role
from broker.access.roles import sync_builtin_roles
from broker.core.errors import BerthError, Unavailable
from broker.core.text import gettext_noop as N_
from broker.directories.actions.create_user import create_user
from broker.directories.models import Directory, User
from broker.jobs.models import Job
from broker.jobs.states import ACTIVE, JobState
from broker.virt.actions.create_cluster import create_cluster
from broker.virt.actions.create_host import create_host
from broker.virt.actions.create_network import create_network
from broker.virt.actions.create_storage import create_storage
from broker.virt.actions.create_template import create_template
from broker.virt.actions.import_template_version import import_template_version
from broker.virt.models import Cluster, Host, Network, StorageDomain, VmTemplate
from pools.actions.create_pool import create_pool
from pools.actions.entitle import entitle
from pools.models import Pool
from pools.states import DesktopState

from .tell import Teller, address

log = logging.getLogger(__name__)
ACTOR = Actor.system("demo")
PEOPLE = (("admin", "Administrator"), ("alice", "Alice Adams"), ("bob", "Bob Brown"))
POOL, TEMPLATE = "demo", "demo-desktop"
SUBNETS = ("192.168.177.0/24", "192.168.178.0/24", "10.177.0.0/24")
# name of the image → title, operating system, vCPUs, memory in MiB
KINDS = {"desktop": ("Demo desktop", "Debian 12", 1, 768), "tiny": ("Tiny demo", "Busybox", 1, 128)}


def has_work() -> bool:
    """Whether the demo is not complete yet; true before the first migration."""
    from portal.processes.database import pending

    return pending() or not Pool.objects.filter(name=POOL).exists()


class Demo:
    """`build_image` before the server starts, `run` beside it."""

    def __init__(self, tell: Teller, image: str, uri: str = "qemu:///system"):
        self.tell, self.image, self.uri, self.passwords = tell, image, uri, dict[str, str]()

    def build_image(self) -> None:
        """Have deploy/image/ensure build the image or find it, and put it where images are imported from."""
        target = settings.DATA_DIR / "import" / f"{self.image}.qcow2"
        if target.exists():
            return
        self.tell.step(f"Building the {self.image} image from Debian packages (about three minutes, once)")
        source = self._ensure_image()
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_suffix(".part")
        shutil.copyfile(source, part)
        part.replace(target)

    def _ensure_image(self) -> Path:
        command = [str(settings.BASE_DIR / "deploy" / "image" / "ensure"), self.image]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as build:
            assert build.stdout and build.stderr
            said = ""
            for line in build.stderr:
                word, _, rest = line.strip().partition(" ")
                if word == "progress":
                    share, _, text = rest.partition(" ")
                    self.tell.share(int(share) / 100, text)
                elif word == "error:":
                    said = rest
            path = build.stdout.read().strip()
        if build.returncode:
            raise Unavailable(
                N_("The demo image could not be built: %(why)s"),
                fix=N_("See to that and start again, or start without a demo: manage.py serve"),
                why=said or f"deploy/image/ensure ended with {build.returncode}",
            )
        return Path(path)

    def run(self, stopping: threading.Event) -> None:
        """Make what is missing, say who can sign in, and say where."""
        try:
            self._make(stopping)
        except BerthError as error:
            self.tell.step(f"The demo is not complete: {error.message} {error.fix}")
        except Exception:
            log.exception("Setting up the demo failed")
        finally:
            close_old_connections()
        if not stopping.is_set():
            self.tell.open_here(stopping)

    def _make(self, stopping: threading.Event) -> None:
        people = {name: self._person(name, title) for name, title in PEOPLE}
        self._say_passwords()
        cluster = Cluster.objects.first() or create_cluster(actor=ACTOR, name="main")
        host = Host.objects.filter(cluster=cluster).first() or create_host(
            actor=ACTOR, cluster=cluster, name="local", uri=self.uri
        )
        storage = StorageDomain.objects.filter(cluster=cluster).first() or create_storage(
            actor=ACTOR, cluster=cluster, name="local", path=str(settings.DATA_DIR / "storage"), host=host
        )
        network = Network.objects.filter(cluster=cluster).first() or self._network(cluster)
        template = VmTemplate.objects.filter(name=TEMPLATE).first() or create_template(
            actor=ACTOR, cluster=cluster, name=TEMPLATE, os_name=KINDS[self.image][1]
        )
        self._version(template, storage, stopping)
        pool = Pool.objects.filter(name=POOL).first()
        if pool is None and not stopping.is_set():
            self.tell.step("Making the pool of demo desktops")
            pool = create_pool(
                actor=ACTOR, name=POOL, title=KINDS[self.image][0], template=template, storage=storage, network=network,
                description="A small Debian desktop. It goes back fresh after each use.", size=4, prestarted=1,
            )  # fmt: skip
            for name in ("alice", "bob"):
                entitle(actor=ACTOR, pool=pool, user=people[name])
        if pool is not None:
            self._wait_for_desktop(pool, stopping)

    def _person(self, name: str, title: str) -> User:
        if user := User.objects.filter(username=name).first():
            return user
        Directory.objects.get_or_create(kind="local", defaults={"name": "Local"})
        self.passwords[name] = secrets.token_urlsafe(9)
        user = create_user(actor=ACTOR, username=name, display_name=title, password=self.passwords[name])
        if name == "admin":
            sync_builtin_roles()
            role = Role.objects.get(name="admin")
            if not Grant.objects.filter(user=user, role=role).exists():
                grant(actor=ACTOR, role=role, user=user)
        return user

    def _say_passwords(self) -> None:
        if self.passwords:
            lines = [f"{name:<8} {password}" for name, password in self.passwords.items()]
            self.tell.box([f"Sign in at {address()} as", "", *lines, "", "These passwords are shown only now."])

    def _network(self, cluster: Cluster) -> Network:
        taken = _addresses_here()
        subnet = next((s for s in SUBNETS if s.rsplit(".", 1)[0] not in taken), SUBNETS[-1])
        return create_network(actor=ACTOR, cluster=cluster, name="default", kind="nat", subnet=subnet)

    def _version(self, template: VmTemplate, storage: StorageDomain, stopping: threading.Event) -> None:
        if template.versions.exists():
            return
        _, _, vcpus, memory = KINDS[self.image]
        self.tell.step("Importing the image as a template")
        job = import_template_version(
            actor=ACTOR,
            template=template,
            storage=storage,
            source=f"{self.image}.qcow2",
            vcpus=vcpus,
            memory_mib=memory,
        )
        self._wait_for_job(job, stopping)

    def _wait_for_job(self, job: Job, stopping: threading.Event) -> None:
        while not stopping.wait(0.3):
            job.refresh_from_db()
            if job.state not in ACTIVE:
                break
            self.tell.share(job.progress / 100, job.text or job.title)
        if job.state not in (*ACTIVE, JobState.SUCCEEDED):
            raise Unavailable("%(why)s", fix="%(help)s", why=job.cause, help=job.fix)

    def _wait_for_desktop(self, pool: Pool, stopping: threading.Event) -> None:
        """Not more than a minute: the pages are there already."""
        for _ in range(200):
            ready = pool.desktops.filter(state=DesktopState.FREE, vm__power_state="running")
            if ready.exists() or pool.desktops.filter(state=DesktopState.ASSIGNED).exists():
                self.tell.step("A demo desktop is running and waits for its user")
                return
            if stopping.wait(0.3):
                return


def _addresses_here() -> set[str]:
    """The first three numbers of the IPv4 networks this computer is in."""
    done = subprocess.run(["ip", "-4", "-br", "addr"], capture_output=True, text=True, check=False)
    found: Any = (word.split("/")[0].rsplit(".", 1)[0] for word in done.stdout.split() if word.count(".") == 3)
    return set(found)
