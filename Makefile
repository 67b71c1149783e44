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

.PHONY: bench-links
bench-links: ## Measure uploads over emulated links beside TCP (needs root)
	cargo build --release --locked --package node --package links
	@target/release/links
	@target/release/links loopback target/release/reelmesh

.PHONY: kill-test
kill-test: setup web/dist/index.html ## Kill the node 50 times while it uploads and renders; look for losses
	cargo build --release --locked --package node
	@node scripts/kill-test.mjs target/release/reelmesh

.PHONY: fuzz-test
fuzz-test: setup-test web/dist/index.html ## Send a thousand damaged files of every kind to a node; look whether it minds
	cargo build --release --locked --package node
	cargo test --locked --package node --test media every_kind_of_file
	@node scripts/fuzz-test.mjs target/release/reelmesh target/tmp/media

.PHONY: acceptance
acceptance: setup-test setup-bench ## Every kind of video that an editor meets, by every preset: each picture shows its number
	cargo test --locked --package node --test media -- --ignored --nocapture the_whole_acceptance_set
.PHONY: fault-test
fault-test: setup-test web/dist/index.html ## Break three real nodes in every way while writers write; look for losses (root)
	cargo build --release --locked --package node
	@node scripts/fault-test.mjs target/release/reelmesh

.PHONY: simulate
simulate: ## Run simulated clusters, seed after seed, until one goes wrong (FIRST=0 COUNT=100000)
	SIMULATION_SEEDS=$(or $(FIRST),0)..$$(($(or $(FIRST),0) + $(or $(COUNT),100000))) \
	  cargo test --release --locked --package coordinator --test simulation whatever -- --nocapture

.PHONY: fuzz
fuzz: ## Throw a million hostile inputs at every decoder that a client can reach (PROPTEST_CASES)
	PROPTEST_CASES=$${PROPTEST_CASES:-1000000} cargo test --locked --release --package protocol --lib fuzz
	PROPTEST_CASES=$${PROPTEST_CASES:-1000000} cargo test --locked --release --package node --lib http::fuzz

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

.PHONY: upload-kill-test
upload-kill-test: setup web/dist/index.html ## Kill client, node and both 500 times while files are uploaded; count losses and what is sent twice
	cargo build --release --locked --package node
	@node scripts/upload-kill-test.mjs target/release/reelmesh

.PHONY: cdn-test
cdn-test: setup-cdn web/dist/index.html ## Run nginx and Varnish in front of a node, with a signed path and without
	cargo build --locked --package node
	@node scripts/cdn-test.mjs target/debug/reelmesh

.PHONY: setup setup-test setup-bench setup-cdn setup-clients
setup: ## Install what `make run` needs
	@scripts/setup.sh run
setup-test: ## Install what `make test` needs
	@scripts/setup.sh run test
setup-cdn: ## Install what `make cdn-test` needs
	@scripts/setup.sh run cdn
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
