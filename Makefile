# Shoal needs go, git and make; "make setup", which "make test" calls, installs what else the tests use.

GO ?= go

# Packages whose tests gain from the race detector; it sees the Go heap, not shared memory. The others check source text,
# or run programs: compilers, C, models.
RACE = $$($(GO) list ./... | grep -vE '/internal/(archtest|testrun|matrix)$$|/(cmd|examples)/|/tests/(arm64|conformance|format|interop|models|python)$$')

SOAK ?= 2m
FUZZ ?= 30s
BENCH_TIME ?= 100ms
BENCH_ROUNDS ?= 5
BENCH_COUNT ?= 6

.PHONY: all build setup test lint race conformance soak fuzz bench bench-check bench-test bench-go man demo install uninstall clean

all: build

build: ## the command, in bin/shoal
	$(GO) build -o bin/shoal ./cmd/shoal

setup: ## what the tests need beside go, git and make
	@scripts/setup

test: setup ## everything: the rules of the house, all tests in pure Go, and again with the race detector
	@$(GO) run ./internal/testrun CGO_ENABLED=0 -count=1 ./... -- CGO_ENABLED=0 -C bench -count=1 ./... -- CGO_ENABLED=1 -count=1 -race $(RACE)

lint: ## the rules of the house alone
	@$(GO) run ./internal/testrun CGO_ENABLED=0 -count=1 ./internal/archtest

race: setup ## all tests with the race detector
	@$(GO) run ./internal/testrun CGO_ENABLED=1 -count=1 -race $(RACE)

conformance: setup ## what programs in different languages do to the same objects, as a matrix of pairs and cases: two minutes
	@$(GO) run ./internal/matrix

soak: setup ## random kills and restarts for as long as asked, SOAK=10m for each of locks, rings, topics and queues
	SHOAL_SOAK=$(SOAK) $(GO) test -count=1 -timeout 0 -run '^(TestKill|TestStreamKill|TestSoakKill)$$' -v -p 1 ./pshared ./ring ./topic ./queue

fuzz: ## damaged bytes at everything that reads them, FUZZ=1m for each target
	@for target in $$(grep -rl '^func Fuzz' --include=*_test.go . | xargs -n1 dirname | sort -u); do \
		for name in $$(grep -rhoE '^func Fuzz[A-Za-z0-9]*' $$target/*_test.go | cut -d' ' -f2); do \
			echo "$$target $$name" && $(GO) test -run '^$$' -fuzz "^$$name\$$" -fuzztime $(FUZZ) -fuzzminimizetime 1x $$target || exit 1; \
		done; \
	done

bench: ## Shoal beside what one would use instead and the raw limits, in docs/bench; bench/setup installs the others
	cd bench && $(GO) run . -time $(BENCH_TIME) -rounds $(BENCH_ROUNDS) -out ../docs/bench

bench-check: ## fails if Shoal's ratios to the raw limits are worse by a quarter than those in docs/bench
	cd bench && $(GO) run . -time $(BENCH_TIME) -rounds $(BENCH_ROUNDS) -check ../docs/bench/results.json

bench-test: ## the tests of bench itself
	@$(GO) run ./internal/testrun CGO_ENABLED=0 -C bench -count=1 ./...

bench-go: ## the hot paths as Go benchmarks, several times each: what benchstat compares
	@$(GO) test -run '^$$' -bench . -benchtime 50ms -count $(BENCH_COUNT) ./schema ./shm ./posix ./pshared ./ring ./topic ./queue

man: ## the manual pages, in bin/man
	@$(GO) run ./cmd/shoal man bin/man

demo: ## two processes, System V and POSIX shared memory, in ten seconds
	@$(GO) run ./cmd/shoal demo

# Where install puts the C header: below DESTDIR, for packagers, but the files say PREFIX.
PREFIX ?= /usr/local
INCLUDE = $(DESTDIR)$(PREFIX)/include
MAN3 = $(DESTDIR)$(PREFIX)/share/man/man3
PKGCONFIG = $(DESTDIR)$(PREFIX)/share/pkgconfig

install: ## the C header, its manual page and its pkg-config file, PREFIX=/usr/local
	install -d "$(INCLUDE)" "$(MAN3)" "$(PKGCONFIG)"
	install -m 644 include/shoal.h "$(INCLUDE)/shoal.h"
	install -m 644 docs/man/shoal.h.3 "$(MAN3)/shoal.h.3"
	major=$$(sed -n 's/^.define SHOAL_MAJOR \([0-9]*\).*/\1/p' include/shoal.h) && \
	minor=$$(sed -n 's/^.define SHOAL_MINOR \([0-9]*\).*/\1/p' include/shoal.h) && \
	sed "s|@PREFIX@|$(PREFIX)|; s|@VERSION@|$$major.$$minor|" include/shoal.pc.in >"$(PKGCONFIG)/shoal.pc"
	chmod 644 "$(PKGCONFIG)/shoal.pc"

uninstall: ## what install has put there
	rm -f "$(INCLUDE)/shoal.h" "$(MAN3)/shoal.h.3" "$(PKGCONFIG)/shoal.pc"

clean:
	rm -rf bin
