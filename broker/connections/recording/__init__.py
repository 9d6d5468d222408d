"""Recordings of consoles as files: compressed, encrypted, and whole or known not to be."""
