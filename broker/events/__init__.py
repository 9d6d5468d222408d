"""What happened: audit rows, and news of changes for whoever listens."""
