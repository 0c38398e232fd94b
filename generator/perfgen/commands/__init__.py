"""One module a command. They import what is slow only when they run, so that `--help` is quick."""
