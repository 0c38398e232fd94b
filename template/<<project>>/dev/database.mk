.PHONY: migrate revision

migrate: .venv/ready ## bring the database to this version
	@$(PYTHON) -m dev.run migrate

revision: .venv/ready ## a migration from what the models have and the database has not; M="add teams", ARGS=--empty to fill it in
	@$(if $(strip $(M)),,echo 'Say what the migration changes: make revision M="add teams"' >&2; exit 1)
	@$(PYTHON) -m dev.run revision -m '$(subst ','\'',$(M))' $(ARGS)
	@$(PYTHON) -m ruff check --fix --quiet migrations/versions/service
	@$(PYTHON) -m ruff format --quiet migrations/versions/service
