"""Fuzzing guided by coverage of what reads bytes of strangers; `make fuzz MINUTES=10` runs it (`__main__.py`)."""
