"""App: who looks at which machine's screen: tickets, sessions, files for native clients."""
