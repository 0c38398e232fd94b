"""The example in `make run`."""

# What it suggests to ask for: path, and body if there is one.
REQUESTS = [
    ("/users/1", ""),
    ("/items?limit=2", ""),
    ("/items", '{"name": "Lamp", "price": 12.5, "description": "A light"}'),
]

# Where this setting names the embedded server, `make run` seeds it.
SEEDED = ["DATABASE_URL"]
