# Short names for everyday commands; `make` alone lists them.
.DEFAULT_GOAL := help
.PHONY: help up run test

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-6s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

up: ## all in containers (docker compose); a password for PostgreSQL is made once and kept in .env
	@grep -qs '^POSTGRES_PASSWORD=' .env || \
	  (umask 077 && printf '\nPOSTGRES_PASSWORD=%s\n' "$$(od -An -N24 -tx1 /dev/urandom | tr -d ' \n')" >> .env)
	docker compose up --build --detach

run: ## all without containers; a demo unless .env says otherwise (./scripts/run)
	./scripts/run

test: ## style, types, all tests (./scripts/test)
	./scripts/test
