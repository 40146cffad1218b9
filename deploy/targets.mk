# Everything beyond building the programs: tests, fuzzing, checks, packaging.

PYTHON   = /usr/bin/python3
JOBS    := $(shell nproc)
SECONDS ?= 60
SBINDIR  = $(PREFIX)/sbin
MANDIR   = $(PREFIX)/share/man
UNITDIR  = $(PREFIX)/lib/systemd/system
SYSUSERS = $(PREFIX)/lib/sysusers.d
DOCDIR   = $(PREFIX)/share/doc/galrelay

FUZZ_C   := $(wildcard tests/fuzz/fuzz_*.c)
FUZZ_BIN := $(FUZZ_C:tests/fuzz/%.c=$(BUILD)/fuzz/%)
OURS_C   := $(COMMON_C) $(HUB_C) $(SPOKE_C)
OURS_H   := $(wildcard common/*/*.h hub/*.h spoke/*.h \
	    spoke/*/*.h spoke/*/*/*.h)
TESTS_CH := $(wildcard tests/*/*.c tests/*/*.h)
MAN      := $(wildcard hub/*.8 spoke/*.8 common/*/*.5)
SCRIPTS   = deploy/dependencies .ci/run tests/fuzz/run

.PHONY: help test check fuzz-replay fuzz fuzz-binaries lint lint-format \
	lint-tidy lint-rules lint-scripts lint-man analyze cov soak bench \
	demo install

help:
	@echo 'make                build/galhub and build/galspoke'
	@echo 'make test           install what is needed, build, run every test'
	@echo 'make demo           three forests share one address list (KEEP=1)'
	@echo 'make install        DESTDIR= PREFIX=/usr/local'
	@echo 'make bench          a table, and build/bench.json'
	@echo 'make fuzz           libFuzzer on every decoder, SECONDS=60'
	@echo 'make lint           format, clang-tidy, layers, man pages, scripts'
	@echo 'make analyze        gcc -fanalyzer'
	@echo 'make cov            line coverage of the unit tests'
	@echo 'make soak           200 random kills'
	@echo 'make clean'
	@echo 'SAN=1 adds AddressSanitizer and UBSan, WERROR=1 makes warnings'
	@echo 'errors.'

# The packages decide what pkg-config answers: hence a second make.
test:
	@deploy/dependencies
	@$(MAKE) --no-print-directory -j$(JOBS) check

# What the tests in Python run.
PROBES := $(patsubst %.c,$(BUILD)/%,$(wildcard tests/forest/*.c))
$(filter $(BUILD)/tests/forest/spoke_%,$(PROBES)): $(SPOKE_O)
-include $(PROBES:%=%.d)

check: programs $(TEST_BIN) $(PROBES)
	@$(MAKE) --no-print-directory fuzz-replay
	@$(PYTHON) tests/run --build $(BUILD) --replay build-replay \
	    $(TEST_BIN) -- $(PYTEST)

# ---- fuzzing ----------------------------------------------------------------
# The library is built once more with -DFUZZING (a signature check may then be
# bypassed), so never in $(BUILD).

SAN_FLAGS = -fsanitize=address,undefined -fno-sanitize-recover=undefined \
	-fno-omit-frame-pointer

$(BUILD)/fuzz/%: $(BUILD)/tests/fuzz/%.o $(FUZZ_MAIN) $(LIB)
	@mkdir -p $(@D)
	$(CC) $(OPT) $(LDHARD) -o $@ $(filter %.o,$^) $(LIB) $(LIBS)
$(filter $(BUILD)/fuzz/fuzz_hub%,$(FUZZ_BIN)): $(HUB_O)
$(filter $(BUILD)/fuzz/fuzz_spoke%,$(FUZZ_BIN)): $(SPOKE_O)

fuzz-binaries: $(FUZZ_BIN)

fuzz-replay:
	@$(MAKE) --no-print-directory -j$(JOBS) BUILD=build-replay SAN=1 \
	    OPT='-O1 -g $(SAN_FLAGS) -DFUZZING' \
	    FUZZ_MAIN=build-replay/tests/fuzz/replay.o fuzz-binaries

fuzz:
	@deploy/dependencies
	@$(MAKE) --no-print-directory -j$(JOBS) BUILD=build-fuzz CC=clang-14 \
	    OPT='-O1 -g -fsanitize=fuzzer-no-link $(SAN_FLAGS) -DFUZZING' \
	    LDHARD='-fsanitize=fuzzer,address,undefined' WARN=-w fuzz-binaries
	@tests/fuzz/run build-fuzz $(SECONDS)

# ---- checks -----------------------------------------------------------------

lint: lint-format lint-rules lint-scripts lint-man
	@$(MAKE) --no-print-directory -j$(JOBS) lint-tidy
	@echo 'lint: clean'

lint-format:
	@clang-format-14 --dry-run -Werror $(OURS_C) $(OURS_H) $(TESTS_CH)

TIDY = $(OURS_C:%=$(BUILD)/tidy/%)
lint-tidy: $(TIDY)
$(BUILD)/tidy/%: % .clang-tidy $(OURS_H) | $(GEN_H)
	@mkdir -p $(@D)
	@clang-tidy-14 --quiet $< -- $(BASEFLAGS) \
	    -include common/base/banned.h >$@.out 2>&1 || \
	    { grep -v ' warnings\? generated' $@.out; exit 1; }
	@mv $@.out $@

lint-rules: | $(GEN_H)
	@$(PYTHON) deploy/lint/rules $(BUILD)

lint-scripts:
	@shellcheck $(SCRIPTS)

lint-man:
	@$(if $(MAN),mandoc -Tlint -Wwarning $(MAN))

ANALYZED = $(OURS_C:%=$(BUILD)/analyze/%)
analyze:
	@$(MAKE) --no-print-directory -j$(JOBS) $(ANALYZED)
$(BUILD)/analyze/%: % $(OURS_H) | $(GEN_H)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS_OURS) -fanalyzer -o $@.o -c $<
	@mv $@.o $@

cov:
	@$(MAKE) --no-print-directory -j$(JOBS) BUILD=build-cov \
	    OPT='-O0 -g --coverage' LDHARD=--coverage unit
	@$(PYTHON) deploy/lint/coverage build-cov $(OURS_C)

# ---- long runs --------------------------------------------------------------

soak: programs
	@$(PYTHON) tests/run --build $(BUILD) -- -m soak

bench: programs
	@$(PYTHON) tests/bench/bench.py --build $(BUILD)

demo:
	@deploy/dependencies
	@$(MAKE) --no-print-directory -s -j$(JOBS) programs
	@$(PYTHON) deploy/demo --build $(BUILD) $(if $(KEEP),--keep)

# ---- installation -----------------------------------------------------------

install: programs
	install -d $(DESTDIR)$(SBINDIR) $(DESTDIR)$(MANDIR)/man5 \
	    $(DESTDIR)$(MANDIR)/man8 $(DESTDIR)$(UNITDIR) \
	    $(DESTDIR)$(DOCDIR)/sample/policies.d $(DESTDIR)$(SYSUSERS) \
	    $(DESTDIR)/etc/galrelay
	install -m 755 $(PROGRAMS) $(DESTDIR)$(SBINDIR)
	install -m 644 hub/hub.8 $(DESTDIR)$(MANDIR)/man8/galhub.8
	install -m 644 spoke/spoke.8 $(DESTDIR)$(MANDIR)/man8/galspoke.8
	install -m 644 common/conf/galrelay.5 $(DESTDIR)$(MANDIR)/man5
	for unit in galhub galspoke; do \
	    sed 's,@SBINDIR@,$(SBINDIR),' deploy/systemd/$$unit.service \
	    >$(DESTDIR)$(UNITDIR)/$$unit.service || exit 1; done
	install -m 644 deploy/systemd/galrelay.sysusers \
	    $(DESTDIR)$(SYSUSERS)/galrelay.conf
	install -m 644 README.md LICENSE $(DESTDIR)$(DOCDIR)
	install -m 644 deploy/sample/*.conf $(DESTDIR)$(DOCDIR)/sample
	install -m 644 deploy/sample/policies.d/*.conf \
	    $(DESTDIR)$(DOCDIR)/sample/policies.d
