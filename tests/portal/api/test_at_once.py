"""The same Idempotency-Key at the same instant: one call is carried out, the others get its answer."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection

from broker.jobs.models import Job
from portal.models import ApiToken
from tests.portal.api.conftest import Caller
from tests.world import World

CLIENTS = 8


@pytest.mark.django_db(transaction=True)
@pytest.mark.urls("tests.portal.api.urls")
def test_of_many_at_once_one_is_carried_out():
    world = World.build()
    from broker.virt.models import VirtualMachine

    vm = VirtualMachine.objects.create(
        name="one", cluster=world.cluster, host=world.host, state="ready", power_state="off"
    )
    _, token = ApiToken.objects.create(user=world.root, name="test")

    def call(_):
        try:
            return Caller(token).post(f"vms/{vm.pk}/start/", Idempotency_Key="the-same")
        finally:
            connection.close()

    with ThreadPoolExecutor(CLIENTS) as pool:
        answers = list(pool.map(call, range(CLIENTS)))
    assert [answer.status_code for answer in answers] == [202] * CLIENTS
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert sum("Idempotency-Replayed" not in answer for answer in answers) == 1
    assert Job.objects.count() == 1
