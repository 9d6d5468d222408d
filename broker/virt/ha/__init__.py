"""High availability: is a host dead, and what becomes of its machines.

`judge.py` decides, from evidence alone; `evidence.py` collects it; `duty.py` acts on it, in one place at a time.
"""
