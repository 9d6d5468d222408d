"""Both engines, a machine, and certificates."""

import ssl

import pytest
import pytest_asyncio
import uvloop

from broker.gateway.engines import NAMES
from broker.gateway.floor import browser_context

from .fakes import FakeMachine, make_pki, start_gateway, stop_gateway


@pytest.fixture(scope="session")
def event_loop_policy():
    """The loop of production: uvloop differs from asyncio in what it remembers of a protocol."""
    return uvloop.EventLoopPolicy()


@pytest.fixture(params=NAMES)
def engine_name(request):
    return request.param


@pytest.fixture(scope="session")
def pki(tmp_path_factory):
    return make_pki(tmp_path_factory.mktemp("pki"))


@pytest.fixture(scope="session")
def server_tls(pki):
    return browser_context(str(pki / "server-cert.pem"), str(pki / "server-key.pem"))


@pytest.fixture(scope="session")
def machine_tls(pki):
    """What a hypervisor has: it wants a certificate of the client."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pki / "server-cert.pem", pki / "server-key.pem")
    context.load_verify_locations(pki / "ca-cert.pem")
    context.verify_mode = ssl.CERT_REQUIRED
    return context


@pytest_asyncio.fixture
async def gateway(engine_name):
    """A gateway whose browsers and timeouts are quick."""
    running = await start_gateway(engine_name, handshake=2.0)
    yield running
    await stop_gateway(running)


@pytest_asyncio.fixture
async def machine(tmp_path):
    running = await FakeMachine(tmp_path / "vnc").start()
    yield running
    await running.stop()
