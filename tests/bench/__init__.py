"""`python -m tests.bench`: Berth's speed and size, each figure beside its baseline from the same run."""
