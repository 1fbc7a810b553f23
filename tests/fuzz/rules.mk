# Fuzzers: libFuzzer of clang, with AddressSanitizer and UndefinedBehaviorSanitizer, from the same sources.
# tests/fuzz/fuzz_NAME.c is one; tests/fuzz/corpus/NAME/ is what it begins with. string.c is left out: the
# sanitizers watch the C library's memcpy.
FUZZ_B     := build-fuzz
FUZZ_CC    ?= clang
FUZZ_FLAGS  = -std=gnu11 -g -O1 -fno-omit-frame-pointer -fno-strict-aliasing -D_GNU_SOURCE -DSYS_KERNEL=memory_kernel -DBATON_VERSION='"$(VERSION)"' \
              -Ishim -Iinclude -Iscripts/plan $(if $(ZYDIS),-DHAVE_ZYDIS) -fsanitize=address,undefined \
              -fno-sanitize-recover=undefined -fno-sanitize=alignment,function,nonnull-attribute,pointer-overflow -w
FUZZ_OBJ    = $(filter-out $(FUZZ_B)/shim/base/string.o,$(patsubst $(B)/%,$(FUZZ_B)/%,$(filter $(B)/shim/base/% $(B)/shim/elf/% \
              $(B)/shim/slots/% $(B)/shim/userhooks/spec%,$(CORE)))) $(FUZZ_B)/scripts/plan/modules.o $(FUZZ_B)/scripts/plan/modules_ask.o \
              $(FUZZ_B)/scripts/plan/offset.o
# Files in memory, instead of one written for each run.
FUZZ_FILES  = $(FUZZ_B)/tests/fuzz/memory_file.o
comma      := ,
FUZZ_WRAP  := -Wl,$(subst $() ,$(comma),$(patsubst %,--wrap=%,open close fstat pread mmap munmap fopen))
FUZZERS    := $(filter-out $(if $(JANSSON),,report),$(patsubst tests/fuzz/fuzz_%.c,%,$(wildcard tests/fuzz/fuzz_*.c)))
# The launcher, whose part it is to read reports.
FUZZ_CLI    = $(patsubst $(B)/%,$(FUZZ_B)/%,$(filter-out %/main.o,$(CLI_OBJ))) $(FUZZ_B)/scripts/plan/kept.o
# Texts show in a few lines what they do, and long ones are slow.
FUZZ_LONGEST_settings := 2048
FUZZ_LONGEST_hooks    := 1024
FUZZ_TIME  ?= 60
FUZZ_RUNS  ?= -1

$(FUZZ_B)/%.o: %.c
	@mkdir -p $(@D)
	$(call say,FUZZ,$<)
	$(Q)$(FUZZ_CC) $(FUZZ_FLAGS) -fsanitize=fuzzer-no-link -MMD -MP -c $< -o $@

$(FUZZ_B)/%.o: %.S
	@mkdir -p $(@D)
	$(Q)$(FUZZ_CC) -Ishim -MMD -MP -c $< -o $@

$(FUZZ_B)/fuzz_%: tests/fuzz/fuzz_%.c $(FUZZ_OBJ) $(FUZZ_FILES)
	$(Q)$(FUZZ_CC) $(FUZZ_FLAGS) -fsanitize=fuzzer $(FUZZ_WRAP) -o $@ $^ -ldl

$(FUZZ_B)/fuzz_report $(FUZZ_CLI): private FUZZ_FLAGS += -Iscripts -Iscripts/cli -Iscripts/trace -DHAVE_JANSSON
$(FUZZ_B)/fuzz_report: tests/fuzz/fuzz_report.c $(FUZZ_CLI) $(FUZZ_OBJ) $(FUZZ_FILES)
	$(Q)$(FUZZ_CC) $(FUZZ_FLAGS) -fsanitize=fuzzer $(FUZZ_WRAP) -o $@ $^ -ldl $(JANSSON)

.PHONY: fuzz fuzzers $(FUZZERS:%=fuzz-%)
fuzzers: $(addprefix $(FUZZ_B)/fuzz_,$(FUZZERS))
# Several at a time; each begins with what it found before.
fuzz: fuzzers  ## each fuzzer for FUZZ_TIME=60 seconds (FUZZ_RUNS=N: executions), from its corpus
	+$(Q)$(MAKE) --no-print-directory -j$(JOBS) $(FUZZERS:%=fuzz-%)
$(FUZZERS:%=fuzz-%): fuzz-%: $(FUZZ_B)/fuzz_%
	$(Q)mkdir -p $(FUZZ_B)/found/$*
	$(Q)$(FUZZ_B)/fuzz_$* -max_total_time=$(FUZZ_TIME) -runs=$(FUZZ_RUNS) -max_len=$(or $(FUZZ_LONGEST_$*),8192) -timeout=60 -print_final_stats=1 \
	  -artifact_prefix=$(FUZZ_B)/found/$*- $(FUZZ_B)/found/$* tests/fuzz/corpus/$* >$(FUZZ_B)/$*.log 2>&1 || \
	  { tail -40 $(FUZZ_B)/$*.log; exit 1; }
	$(Q)printf '  %-10s %s\n' $* "$$(grep -o 'number_of_executed_units: .*' $(FUZZ_B)/$*.log)"

-include $(FUZZ_OBJ:.o=.d) $(FUZZ_CLI:.o=.d) $(FUZZ_FILES:.o=.d)
