"""A read-only auditor over every address of the pages: sees everything, changes nothing.

The addresses come from the pages' own list, so a new page is swept without being written down here.
"""

import pytest
from django.urls import URLPattern, reverse
from django.urls.converters import IntConverter, UUIDConverter

from broker.access.models import Grant, Quota, Role
from broker.jobs.models import Job
from pools.models import MetaMember, MetaPool
from portal.web.urls import urlpatterns
from tests.portal.api.test_sweep import snapshot
from tests.portal.web.test_access import pages_of

# What belongs to everybody who is signed in: their session, their own rights, tokens, searches and subscriptions.
OWN = {"sign-in", "sign-in-code", "sign-in-set-up", "sign-out", "search-save", "subscription-new", "token-revoke"}
# Of a machine that runs it leads on to the console, which is refused.
LEADING_ON = {"vm-connect"}


@pytest.fixture
def ids(site):
    """An object for the first id in an address, by the name of the page."""
    world = site.world
    quota = Quota.objects.create(user=world.bob, running=1)
    role = Role.objects.create(name="desk", title="Desk", verbs=["vm.view"])
    meta = MetaPool.objects.create(name="office")
    MetaMember.objects.create(meta=meta, pool=site.pool, position=1)
    row = Grant.objects.filter(user=world.alice).get()
    by_prefix = {
        "vm": site.server.pk, "screen": site.server.pk, "console": site.server.pk, "pool": site.pool.pk,
        "desktop": site.desktop.pk, "template": world.template.pk, "version": world.template.pk,
        "version-delete": world.version.pk, "host": world.host.pk, "storage": world.storage.pk,
        "network": world.network.pk, "job": site.job.pk, "user": world.bob.pk, "rights": world.bob.pk,
        "group": world.staff.pk, "role": role.pk, "quota": quota.pk, "permission-take": row.pk,
        "directory": world.directory.pk, "meta-pool": meta.pk,
    }  # fmt: skip

    def of(name: str):
        fitting = [prefix for prefix in by_prefix if name == prefix or name.startswith(f"{prefix}-")]
        return by_prefix[max(fitting, key=len)] if fitting else world.bob.pk

    return of


def addresses(ids) -> list[tuple[str, str]]:
    """Every page's name and address; the words in an address are what the page knows, or something like it."""
    found = []
    for pattern in urlpatterns:
        assert isinstance(pattern, URLPattern)
        values = {}
        for argument, converter in pattern.pattern.converters.items():
            if isinstance(converter, UUIDConverter):
                values[argument] = ids(pattern.name) if argument == "pk" else ids("permission-take")
            elif isinstance(converter, IntConverter):
                values[argument] = 0
            else:
                values[argument] = {"kind": "user", "verb": "start"}.get(argument, "x")
        found.append((pattern.name, reverse(f"portal:{pattern.name}", kwargs=values)))
    return found


@pytest.fixture
def auditor(site):
    site.world.grant(site.world.charlie, "auditor")
    client = site.client("charlie")
    client.raise_request_exception = False
    return client


def test_an_auditor_sees_every_list_and_every_object(site, auditor):
    for name in (
        "dashboard", "vms", "pools", "meta-pools", "templates", "hosts", "storage", "networks", "jobs", "events",
        "roles", "quotas", "permissions-system", "users", "groups",
    ):  # fmt: skip
        assert auditor.get(reverse(f"portal:{name}")).status_code == 200, name
    text = auditor.get(reverse("portal:events")).content.decode()
    assert "Something happened to" in text
    # Names of two words are forms about the object; its screen takes more than looking.
    seeing = {name: pk for name, pk in pages_of(site).items() if "-" not in name and name != "console"}
    assert len(seeing) >= 5
    for name, pk in seeing.items():
        assert auditor.get(reverse(f"portal:{name}", args=[pk])).status_code == 200, name
    assert "secret-server" in auditor.get(reverse("portal:vms")).content.decode()


def test_an_auditor_changes_nothing_by_any_address(site, auditor, ids):
    """S40."""
    before, jobs = snapshot(), Job.objects.count()
    swept = 0
    for name, address in addresses(ids):
        if name in OWN:
            continue
        for wish in ({}, {"name": "charlie", "kind": "system", "role": str(Role.objects.get(name="admin").pk)}):
            answer = auditor.post(address, wish)
            refusals = (400, 403, 404, 405, *((302,) if name in LEADING_ON else ()))
            assert answer.status_code in refusals, f"{name} {address}: {answer.status_code}"
        assert auditor.get(address).status_code < 500, name
        swept += 1
    assert swept > 60
    assert Job.objects.count() == jobs
    assert snapshot() == before
