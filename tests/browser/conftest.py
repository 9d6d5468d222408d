"""Chromium against the real pages: the ASGI application in this process, and a pretended console gateway."""

import socket
import threading
import time

import pytest

from .fake_screen import FakeGateway

CHROMIUM = "/usr/bin/chromium"
FLAGS = ["--no-sandbox", "--disable-dev-shm-usage"]


@pytest.fixture
def gateway() -> FakeGateway:
    return FakeGateway()


@pytest.fixture
def server(transactional_db, settings, gateway, monkeypatch):
    """The address of the running portal."""
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")  # Playwright's loop runs in this thread
    door = socket.create_server(("127.0.0.1", 0))  # bound at once: nobody beside takes the port
    origin = f"http://127.0.0.1:{door.getsockname()[1]}"
    settings.ALLOWED_HOSTS = ["127.0.0.1"]
    settings.ORIGINS = settings.CSRF_TRUSTED_ORIGINS = [origin]
    settings.WHITENOISE_USE_FINDERS = settings.WHITENOISE_AUTOREFRESH = True
    policy = {key: list(value) for key, value in settings.CONTENT_SECURITY_POLICY["DIRECTIVES"].items()}
    policy["connect-src"] = ["'self'", origin.replace("http", "ws")]
    settings.CONTENT_SECURITY_POLICY = {"DIRECTIVES": policy}
    running = _serve(door, origin, gateway)
    yield origin
    running.should_exit = True
    running.thread.join(timeout=10)


def _serve(door: socket.socket, origin: str, gateway: FakeGateway):
    import uvicorn
    from channels.auth import AuthMiddlewareStack
    from channels.routing import ProtocolTypeRouter, URLRouter
    from channels.security.websocket import OriginValidator
    from django.core.asgi import get_asgi_application
    from django.urls import path

    from portal.live.routing import websocket_urlpatterns

    sockets = URLRouter([*websocket_urlpatterns, path("console/ws", gateway)])
    application = ProtocolTypeRouter(
        {"http": get_asgi_application(), "websocket": OriginValidator(AuthMiddlewareStack(sockets), [origin])}
    )
    config = uvicorn.Config(application, lifespan="off", log_level="warning", ws="websockets-sansio")
    running = uvicorn.Server(config)
    running.thread = threading.Thread(target=running.run, args=([door],), daemon=True)
    running.thread.start()
    deadline = time.monotonic() + 20
    while not running.started:
        assert time.monotonic() < deadline, "the server did not start"
        time.sleep(0.02)
    return running


@pytest.fixture
def site(server, settings):
    """The portal's world, committed, so that the server's threads see it."""
    from tests.portal.web.conftest import build
    from tests.world import World

    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    return build(World.build())


@pytest.fixture(scope="session")
def chromium(django_db_setup):
    """With the database made first, whichever test is a process's first: Playwright's loop would be in its way."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def visit(chromium, server, site):
    """`visit("alice", "/", theme="dark", phone=True, locale="de-DE")` → a page in which Alice is signed in.

    What the console says is kept in `page.said`; a script that failed, or a refusal by the content security policy,
    fails the test.
    """
    contexts = []

    def open_page(who: str, address: str, *, theme: str = "light", phone: bool = False, locale: str = "en-US"):
        size = {"width": 390, "height": 844} if phone else {"width": 1280, "height": 900}
        context = chromium.new_context(
            viewport=size, color_scheme=theme, has_touch=phone, base_url=server, locale=locale
        )
        contexts.append(context)
        if who:
            cookie = site.client(who).cookies["sessionid"].value
            context.add_cookies([{"name": "sessionid", "value": cookie, "url": server}])
        page = context.new_page()
        page.said = []
        page.on("console", lambda message: page.said.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: page.said.append(f"script failed: {error}"))
        page.goto(address)
        return page

    yield open_page
    said = [text for context in contexts for page in context.pages for text in page.said]
    for context in contexts:
        context.close()
    assert not [text for text in said if "script failed" in text or "Content Security Policy" in text], said
