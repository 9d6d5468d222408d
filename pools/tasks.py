"""The tasks of this app: look at a pool or at a desktop now, without waiting for the duty; give orders to guests."""

from uuid import UUID

from celery import shared_task

import broker.celery  # noqa: F401 - without it, what is sent from here would go to Celery's default broker


@shared_task(name="reconcile_pool", ignore_result=True)
def reconcile_pool(pool_id: str) -> None:
    """Bring the pool closer to what is wanted; harmless when nothing is to be done."""
    from . import reconcile

    reconcile.reconcile_pool(UUID(pool_id))


@shared_task(name="look_at_desktop", ignore_result=True)
def look_at_desktop(desktop_id: str) -> None:
    """Carry out the session rules that are due at one desktop."""
    from . import session_duty

    session_duty.look_at(UUID(desktop_id))


@shared_task(name="order_guest", ignore_result=True)
def order_guest(desktop_id: str, step: str) -> None:
    """Give the order that a step of the session rules wants; may be sent twice."""
    from . import guest_work

    guest_work.carry_out(UUID(desktop_id), step)


@shared_task(name="tell_guest", ignore_result=True)
def tell_guest(message_id: str) -> None:
    """Show a message inside the guest as well."""
    from . import guest_work

    guest_work.tell(UUID(message_id))
