"""What the maintainers of the template run. Not part of the wheel."""
