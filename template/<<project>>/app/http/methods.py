"""The methods that metrics and traces tell apart: a client may send any word as one."""

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
