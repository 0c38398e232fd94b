"""How services are measured: see ../README.md."""
