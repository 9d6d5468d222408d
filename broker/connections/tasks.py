"""The tasks of this app: what the guest of a desktop is asked for the person who opened its screen."""

from uuid import UUID

from celery import shared_task

import broker.celery  # noqa: F401 - without it, what is sent from here would go to Celery's default broker


@shared_task(name="sign_on_guest", ignore_result=True)
def sign_on_guest(session_id: str) -> None:
    """Sign on in the guest who opened this session; may be sent twice."""
    from . import signing_on

    signing_on.carry_out(UUID(session_id))
