"""Generated calls over the API's own description, as each kind of person: no defect, no answer it does not describe."""

import pytest
import schemathesis
from django.core.signals import request_finished, request_started
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections
from drf_spectacular.generators import SchemaGenerator
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from portal.models import ApiToken

pytestmark = [pytest.mark.urls("tests.portal.api.urls"), pytest.mark.slow]
CHECKS = [
    not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance,
    response_headers_conformance,
]  # fmt: skip
EXAMPLES = 6


@pytest.mark.parametrize("person", ["", "alice", "auditor", "root"])
def test_the_api_is_as_described(world, make_vm, make_pool, make_desktop, person, settings_for_speed):
    pool = make_pool("seats", size=2)
    make_desktop(pool, 1, holder=world.alice)
    world.grant(world.alice, "pool-user", pool)
    world.grant(world.alice, "vm-user", make_vm("one", power="running"))
    world.grant(world.bob, "auditor")
    user = {"alice": world.alice, "auditor": world.bob, "root": world.root}.get(person)
    headers = {}
    if user:
        headers["Authorization"] = f"Bearer {ApiToken.objects.create(user=user, name='test')[1]}"
    raw = SchemaGenerator(urlconf="tests.portal.api.urls").get_schema(request=None, public=True)
    schema = schemathesis.openapi.from_dict(raw)
    schema.app = get_wsgi_application()
    called = 0
    for result in schema.get_all_operations():
        operation = result.ok()
        # Ending oneself would make the rest of the run anonymous.
        if person and operation.path.endswith(("/disable/", "/set-password/")):
            continue

        @given(case=operation.as_strategy())
        @settings_for_speed
        def check(case):
            nonlocal called
            called += 1
            response = case.call(headers=headers)
            case.validate_response(response, checks=CHECKS, headers=headers)

        check()
    assert called > 90


@pytest.fixture(autouse=True)
def one_connection():
    """The calls come as over WSGI, but within the test's transaction: nobody may close its connection."""
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    yield
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


@pytest.fixture
def settings_for_speed():
    return settings(
        max_examples=EXAMPLES, deadline=None, database=None, derandomize=True, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
