"""The generated service and the generator, measured."""
