"""Items, the other half of the example domain."""
