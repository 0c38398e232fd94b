.PHONY: manifests deploy

manifests: ## what `make deploy` would apply; ENV=staging
	@sh dev/kubernetes.sh manifests '$(subst ','\'',$(ENV))' '$(subst ','\'',$(IMAGE))'

deploy: ## migrate, then roll out; ENV=staging IMAGE=registry/name:tag
	@sh dev/kubernetes.sh deploy '$(subst ','\'',$(ENV))' '$(subst ','\'',$(IMAGE))'
