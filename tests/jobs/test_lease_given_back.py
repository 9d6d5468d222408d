"""A renewal that comes a moment after the job was given back does not hold it again."""

import pytest

from broker.core import clock
from broker.jobs.lease import claim
from broker.jobs.models import Job


@pytest.mark.django_db
def test_a_late_renewal_holds_nothing(world):
    job = Job.objects.create(
        plan="x", title="x", subject_kind="vm", subject_id=world.host.pk, subject_name="x", actor_name="x"
    )
    lease = claim(job.pk)
    assert lease.renew()
    assert lease.write(lease_until=clock.now(), worker="")
    assert not lease.renew() and not lease.held
    assert claim(job.pk) is not None
