# What a person types. Everything that is missing is installed and named first.

SHELL := /bin/bash
.DEFAULT_GOAL := help

WEB_SOURCES := $(shell find web -type f -not -path 'web/node_modules/*' -not -path 'web/dist/*' 2>/dev/null)
RUST_SOURCES := $(shell find protocol coordinator node xtask -name '*.rs' -o -name 'Cargo.toml' 2>/dev/null)

.PHONY: help
help: ## Say what there is
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 18

.PHONY: run
run: setup web/dist/index.html ## Build, start one node at http://127.0.0.1:8080, put a reel into an empty library
	cargo build --release --locked --package node
	@scripts/run.sh target/release/reelmesh

.PHONY: cluster
cluster: setup web/dist/index.html ## Build, start three nodes on loopback, in two sites
	cargo build --release --locked --package node
	@scripts/cluster.sh target/release/reelmesh

.PHONY: test
test: setup-test ## Run every check: formatting, lints, Rust, web, and a real browser
	@scripts/test.sh

.PHONY: bench
bench: setup-bench web/dist/index.html ## Print the figures that the documents quote
	cargo build --release --locked --package node --package coordinator --bins --examples
	@scripts/bench.sh

.PHONY: kill-test
kill-test: setup web/dist/index.html ## Kill the node 50 times while it uploads and renders; look for losses
	cargo build --release --locked --package node
	@node scripts/kill-test.mjs target/release/reelmesh

.PHONY: clients-test
clients-test: setup-clients web/dist/index.html ## Let tus-js-client, Uppy and tuspy upload, as they are published
	cargo build --locked --package node
	@scripts/tus-clients.sh target/debug/reelmesh

.PHONY: store-test
store-test: setup ## Publish into real S3 and Azure servers, each killed in the middle
	@scripts/store-test.sh

.PHONY: crawl-test
crawl-test: setup web/dist/index.html ## Look every second, through all faults, for a playlist that names what is not there (MINUTES=5)
	cargo build --release --locked --package node
	@scripts/store-test.sh --only-install
	@node scripts/crawl-test.mjs target/release/reelmesh --minutes $(or $(MINUTES),5)

.PHONY: setup setup-test setup-bench setup-clients
setup: ## Install what `make run` needs
	@scripts/setup.sh run
setup-test: ## Install what `make test` needs
	@scripts/setup.sh run test
setup-bench: ## Install what `make bench` needs
	@scripts/setup.sh run bench
setup-clients: ## Install what `make clients-test` needs
	@scripts/setup.sh run test clients

.PHONY: web
web: web/dist/index.html ## Build the page

web/node_modules/.package-lock.json: web/package.json web/package-lock.json
	cd web && npm ci --no-audit --no-fund

# The page is compiled into the program: a new build of it must reach the compiler.
web/dist/index.html: web/node_modules/.package-lock.json $(WEB_SOURCES)
	cd web && npm run --silent build
	touch web/dist/index.html node/src/http/ui.rs

.PHONY: fix
fix: ## Format everything
	cargo fmt --all
	cd web && npm run --silent format

.PHONY: clean
clean: ## Remove what was built (not ./data)
	rm -rf target web/dist web/node_modules
