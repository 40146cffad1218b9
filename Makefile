# galrelay: one non-recursive Makefile. `make help` lists the targets.

PREFIX  ?= /usr/local
DESTDIR ?=
SAN     ?=
WERROR  ?=
BUILD   ?= build$(if $(SAN),-san)
CC      = gcc
V       ?=
Q       = $(if $(V),,@)
PKGS    = libprotobuf-c zlib libcrypto libconfig libzmq sqlite3

WARN = -Wall -Wextra -Wshadow -Wformat=2 -Wconversion -Wno-sign-conversion \
       -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wundef \
       -Wnull-dereference -Wpointer-arith -Wwrite-strings -Wcast-align \
       -Wduplicated-cond -Wlogical-op $(if $(WERROR),-Werror)
HARD = -fstack-protector-strong -fstack-clash-protection \
       -fcf-protection -fPIE
ifeq ($(SAN),)
OPT  = -O2 -g -D_FORTIFY_SOURCE=3
LDHARD = -pie -Wl,-z,relro -Wl,-z,now -Wl,--as-needed
else
OPT  = -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=undefined \
       -fno-omit-frame-pointer
LDHARD = -pie -fsanitize=address,undefined
# GCC 12's flow warnings are unreliable under instrumentation.
WARN += -Wno-null-dereference -Wno-maybe-uninitialized
endif

BASEFLAGS = -std=gnu11 -D_GNU_SOURCE -I. -I$(BUILD)/gen $(OPT) $(HARD)
CFLAGS_OURS = $(BASEFLAGS) $(WARN) -include common/base/banned.h
LIBS := $(shell pkg-config --libs $(PKGS) 2>/dev/null) -lldap -llber -lsasl2 \
        -lgssapi_krb5 -lresolv

PROTOS   := $(wildcard common/*/*.proto)
GEN_C    := $(PROTOS:%.proto=$(BUILD)/gen/%.pb-c.c)
GEN_H    := $(GEN_C:.c=.h)
GEN_O    := $(GEN_C:.c=.o)
COMMON_C := $(wildcard common/*/*.c)
HUB_C    := $(wildcard hub/*.c)
SPOKE_C  := $(wildcard spoke/*.c spoke/*/*.c spoke/*/*/*.c)
COMMON_O := $(COMMON_C:%.c=$(BUILD)/%.o)
HUB_O    := $(filter-out %/main.o,$(HUB_C:%.c=$(BUILD)/%.o))
SPOKE_O  := $(filter-out %/main.o,$(SPOKE_C:%.c=$(BUILD)/%.o))
TEST_C   := $(wildcard tests/unit/test_*.c tests/property/test_*.c)
TEST_BIN := $(TEST_C:%.c=$(BUILD)/%)
LIB      := $(BUILD)/libgalrelay.a
PROGRAMS := $(BUILD)/galhub $(BUILD)/galspoke

.DEFAULT_GOAL := all
.SUFFIXES:
.SECONDARY:
.PHONY: all programs unit clean deps

all: programs
programs: $(PROGRAMS)

$(BUILD)/gen/%.pb-c.c $(BUILD)/gen/%.pb-c.h &: %.proto
	@mkdir -p $(@D)
	$(Q)protoc-c --c_out=$(BUILD)/gen $<

$(BUILD)/gen/%.pb-c.o: $(BUILD)/gen/%.pb-c.c
	$(Q)$(CC) $(BASEFLAGS) -w -c -o $@ $<

$(BUILD)/%.o: %.c | $(GEN_H)
	@mkdir -p $(@D)
	@echo '  CC $<'
	$(Q)$(CC) $(CFLAGS_OURS) -MMD -MP -c -o $@ $<

$(LIB): $(COMMON_O) $(GEN_O)
	$(Q)rm -f $@ && ar rcs $@ $^

$(BUILD)/galhub: $(HUB_C:%.c=$(BUILD)/%.o) $(LIB)
	@echo '  LD $@'
	$(Q)$(CC) $(OPT) $(LDHARD) -o $@ $^ $(LIBS)
$(BUILD)/galspoke: $(SPOKE_C:%.c=$(BUILD)/%.o) $(LIB)
	@echo '  LD $@'
	$(Q)$(CC) $(OPT) $(LDHARD) -o $@ $^ $(LIBS)

# One test binary a module. Tests named test_hub_* and test_spoke_* link that
# side too.
$(BUILD)/tests/%: $(BUILD)/tests/%.o $(LIB)
	@echo '  LD $@'
	$(Q)$(CC) $(OPT) $(LDHARD) -o $@ $(filter %.o,$^) $(LIB) $(LIBS) -lcmocka
$(filter $(BUILD)/tests/unit/test_hub% $(BUILD)/tests/property/test_hub%,$(TEST_BIN)): $(HUB_O)
$(filter $(BUILD)/tests/unit/test_spoke% $(BUILD)/tests/property/test_spoke%,$(TEST_BIN)): $(SPOKE_O)

unit: $(TEST_BIN)
	@set -e; for t in $(TEST_BIN); do echo "== $$t"; $$t; done

clean:
	rm -rf build build-san build-fuzz build-cov

-include $(COMMON_O:.o=.d) $(HUB_C:%.c=$(BUILD)/%.d) $(SPOKE_C:%.c=$(BUILD)/%.d) $(TEST_BIN:%=%.d)
-include deploy/targets.mk
