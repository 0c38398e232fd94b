"""Users, one half of the example domain."""
