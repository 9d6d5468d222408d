"""The server core: machines, people, jobs, connections. Knows nothing of pools or pages."""
