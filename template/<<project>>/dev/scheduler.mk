.PHONY: schedules

schedules: .venv/ready ## when what runs next, and ran last
	@$(PYTHON) -m dev.run schedules
