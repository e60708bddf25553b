# Short names for everyday commands; `make` alone lists them.
.DEFAULT_GOAL := help
.PHONY: help up run test

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-6s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

up: ## all in containers (docker compose); passwords for PostgreSQL and Redis are made once and kept in .env
	@for name in POSTGRES_PASSWORD REDIS_PASSWORD; do \
	  grep -qs "^$$name=" .env || \
	  (umask 077 && printf '\n%s=%s\n' "$$name" "$$(od -An -N24 -tx1 /dev/urandom | tr -d ' \n')" >> .env); \
	done
	docker compose up --build --detach

run: ## all without containers; a demo unless .env says otherwise (./scripts/run)
	./scripts/run

test: ## style, types, all tests (./scripts/test)
	./scripts/test
