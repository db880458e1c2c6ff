# What people and machines call. Each target is one script; see its head for what it does.
.PHONY: run away bench build conformance fmt fuzz lint matrix soak test tools upgrade

run: ## A gateway with a sample workspace, on loopback
	@scripts/run.sh

build: ## The release binary, with the console in it
	scripts/build.sh --release

test: ## Everything that must hold before a change lands
	@scripts/test.sh

conformance: ## The MCP conformance suite, directly and through the gateway
	@scripts/conformance.sh

matrix: ## Real clients in every mode in front of servers of every kind, as a table
	@scripts/matrix.sh

SECONDS_EACH ?= 60
TARGETS ?=
fuzz: ## Looks for inputs that no parser should fail on: SECONDS_EACH=600 TARGETS="json sse"
	@scripts/fuzz.sh $(SECONDS_EACH) $(TARGETS)

soak: ## A million calls of all kinds through each other, on each database
	@scripts/soak.sh

away: ## A database that is away for a minute, in front of gateways that may do without it and others
	@scripts/away.sh

upgrade: ## Calls over an upgrade from an older commit to this one, and back: FROM=v1.0.0
	@scripts/upgrade.sh $(FROM)

fmt: ## Formats the sources
	cargo fmt --all

lint: ## What the compiler and clippy have to say, as in `make test`
	cargo clippy --workspace --all-targets -- -D warnings

tools: ## Installs what the tests need into .tools
	@scripts/tools.sh test

bench: ## What the gateway costs, against direct access and a bare proxy, in one run
	cargo build --release -p ostiary -p bench
	target/release/bench
