"""The one task of this app: look at a pool now, without waiting for the duty."""

from uuid import UUID

from celery import shared_task

import broker.celery  # noqa: F401 - without it, what is sent from here would go to Celery's default broker


@shared_task(name="reconcile_pool", ignore_result=True)
def reconcile_pool(pool_id: str) -> None:
    """Bring the pool closer to what is wanted; harmless when nothing is to be done."""
    from . import reconcile

    reconcile.reconcile_pool(UUID(pool_id))
