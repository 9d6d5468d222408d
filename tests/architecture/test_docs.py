"""The drawn pages of docs/ are what the code says."""

from django.core.management import call_command


def test_drawn_pages_are_true():
    call_command("makedocs", check=True)
