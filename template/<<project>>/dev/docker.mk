.PHONY: up down build

up: ## the whole stack in containers, with Prometheus and Grafana
	@sh dev/docker.sh up

down: ## end the stack; its data stays
	@sh dev/docker.sh down

build: ## the image
	@sh dev/docker.sh build
