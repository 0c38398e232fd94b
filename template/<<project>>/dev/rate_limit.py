"""Tests and load ask more often than anybody may."""

TESTING = {
    "RATE_LIMIT_TIERS": "standard:1000000,premium:1000000",
    "RATE_LIMIT_ANONYMOUS": "1000000",
}

# `make bench` has one key, of the tier premium. The limit is checked as ever, and out of reach.
BENCH = [("RATE_LIMIT_TIERS", "standard:100,premium:1000000000")]
