# `make run` and `make test` need a Rust toolchain and nothing else.

# Where the bets of `make run` are: agency-1.csv, agency-2.csv, ...
DATA ?= .data
# Bets of each agency that `make data` makes, and where to.
BETS ?= 20000
AGENCIES ?= 5
SEED ?= 7574
LARGE ?= .data/large
# Of `make simulate`: how many seeds. Its SEED is one of them.
SEEDS ?= 5000
# Where the micro-benchmarks find agency-1.csv; without it they measure generated bets only.
BOLILLERO_DATASET ?= $(if $(wildcard $(DATA)/agency-1.csv),$(abspath $(DATA)))
# More options for the server of `make run` and `make run-office`, for example SERVE='--driver events'.
SERVE ?=
# `make bench QUICK=1` ends within two minutes; more options, for example BENCH='--rows 5x16,idle'.
QUICK ?=
BENCH ?=
# How often `make crash` kills the server.
ROUNDS ?= 1000
# How long `make fuzz` tries each target, and which: make fuzz SECONDS=600 TARGETS='packet batch'. None: all.
SECONDS ?= 60
TARGETS ?=

# Of the docker targets: what runs. `make docker-compose-up N=3` writes it anew, for three clients.
COMPOSE_FILE = docker-compose-dev.yaml
COMPOSE = docker compose -f $(COMPOSE_FILE)

BIN = $(or $(CARGO_TARGET_DIR),target)/release

.DEFAULT_GOAL := help
.PHONY: help build run run-office data test check crash simulate mutants fuzz bench bench-micro \
    docker-image docker-image-server docker-image-client docker-compose-up docker-compose-logs \
    docker-compose-stop docker-compose-down test-container test-docker need-docker need-compose

help: ## Say what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-20s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## Build both programs, optimised
	cargo build --release --locked -p bolillero-server -p bolillero

run: build ## The main job: server, an agency for each file in DATA, draw, winners
	@scripts/run.sh $(BIN) $(DATA) $(SERVE)

run-office: build ## All services over TLS: an authority, agencies with certificates, results fetched, two guests
	@scripts/run-office.sh $(BIN) $(DATA) $(SERVE)

data: build ## Make larger files of bets: make data BETS=20000, then make run DATA=.data/large
	$(BIN)/bolillero generate --output $(LARGE) --agencies $(AGENCIES) --bets $(BETS) --seed $(SEED)
	@echo "now: make run DATA=$(LARGE)"

# Under `nohup` programs start with SIGHUP ignored. Tests send it to those that they start, so it is put back.
WITH_HANGUP = $(shell env --default-signal=HUP true 2>/dev/null && echo env --default-signal=HUP)

test: ## Run every test
	$(WITH_HANGUP) cargo test --workspace --locked

crash: ## Kill the server under its agencies: make crash ROUNDS=1000, from SEED=n on
	ROUNDS=$(ROUNDS) cargo test -p bolillero-server --test program --locked crash:: -- --nocapture

check: ## Format, lints, documentation, licences
	cargo fmt --all --check
	cargo fmt --manifest-path fuzz/Cargo.toml --check
	cargo clippy --workspace --all-targets --all-features --locked -- -D warnings
	RUSTDOCFLAGS='-D warnings' cargo doc --workspace --no-deps --locked --quiet
	@if cargo deny --version >/dev/null 2>&1; then \
	    cargo deny --locked check licenses bans sources; \
	else \
	    echo 'check: cargo-deny is not installed: licences and sources were not checked (cargo install cargo-deny)'; \
	fi

simulate: ## The office under faults from seeds: SEEDS=5000, or SEED=17 for one and all that happens
	SEEDS=$(SEEDS) SEED=$(if $(filter command environment,$(firstword $(origin SEED))),$(SEED)) \
	    cargo test --release --locked -p bolillero-server --test simulation -- --nocapture whatever

mutants: ## Show that the simulation bites: every change in server/tests/mutants is found
	@scripts/mutants.sh

fuzz: ## Have a fuzzer try every decoder, SECONDS each; needs cargo-fuzz
	@scripts/fuzz.sh $(SECONDS) $(TARGETS)

bench: ## Measure beside small reference servers, in turns: target/bench/report.md, pictures
	cargo build --release --locked -p bolillero-server -p bolillero -p bolillero-bench
	$(BIN)/bolillero-bench --bin-dir $(BIN) --out target/bench $(if $(QUICK),--quick) $(BENCH)

bench-micro: ## Time each step of a bet's path beside the memory, also with the first file of DATA
	BOLILLERO_DATASET='$(BOLILLERO_DATASET)' cargo bench -p bolillero-bench --locked --bench path

docker-image: docker-image-server docker-image-client ## Build the images server:latest and client:latest

docker-image-server: need-docker ## Build the image server:latest
	docker build -f ./server/Dockerfile -t server:latest .

docker-image-client: need-docker ## Build the image client:latest
	docker build -f ./client/Dockerfile -t client:latest .

docker-compose-up: need-compose ## Build the images, start server and clients: N=3 for three of them
# Before the images: a wrong N fails here, not minutes later.
ifeq ($(origin N),command line)
	./generar-compose.sh $(COMPOSE_FILE) $(N)
else
	@[ -f $(COMPOSE_FILE) ] || ./generar-compose.sh $(COMPOSE_FILE) 5
endif
	@$(MAKE) --no-print-directory docker-image
	@scripts/compose-up.sh $(COMPOSE_FILE) $(if $(filter command,$(firstword $(origin N))),fresh)

docker-compose-logs: need-compose ## Follow what server and clients log
	$(COMPOSE) logs -f

docker-compose-stop: need-compose ## Stop the containers, and keep them and what is stored
	$(COMPOSE) stop

docker-compose-down: need-compose ## Stop and remove the containers; only a ledger in a volume of your name stays
	$(COMPOSE) stop -t 1
	$(COMPOSE) rm --force --volumes
	$(COMPOSE) down --remove-orphans

test-container: need-docker ## Ask the lottery that runs in containers whether it serves, from inside its network
	@scripts/probe-container.sh lottery

test-docker: need-compose ## Every test of the images and of whole runs under docker
	cargo test -p bolillero-acceptance --features docker --test docker --locked -- --test-threads=1

need-docker:
	@scripts/need-docker.sh

need-compose:
	@scripts/need-docker.sh compose
