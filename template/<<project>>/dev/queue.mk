.PHONY: jobs

jobs: .venv/ready ## the jobs that failed; ARGS="show 7", ARGS="redrive --all", ARGS="purge --all"
	@$(PYTHON) -m dev.run jobs $(or $(ARGS),list)
