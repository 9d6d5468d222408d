"""Hosts that Berth reaches over SSH: the key it signs in with, and the key each of them shows."""
