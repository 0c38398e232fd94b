.PHONY: profile

profile: .venv/ready ## of the running service, to .data/profile.json; KIND=memory SECONDS=30 INTERNAL_PORT=9001
	@KIND=$(or $(KIND),cpu) SECONDS=$(or $(SECONDS),10) INTERNAL_PORT=$(or $(INTERNAL_PORT),9000) $(PYTHON) -m dev.profiling
