# ottla: `make run` serves on 9092, `make test` runs every test that needs Go alone.
GO ?= go
export CGO_ENABLED ?= 0

.PHONY: run cluster build test check lint race fuzz histories sim sabotage clients franz-go faults hostile gates microbench bench generate

run: build
	bin/ottla serve

# Three nodes on loopback, clients on 9092, 9192 and 9292, data in bin/cluster; ^C stops them.
cluster: build
	.ci/cluster

build:
	$(GO) build -trimpath -o bin/ottla ./cmd/ottla

test:
	$(GO) test -timeout 5m ./...
	$(GO) test -timeout 1m -tags failpoint -run Failpoint . ./log/vfs

# For every few minutes: format, vet, staticcheck, import direction, unit tests.
check: lint
	$(GO) test -short -timeout 2m ./...

# What check does without running anything.
lint:
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { echo "not gofmt-ed:"; gofmt -l $$(git ls-files '*.go'); exit 1; }
	$(GO) vet ./...
	$(GO) vet -tags failpoint ./...
	$(GO) tool staticcheck ./...

race:
	CGO_ENABLED=1 $(GO) test -race -timeout 20m ./...

# Every fuzz target for FUZZTIME.
FUZZTIME ?= 10s
fuzz:
	GO=$(GO) .ci/fuzz $(FUZZTIME)

# N random histories of a log directory from SEED on, the power cut at their syncs: see log/history_test.go.
N ?= 10000
SEED ?= 1
histories:
	$(GO) test -count=1 -timeout 6h -v -run '^TestHistories$$' ./log -histories $(N) -seed $(SEED)

# N seeds of the cluster's simulator from SEED on, on all cores: see integration/sim. SEED alone repeats one and tells every event.
SIM := $(GO) test -count=1 -timeout 6h -v -run '^TestSeeds$$' ./integration/sim
sim:
ifeq ($(origin N),file)
	$(SIM) -seeds 1 -seed $(SEED) -watch
else
	$(SIM) -seeds $(N) -seed $(SEED) -shards $(shell nproc)
endif

# Histories and simulator with a bug planted, each in turn: every one has to be caught.
sabotage:
	$(GO) test -count=1 -timeout 1h -v -tags sabotage -run '^TestPlantedBugsAreCaught$$' ./log
	$(GO) test -count=1 -timeout 1h -v -tags sabotage -run '^TestPlantedBugsAreFound$$' ./integration/sim

# Apache Kafka's own tools and Java clients, and kcat, against a node (needs a JDK, Maven and kcat).
clients: build
	$(GO) test -count=1 -timeout 20m -tags clients ./integration/clients

# franz-go's own integration tests against a node.
franz-go: build
	$(GO) test -v -count=1 -timeout 20m -tags franzgo ./integration/franzgo

# Faults on real processes: kills, power cuts, full, failing and damaged disks (needs root for most). CASE=C05,kill chooses, RUNS=100 repeats, SEED= chooses the
# chances, FAULTS_REPORT=file keeps the outcome as JSON, FAULTS_DIR=/dev/shm puts the disks into memory.
faults:
	$(GO) test -v -count=1 -timeout 120m -tags faults -run '^TestFaults$$' ./integration/faults

# Thousands of hostile connections against a node, a good client beside them: what that notices, and what the node needs for it.
# The attackers run when nobody else wants to (see integration/DESIGN.md); TMPDIR=/dev/shm takes the disk out of the question, PROFILES=folder keeps the node's profiles.
DURATION ?= 5m
CONNECTIONS ?= 5000
hostile:
	DURATION=$(DURATION) CONNECTIONS=$(CONNECTIONS) $(GO) test -v -count=1 -timeout 60m -tags hostile -run '^TestSiege$$' ./integration/hostile

# What a request may cost in allocations, bytes on disk and system calls (needs strace for the last), against integration/gates/testdata/figures.txt. GATES=-rewrite accepts what
# it costs now.
gates:
	$(GO) test -count=1 -timeout 5m -tags gates ./integration/gates $(GATES)

# Allocations and costs of the hot paths.
microbench:
	$(GO) test -run '^$$' -bench . -benchmem ./log/... ./protocol/...

# CPU, memory and time beside Apache Kafka, interleaved (needs Java and Maven).
bench: build
	$(GO) run ./integration/bench -json bin/bench.json $(BENCH)

generate:
	$(GO) generate ./...
