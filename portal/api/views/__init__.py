"""The API's resources, one module per family. Each calls the actions that the pages call."""
