"""The Celery app, and THE list of periodic duties.

Messages are wake-ups: losing or doubling one changes nothing but latency. Duties run on a schedule, one
at a time each (see broker/jobs/duties.py).
"""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "broker.settings")  # before the settings are looked at

from django.conf import settings

from broker.jobs import in_process

# name → (seconds between runs, dotted path of a function without arguments)
DUTIES: dict[str, tuple[float, str]] = {
    "access.graces": (60.0, "broker.access.reconcile.watch_graces"),
    "jobs.wake": (2.0, "broker.jobs.waker.wake_due"),
    "events.seal": (15.0, "broker.events.seal.seal"),
    "virt.reconcile": (10.0, "broker.virt.reconcile.reconcile"),
    "virt.following": (10.0, "broker.virt.following.follow"),
    "virt.balancing": (20.0, "broker.virt.balancing.run"),
    "virt.power": (10.0, "broker.virt.power_saving.run"),
    "virt.ha": (5.0, "broker.virt.ha.duty.run"),
    "virt.autostart": (5.0, "broker.virt.autostart.run"),
    "pools.reconcile": (10.0, "pools.reconcile.reconcile_all"),
    "pools.forecast": (300.0, "pools.aiming.make_forecasts"),
    "pools.sessions": (5.0, "pools.session_duty.run"),
    "pools.bookings": (10.0, "pools.booking_duty.run"),
    "connections.tidy": (15.0, "broker.connections.reconcile.tidy"),
    "connections.sign-on": (5.0, "broker.connections.signing_on.run"),
    "connections.timing": (15.0, "broker.connections.timing_duty.tidy"),
    "connections.recordings": (300.0, "broker.connections.recording_duty.tidy"),
    "directories.follow": (15.0, "broker.directories.reconcile.follow_all"),
    "api.keys": (3600.0, "portal.api.idempotency.forget_old_keys"),
    "directories.tries": (600.0, "broker.directories.throttle.tidy"),
    "virt.disk-trouble": (15.0, "broker.virt.disk_trouble.see_to_paused"),
    "virt.storage-notes": (20.0, "broker.virt.storage_duty.watch"),
    "backups.reconcile": (30.0, "broker.backups.reconcile.reconcile"),
    "virt.images": (60.0, "broker.virt.image_duty.tidy"),
    "virt.exports": (600.0, "broker.virt.exports.tidy"),
    "virt.loads": (300.0, "broker.virt.loads.rollup.roll_up"),
    "notifications.deliver": (10.0, "broker.notifications.reconcile.deliver"),
    "events.check": (60.0, "broker.events.checking.check"),
    "virt.purge": (300.0, "broker.virt.reconcile.purge"),
    "virt.physical": (5.0, "broker.virt.physical.duty.run"),
    "virt.certificates": (3600.0, "broker.virt.pki.warnings.warn"),
}

TASK_PACKAGES = ["broker.jobs", "broker.connections", "pools"]

in_process.begin()
app = Celery("berth")
app.conf.update(
    broker_url=settings.CELERY_BROKER_URL,
    broker_connection_retry_on_startup=True,
    task_ignore_result=True,
    task_serializer="json",
    accept_content=["json"],
    task_acks_late=False,
    worker_prefetch_multiplier=1,
    worker_hijack_root_logger=False,
    task_default_queue="jobs",
    task_routes={
        "run_duty": {"queue": "duties"},
        "reconcile_pool": {"queue": "duties"},
        "look_at_desktop": {"queue": "duties"},
    },
    beat_schedule={
        name: {"task": "run_duty", "schedule": every, "args": (name,), "options": {"expires": max(every, 5.0)}}
        for name, (every, _) in DUTIES.items()
    },
    timezone="UTC",
)
app.autodiscover_tasks(TASK_PACKAGES)
app.set_default()
