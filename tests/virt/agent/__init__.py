"""Tests of the host agent, as real processes."""
