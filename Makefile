# Shoal needs go, git and make; "make setup", which "make test" calls, installs what else the tests use.

GO ?= go

# Packages whose tests gain from the race detector; it sees the Go heap, not shared memory. The others check source text
# or run programs.
RACE = $$($(GO) list ./... | grep -vE '/internal/(archtest|testrun)$$|/(cmd|examples)/')

.PHONY: all build setup test lint race bench man demo clean

all: build

build: ## the command, in bin/shoal
	$(GO) build -o bin/shoal ./cmd/shoal

setup: ## what the tests need beside go, git and make
	@scripts/setup

test: setup ## everything: the rules of the house, all tests in pure Go, and again with the race detector
	@$(GO) run ./internal/testrun CGO_ENABLED=0 -count=1 ./... -- CGO_ENABLED=1 -count=1 -race $(RACE)

lint: ## the rules of the house alone
	@$(GO) run ./internal/testrun CGO_ENABLED=0 -count=1 ./internal/archtest

race: setup ## all tests with the race detector
	@$(GO) run ./internal/testrun CGO_ENABLED=1 -count=1 -race $(RACE)

bench: ## what a segment costs, beside the bare system calls
	$(GO) test -run '^$$' -bench . ./shm

man: ## the manual pages, in bin/man
	@$(GO) run ./cmd/shoal man bin/man

demo: ## two processes, System V and POSIX shared memory, in ten seconds
	@$(GO) run ./cmd/shoal demo

clean:
	rm -rf bin
