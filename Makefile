# Two commands on a fresh Debian machine: `make demo` and `make test`. Each installs what is missing first, and says what.

CARGO  ?= cargo
TARGET_DIR = $(or $(CARGO_TARGET_DIR),target)
PROFILE_DIR = $(TARGET_DIR)/debug
SIM ?= --seeds 5000

.PHONY: demo test lab sim bench conformance fuzz test-large check tools

## everything from a fresh checkout to the first cross-border messages
demo: tools
	$(CARGO) build --workspace --bins
	$(PROFILE_DIR)/tilts-demo --tilts $(PROFILE_DIR)/tilts

## the whole test suite
test: tools
	$(CARGO) test --workspace --no-fail-fast
	./docker/postgres.sh $(CARGO) test --workspace --lib store::

## real implementations of other people against tilts, in both directions; then every assertion, on tilts and on phase4
conformance: tools
	$(CARGO) build --workspace --bins
	CARGO=$(CARGO) ./docker/peers.sh $(TARGET_DIR)/peers
	$(PROFILE_DIR)/tilts-conformance --tilts $(PROFILE_DIR)/tilts --peers $(TARGET_DIR)/peers --programs conformance/peers \
		--root $(TARGET_DIR)/conformance
	phase4=conformance/peers/phase4/target/phase4-peer.jar; [ ! -f $$phase4 ] || set -- --phase4 $$phase4; \
		$(PROFILE_DIR)/tilts-suite --tilts $(PROFILE_DIR)/tilts "$$@" --out $(TARGET_DIR)/suite

## rate, times, processor time and memory of the release build, beside what the cryptography and compression alone cost, and beside
## phase4 and asx-rs where the machine has them; by hand, on a quiet machine with 15 GB for temporary files. BENCH="--soak 30" adds
bench: tools
	$(CARGO) build --release -p tilts -p conformance --bin tilts --bin tilts-bench
	CARGO=$(CARGO) ./docker/peers.sh $(TARGET_DIR)/peers phase4 asx-release
	$(TARGET_DIR)/release/tilts-bench --tilts $(TARGET_DIR)/release/tilts --peers $(TARGET_DIR)/peers \
		--phase4 conformance/peers/phase4/target/phase4-peer.jar --asx $(TARGET_DIR)/peers/release/asx-peer \
		--out $(TARGET_DIR)/bench $(BENCH)

## 10,000 messages through the crash laboratory: 200 kills, 2,000 network faults; by hand. LAB="--seed N" repeats a run
lab: tools
	$(CARGO) build --workspace --bins
	$(PROFILE_DIR)/tilts-lab --tilts $(PROFILE_DIR)/tilts --out $(TARGET_DIR)/lab.jsonl $(LAB)

## thousands of runs of two nodes in one process of the release build, each by its seed; by hand. SIM="--seed N --trace" shows a run
sim: tools
	$(CARGO) build --release -p simulation --bin tilts-sim
	$(TARGET_DIR)/release/tilts-sim --out $(TARGET_DIR)/sim.jsonl $(SIM)

## every parser of foreign octets, SECONDS_EACH seconds (20) each; hours by hand
fuzz: tools
	./fuzz/run

## a 2 GiB payload and 50 recipients between two processes of the release build; by hand
test-large: tools
	$(CARGO) build --release -p tilts -p conformance --bin tilts --bin tilts-large
	$(TARGET_DIR)/release/tilts-large --tilts $(TARGET_DIR)/release/tilts

## format, lints, documentation, dependencies: what CI asks before the tests
check: tools
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS=-Dwarnings $(CARGO) doc --workspace --no-deps --document-private-items
	./docker/deny.sh

## what the build and the tests need besides Rust, as Debian packages
tools:
	@./docker/tools.sh
