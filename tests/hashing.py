"""A password hash that costs something, but not a second on a busy machine: to compare what answers cost."""

from django.contrib.auth.hashers import PBKDF2PasswordHasher


class CostlyEnough(PBKDF2PasswordHasher):
    """About ten milliseconds of one processor."""

    iterations = 20_000
