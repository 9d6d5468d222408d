"""Live migration: the policies, where a move has got to, and how hosts reach each other."""
