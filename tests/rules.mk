# The tests' part of the Makefile: builds the programs and the Check suites, runs everything.
# A new test program or suite is one new file; nothing here has to change.

TEST_SRC  := $(wildcard tests/programs/*.c tests/programs/*.cc)
TEST_BIN  := $(patsubst %.cc,$(B)/%,$(patsubst %.c,$(B)/%,$(TEST_SRC)))
UNIT_BIN  := $(patsubst tests/unit/%.c,$(B)/tests/unit/%,$(wildcard tests/unit/test_*.c))
UNIT_LIBS  = $(shell pkg-config --cflags --libs check)
T         ?=
TEST_ARGS ?=

.PHONY: tests unit test demo-programs
tests: $(TEST_BIN) $(UNIT_BIN)  ## build the test programs and suites

$(B)/tests/programs/%: tests/programs/%.c tests/lib/build-program
	$(call say,TEST,$<)
	$(Q)CC='$(CC)' CXX='$(CXX)' tests/lib/build-program $< $@

$(B)/tests/programs/%: tests/programs/%.cc tests/lib/build-program
	$(call say,TEST,$<)
	$(Q)CC='$(CC)' CXX='$(CXX)' tests/lib/build-program $< $@

$(B)/tests/unit/%: tests/unit/%.c $(B)/libbaton_core.a
	@mkdir -p $(@D)
	$(call say,UNIT,$<)
	$(Q)$(CC) $(CPPFLAGS) -std=gnu11 -D_GNU_SOURCE -DBATON_VERSION='"$(VERSION)"' -Ishim -Iinclude \
	  $(WARN) $(CFLAGS) $(LDFLAGS) -pthread -MMD -MP $< -o $@ $(B)/libbaton_core.a $(UNIT_LIBS) -ldl

unit: $(UNIT_BIN)  ## build the Check suites

# Debian's pytest, by Debian's Python: another python3 may come first in PATH.
# Before release 7 it does not look for .pytest.ini by itself.
PYTEST    ?= /usr/bin/python3 -m pytest -c .pytest.ini --rootdir=.
# Two more at a time than there are processors: tests wait for a fifth of their time.
TEST_JOBS ?= $(shell expr $$(nproc) + 2)
test: all tests  ## run the tests: T=PATTERN picks by name or promise, TEST_ARGS="-x --lf" goes to pytest
	$(Q)BATON_TEST_BUILD='$(B)' $(PYTEST) -q -n $(TEST_JOBS) $(if $(T),--pick='$(subst ','\'',$(T))') $(TEST_ARGS)

.PHONY: faults conformance versions soak
faults: all tests  ## every system call of ours fails or kills, one at a time, in twelve programs (20 minutes)
	$(Q)BATON_TEST_BUILD='$(B)' /usr/bin/python3 tests/lib/faults.py $(T)
conformance: all  ## tests of GLib, CPython and stress-ng, plain, idle, with auto and carrying (an hour); T='glib:thread python'
	$(Q)BATON_TEST_BUILD='$(B)' /usr/bin/python3 tests/lib/conformance.py $(T)

SECONDS ?= 3600
soak: all tests  ## a hundred million handoffs of all families, or SECONDS=3600 of them; T='storm uv_work'
	$(Q)BATON_TEST_BUILD='$(B)' /usr/bin/python3 tests/lib/soak.py --seconds $(SECONDS) $(T)

versions: all  ## the tests on Debian 11, 13 and sid, with the library built there and with this one (root; two hours); T='--pick=uv 13'
	$(Q)scripts/versions $(T)

# What `make demo` runs.
demo-programs: $(filter $(B)/tests/programs/stale_pool_% $(B)/tests/programs/web_request $(B)/tests/programs/demo_%,$(TEST_BIN))

-include $(wildcard $(B)/tests/programs/*.d $(B)/tests/unit/*.d)
