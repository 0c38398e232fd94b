.PHONY: seed

seed: .venv/ready ## fill empty tables with a few rows
	@$(PYTHON) -m dev.run seed
