"""The search language for machines."""
