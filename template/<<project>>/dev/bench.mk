.PHONY: bench

# Only what is said to make: a URL that happens to be in the environment is none to put load on.
said = $(if $(filter command,$(origin $1)),--$2 '$(subst ','\'',$($1))')

bench: .venv/ready ## load, and whether bench/ is met; RATE=50 DURATION=60, URL=https://... KEY=... WRITES=no
	@exec $(PYTHON) -m dev.bench $(call said,URL,url) $(call said,WRITES,writes) $(call said,RATE,rate) $(call said,DURATION,duration)
