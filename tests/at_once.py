"""Calls that begin at the same instant, in real threads with a database connection each."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from django.db import connection, connections


def all_at_once(jobs: Sequence[Callable[[], Any]], refusal: type[Exception]) -> list[Exception | None]:
    """Run the callables in threads that start together; returns which `refusal` each got, None for what went well."""
    gate = threading.Barrier(len(jobs))

    def run(job: Callable[[], Any]) -> Exception | None:
        try:
            connection.ensure_connection()
            gate.wait(60)
            job()
        except refusal as error:
            return error
        finally:
            connections.close_all()
        return None

    with ThreadPoolExecutor(len(jobs)) as pool:
        return list(pool.map(run, jobs))
