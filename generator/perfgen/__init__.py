"""perfgen writes production Python web services and keeps them up to date."""

__version__ = "0.5.0"
