"""Programs on the user's own computer: remote-viewer comes through the public port by HTTP CONNECT."""
