"""Tests ask more often than anybody may."""

TESTING = {
    "RATE_LIMIT_TIERS": "standard:1000000,premium:1000000",
    "RATE_LIMIT_ANONYMOUS": "1000000",
}
