"""The verbs of this app, one module each."""
