"""`make bench`: load at a constant rate of arrivals, and whether what `bench/` asks for holds."""
