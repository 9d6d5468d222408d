"""The least and the most a machine may have."""

LEAST_MEMORY_MIB, MOST_MEMORY_MIB = 16, 4 * 1024 * 1024
MOST_VCPUS = 256
