"""A real slapd and real providers for the whole run, empty before each test, and Directory rows that use them."""

import pytest

from broker.directories.kerberos import keytab as keytabs
from broker.directories.kinds.ldap import kept, line
from broker.directories.kinds.oidc import provider as remembered
from broker.directories.kinds.saml import KIND as SAML
from broker.directories.kinds.saml import metadata
from broker.directories.models import Directory
from broker.directories.secret import sealed
from portal.web.providers import back_addresses, entity_id
from tests.servers import idp as idps
from tests.servers import kdc as kdcs
from tests.servers import provider as providers
from tests.servers import slapd as servers


@pytest.fixture(scope="session")
def one_slapd():
    with servers.running() as server:
        yield server


@pytest.fixture
def slapd(one_slapd):
    one_slapd.clear()
    line.forget()
    kept.forget()
    yield one_slapd
    line.forget()
    kept.forget()


@pytest.fixture
def make_directory(world, slapd):
    def make(name="Site", **changes) -> Directory:
        return Directory.objects.create(
            name=name, kind="ldap", config=slapd.config(**changes), secret=sealed(servers.READER_PASSWORD)
        )

    return make


@pytest.fixture
def directory(make_directory):
    return make_directory()


@pytest.fixture(scope="session")
def one_provider():
    with providers.running() as provider:
        yield provider


@pytest.fixture
def provider(one_provider):
    """A provider of OpenID Connect at which erin is known."""
    one_provider.reset()
    remembered.forget()
    one_provider.person("erin", "staff", "finance")
    yield one_provider
    remembered.forget()


@pytest.fixture
def make(world, provider):
    """Make a directory whose people sign in at the provider."""

    def made(name="Corporate", **changes) -> Directory:
        row = {"name": name, "kind": "oidc", "secret": sealed(providers.SECRET)}
        return Directory.objects.create(**row, config=provider.config(**changes))

    return made


@pytest.fixture(scope="session")
def one_idp():
    with idps.running() as idp:
        yield idp


@pytest.fixture(scope="session")
def sealed_key():
    """Made once: a key takes its time."""
    return SAML.sealed("")


@pytest.fixture
def idp(one_idp):
    """A provider of SAML at which erin is known."""
    one_idp.reset()
    metadata.forget()
    one_idp.person("erin", "staff", "finance")
    yield one_idp
    metadata.forget()


@pytest.fixture
def federate(world, idp, sealed_key):
    """Make a directory whose people sign in at the provider of SAML, which knows it by its metadata."""

    def made(name="Federated", *, config=None, **changes) -> Directory:
        row = Directory.objects.create(
            name=name, kind="saml", secret=sealed_key, config=SAML.cleaned(config or idp.config(**changes))
        )
        idp.peer = SAML.metadata(row, back_addresses(row), entity_id(row))
        return row

    return made


@pytest.fixture(scope="session")
def kdc():
    """A realm in which erin has an account; `kdc.web` is the keytab of this website."""
    with kdcs.running() as realm:
        realm.person("erin")
        realm.web = realm.keytab(kdcs.SERVICE, "host/berth.example.org")
        yield realm


@pytest.fixture
def make_ticketed(kdc, make_directory, settings, tmp_path):
    """Make a directory that lets in who holds a ticket."""
    settings.DATA_DIR = tmp_path

    def made(name="Site", keytab=None, **changes) -> Directory:
        given = {"kerberos": True, "kerberos_realms": [kdcs.REALM], **changes}
        directory = make_directory(name, **given)
        content = kdc.web if keytab is None else keytab
        directory.keytab = keytabs.kept_for(content, "", service="", needed=True)
        directory.save()
        return directory

    return made


@pytest.fixture
def ticketed(make_ticketed):
    return make_ticketed()
