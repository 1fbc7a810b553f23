# baton: build, test, measure, install. `make help` lists the targets.
#
# CFLAGS, CPPFLAGS and LDFLAGS are the user's: whatever the build itself needs stands in BASE and is
# never overwritten by them. V=1 shows the commands. B=DIR builds somewhere else.
#
# tests/rules.mk gives:        unit  (build/tests/unit/*: Check suites)   test  (builds and runs everything)
# tests/bench/rules.mk gives:  bench, bench-check
VERSION := 0.2.0
B       ?= build
V       ?= 0
Q        = $(if $(filter 1,$(V)),,@)
say      = $(if $(filter 1,$(V)),@:,@printf '  %-7s %s\n' $(1) $(2))

PREFIX  ?= /usr/local
DESTDIR ?=

CC      ?= cc
CFLAGS  ?= -O2 -g
WARN     = -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wno-unused-parameter
# -fasynchronous-unwind-tables: exceptions, pthread_exit and cancellation unwind through our frames.
# initial-exec: the default model calls __tls_get_addr, which can call the program's malloc.
BASE     = -std=gnu11 -fPIC -fdata-sections -fvisibility=hidden -ftls-model=initial-exec -fasynchronous-unwind-tables \
           -foptimize-sibling-calls -fno-strict-aliasing -D_GNU_SOURCE -DBATON_VERSION='"$(VERSION)"' -Ishim -Iinclude

# The machine that is built for, which need not be this one.
ARCH    := $(firstword $(subst -, ,$(shell $(CC) -dumpmachine 2>/dev/null)))
OTHERS  := $(filter-out $(ARCH),x86_64 aarch64)
SRC_C   := $(filter-out shim/adapters/% shim/codecs/% shim/discover/% shim/waits/% $(foreach other,$(OTHERS),%_$(other).c),$(wildcard shim/*.c shim/*/*.c shim/*/*/*.c))
SRC_S   := $(wildcard shim/*/*_$(ARCH).S shim/*/*/*_$(ARCH).S)
WAITS_OBJ := $(patsubst %.c,$(B)/%.o,$(wildcard shim/waits/*.c))
OBJ     := $(SRC_C:%.c=$(B)/%.o) $(SRC_S:%.S=$(B)/%.o)
# The unit suites link the lower rooms only: the rooms above take over pthread_create and its like.
CORE    := $(filter $(B)/shim/base/% $(B)/shim/elf/% $(B)/shim/slots/% $(B)/shim/context/% $(B)/shim/userhooks/spec%.o $(B)/shim/interpose/vtable.o \
           $(B)/shim/observe/store%.o,$(OBJ))

.DEFAULT_GOAL := all
.PHONY: all
all: $(B)/libbaton.so $(B)/baton-plan $(B)/baton-discover $(B)/libbaton-discover.so $(B)/libbaton-waits.so $(B)/baton-cli adapters codecs  ## build/libbaton.so

# After the user's, for the library's objects: the layout names them, and link-time optimisation does away
# with them; some bodies must go on to the real function by a jump, which takes optimising.
LAST     = -fno-lto $(if $(filter-out -O0 -Og,$(filter -O%,$(CFLAGS))),,-O1)

# Changed flags rebuild everything: `make CFLAGS=-O0` after `make` must not mix objects.
FLAGS    = $(CC) $(CPPFLAGS) $(BASE) $(WARN) $(CFLAGS) $(LAST) $(LDFLAGS)
$(B)/flags: force
	@mkdir -p $(@D)
	@printf '%s\n' '$(subst ','\'',$(FLAGS))' | cmp -s - $@ || printf '%s\n' '$(subst ','\'',$(FLAGS))' > $@
.PHONY: force
force:

$(B)/%.o: %.c $(B)/flags
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(CC) $(CPPFLAGS) $(BASE) $(WARN) $(CFLAGS) $(LAST) -MMD -MP -c $< -o $@

# Behind the thunks: no vector register is touched, so none need be saved.
$(B)/shim/userhooks/%_gpr.o $(B)/shim/userhooks/%_gpr_$(ARCH).o: private BASE += -mgeneral-regs-only

# What the loader runs while it relocates us may call nobody.
$(addprefix $(B)/shim/interpose/,early.o early_tables.o early_references.o deferred.o): private LAST += -fno-builtin -fno-stack-protector \
  $(if $(findstring clang,$(shell $(CC) --version 2>/dev/null)),,-fno-tree-loop-distribute-patterns)

# Contexts and jumps leave the stack from where the program called, not from a frame of ours, and who waits goes on by a jump.
$(B)/shim/families/coroutines/ucontext.o $(B)/shim/families/coroutines/fcontext.o $(WAITS_OBJ): private LAST += -O2

# What puts a walk through words in line calls it in its own frame (slots/words_move.h).
$(if $(filter x86_64,$(ARCH)),$(addprefix $(B)/shim/,$(addsuffix .o,context/capture context/scope \
  families/libuv/work families/glib/pool)): private BASE += -mno-red-zone)

$(B)/%.o: %.S $(B)/flags
	@mkdir -p $(@D)
	$(call say,AS,$<)
	$(Q)$(CC) $(CPPFLAGS) -Ishim $(CFLAGS) -MMD -MP -c $< -o $@

$(B)/libbaton.map: shim/interpose/exports.map.in shim/interpose/hooks.def
	@mkdir -p $(@D)
	$(call say,GEN,$@)
	$(Q)$(CC) -E -P -x c -Ishim $< -o $@

# Every program pays for what the loader does here: one segment to read, one to write (shim/layout.ld.in).
# A linker that does not know these makes a library that starts slower. No RELRO: the table that all
# calls go through must be writable, so it would protect nothing.
BINDING      = -Wl,-z,lazy -Wl,-z,norelro
LAYOUT       = -Wl,-z,noseparate-code -Wl,-T,$(B)/layout.ld
LAYOUT_KNOWN = $(shell $(CC) $(LDFLAGS) $(BINDING) -shared -nostdlib $(LAYOUT) -o /dev/null -x c /dev/null 2>/dev/null && echo yes)
# The objects that every start runs, in that order: their code lies together, and so does what they write to.
START_TEXT := init interpose/early interpose/early_tables interpose/early_references interpose/deferred base/string base/auxv base/config \
              base/config_settings base/config_file base/config_parse interpose/hooks slots/parse slots/grammar \
              slots/form slots/kinds slots/slots slots/resolve slots/names slots/object slots/policy slots/key slots/key_item slots/key_by \
              slots/key_guard slots/native slots/tls slots/fn slots/locale slots/fenv \
              elf/elf elf/module elf/list elf/dynsym elf/search elf/find elf/file base/log base/clock base/lock base/mem \
              context/context context/thread fork slots/known slots/words slots/moves slots/folder interpose/inherit \
              interpose/loader userhooks/spec_known
START_DATA := context/pool/blocks $(patsubst $(B)/shim/%.o,%,$(filter $(B)/shim/base/% $(B)/shim/elf/%,$(OBJ))) slots/slots slots/resolve slots/names slots/origin \
              slots/adapter slots/grammar slots/parse slots/moves slots/words context/thread context/guard context/capture interpose/early_tables interpose/hooks \
              interpose/inherit families/registration observe/report fork init
$(if $(filter-out $(patsubst $(B)/shim/%.o,%,$(OBJ)),$(START_TEXT) $(START_DATA)),$(error Makefile: START_TEXT or \
  START_DATA names what is no object: $(filter-out $(patsubst $(B)/shim/%.o,%,$(OBJ)),$(START_TEXT) $(START_DATA))))
$(B)/layout.ld: shim/layout.ld.in Makefile
	@mkdir -p $(@D)
	$(call say,GEN,$@)
	$(Q)sed -e 's|@START_TEXT@|$(foreach o,$(START_TEXT),*shim/$o.o(.text .text.* .rodata .rodata.*))|' \
	  -e 's|@START_DATA@|$(foreach o,$(START_DATA),*shim/$o.o)|g' $< > $@

# Runs while building, on this machine.
HOSTCC ?= cc
$(B)/link-lighten: scripts/link/lighten.c shim/interpose/deferred.h
	$(call say,LINK,$@)
	$(Q)$(HOSTCC) -O1 -Wall -Wextra -Ishim -o $@ $<

# Put in place whole: programs that run with the old one keep it.
$(B)/libbaton.so: $(OBJ) $(B)/libbaton.map $(B)/layout.ld $(B)/link-lighten
	$(call say,LD,$@)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -shared -nostartfiles -Wl,-z,defs $(BINDING) \
	  $(if $(LAYOUT_KNOWN),$(LAYOUT)) \
	  -Wl,--hash-style=gnu -Wl,-soname,libbaton.so -Wl,--version-script=$(B)/libbaton.map -o $@.new $(OBJ)
	$(Q)$(B)/link-lighten $@.new || true
	$(Q)mv -f $@.new $@

$(B)/libbaton_core.a: $(CORE)
	$(call say,AR,$@)
	$(Q)rm -f $@
	$(Q)$(AR) rcs $@ $^

# An ordinary program that `baton run` and `baton check` call. Without Zydis it patches no code.
# -ldl: a library of its own before glibc 2.34.
PLAN_SRC := $(wildcard scripts/plan/*.c)
PLAN_OBJ := $(PLAN_SRC:%.c=$(B)/%.o)
ZYDIS    := $(if $(and $(filter x86_64,$(ARCH)),$(wildcard /usr/include/Zydis/Zydis.h /usr/local/include/Zydis/Zydis.h)),yes)
$(PLAN_OBJ): private BASE += -Iscripts/plan $(if $(ZYDIS),-DHAVE_ZYDIS)
$(B)/baton-plan: $(PLAN_OBJ) $(B)/libbaton_core.a
	$(call say,LD,$@)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@.new $^ $(if $(ZYDIS),-lZydis) -ldl
	$(Q)mv -f $@.new $@

# What looks for what could be carried. Without libdw it knows arguments by code only, without Zydis not even so.
DISCOVER_SRC := $(wildcard scripts/discover/*.c)
DISCOVER_OBJ := $(DISCOVER_SRC:%.c=$(B)/%.o)
LIBDW        := $(if $(wildcard /usr/include/elfutils/libdw.h /usr/local/include/elfutils/libdw.h),yes)
$(DISCOVER_OBJ): private BASE += -Iscripts/plan -Iscripts/cli $(if $(ZYDIS),-DHAVE_ZYDIS) $(if $(LIBDW),-DHAVE_LIBDW)
$(B)/baton-discover: $(DISCOVER_OBJ) $(B)/scripts/plan/modules.o $(B)/scripts/cli/text.o $(B)/libbaton_core.a
	$(call say,LD,$@)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@.new $^ $(if $(ZYDIS),-lZydis) $(if $(LIBDW),-ldw) -ldl
	$(Q)mv -f $@.new $@

# What notes down under `baton discover`, and is loaded by nobody else.
NOTES_OBJ := $(patsubst %.c,$(B)/%.o,$(wildcard shim/discover/*.c))
$(B)/libbaton-discover.so: $(NOTES_OBJ) $(B)/libbaton_core.a
	$(call say,LD,$@)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -shared -Wl,-z,defs -Wl,-soname,libbaton-discover.so -o $@.new $^ -pthread -ldl
	$(Q)mv -f $@.new $@

# What notes down where threads wait, for a verdict: a library of its own, so that other programs pay nothing for it.
$(B)/libbaton-waits.so: $(WAITS_OBJ) $(B)/libbaton_core.a
	$(call say,LD,$@)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -shared -Wl,-z,defs -Wl,-soname,libbaton-waits.so -o $@.new $^
	$(Q)mv -f $@.new $@

# The launcher. Without jansson it reads no reports; linked in whole, because it is what starts everything.
CLI_SRC := $(wildcard scripts/cli/*.c scripts/trace/*.c)
CLI_OBJ := $(CLI_SRC:%.c=$(B)/%.o)
JANSSON := $(filter /%,$(shell $(CC) -print-file-name=libjansson.a 2>/dev/null))
CLI_OBJ := $(if $(JANSSON),$(CLI_OBJ),$(filter-out $(B)/scripts/cli/report_%.o $(B)/scripts/cli/verdict%.o,$(CLI_OBJ)))
$(B)/scripts/trace/html.o: scripts/trace/page.html
$(CLI_OBJ): private BASE += -Iscripts -Iscripts/cli -Iscripts/trace -Iscripts/plan $(if $(JANSSON),-DHAVE_JANSSON)
$(B)/baton-cli: $(CLI_OBJ) $(B)/scripts/plan/kept.o $(B)/libbaton_core.a
	$(call say,LD,$@)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@.new $^ $(JANSSON) -ldl -pthread
	$(Q)mv -f $@.new $@

# Adapters: each is a shared object of its own, from one source and include/baton_adapter.h, as a user
# would build one. One whose library's headers are not here is left out.
ADAPTER_SRC := $(wildcard shim/adapters/*.c shim/adapters/*.cc)
ADAPTERS    := $(addprefix $(B)/adapters/,$(addsuffix .so,$(basename $(notdir $(ADAPTER_SRC)))))
ADAPTER_H    = include/baton_adapter.h $(wildcard shim/adapters/*.h shim/adapters/*.hh)
ADAPTER_FLAGS = -shared -fPIC -fvisibility=hidden -D_GNU_SOURCE -Iinclude -Ishim -Wall -Wextra -Wno-unused-parameter
# Codecs of types that known.conf names, likewise.
TYPE_CODECS := $(patsubst shim/adapters/codecs/%.cc,$(B)/codecs/%.so,$(wildcard shim/adapters/codecs/*.cc))
.PHONY: adapters
adapters: $(ADAPTERS) $(TYPE_CODECS)

# TLS descriptors, where the compiler has them: readers outside find a thread's variable by them.
$(B)/adapters/otel-publish.so: private ADAPTER_FLAGS += \
  $(shell $(CC) -mtls-dialect=gnu2 -E -x c /dev/null >/dev/null 2>&1 && echo -mtls-dialect=gnu2)
$(B)/adapters/%.so: shim/adapters/%.c $(ADAPTER_H) $(B)/flags
	@mkdir -p $(@D)
	$(call say,ADAPTER,$<)
	$(Q)$(CC) $(CPPFLAGS) -std=gnu11 $(ADAPTER_FLAGS) $(CFLAGS) $(LDFLAGS) $< -o $@

$(B)/codecs/%.so: shim/adapters/codecs/%.cc include/baton_codec.h $(B)/flags
	@mkdir -p $(@D)
	$(call say,CODEC,$<)
	$(Q)$(CXX) $(CPPFLAGS) -std=c++17 $(ADAPTER_FLAGS) $(CFLAGS) $(LDFLAGS) -Wl,-z,defs $< -o $@ -Wl,--as-needed -ldl

$(B)/adapters/%.so: shim/adapters/%.cc $(ADAPTER_H) $(B)/flags
	@mkdir -p $(@D)
	$(call say,ADAPTER,$<)
	$(Q)if sed -n 's|^// needs: \(.*\)|#if !__has_include(<\1>)\n#error\n#endif|p' $< | $(CXX) $(CPPFLAGS) -std=c++17 -E -x c++ - >/dev/null 2>&1; then \
	  $(CXX) $(CPPFLAGS) -std=c++17 $(ADAPTER_FLAGS) $(CFLAGS) $(LDFLAGS) $< -o $@; \
	else rm -f $@; printf '  %-7s %s (no headers)\n' LEFT $<; fi

# The codecs of the standard types, for each standard library that is here to build with; libc++ is clang's. Whether
# it is here is tried by linking: a machine can have libc++'s headers and not the libc++abi that is linked with it.
CODECS       := $(B)/codecs/libstdc++.so $(B)/codecs/libc++.so
CODEC_FLAGS   = -std=c++17 -shared -fPIC -O2 -g -fvisibility=hidden -fvisibility-inlines-hidden -Iinclude -Wall -Wextra
$(B)/codecs/libstdc++.so: private CODEC_CXX = $(CXX)
$(B)/codecs/libc++.so: private CODEC_CXX = clang++ -stdlib=libc++ -gdwarf-4
.PHONY: codecs
codecs: $(CODECS)
$(CODECS): shim/codecs/standard.cc include/baton_codec.h $(B)/flags
	@mkdir -p $(@D)
	$(call say,CODEC,$@)
	$(Q)if printf '#include <map>\n' | $(CODEC_CXX) -shared -fPIC -x c++ - -o $@.tried >/dev/null 2>&1; then \
	  $(CODEC_CXX) $(CODEC_FLAGS) $< -o $@; \
	else rm -f $@; printf '  %-7s %s (not here to build with)\n' LEFT $@; fi; rm -f $@.tried

# What the benchmarks need is installed before they are built.
bench: setup  ## measure against the peers and the saved run: tables, JSON, plots
-include tests/rules.mk
-include tests/bench/rules.mk
-include tests/fuzz/rules.mk

# ---- what a user types -------------------------------------------------------------------------

.PHONY: setup bench demo check check-loop check-static
setup:  ## install what building and testing need (apt)
	$(Q)scripts/setup

demo: setup  ## real programs before and after, about 30 lines
	@echo 'building the library and the programs of the demonstration (a minute, the first time) ...'
	$(Q)$(MAKE) -s -j$(JOBS) --no-print-directory all demo-programs >/dev/null
	$(Q)scripts/demo

JOBS ?= $(shell nproc)
# Stages, each to its end, and a table of them: a broken budget hides no test.
check:  ## everything that must pass
	$(Q)scripts/stages --needed setup='scripts/setup' --needed build='make -j$(JOBS) all tests bench-build' \
	  static='make check-static' bench-check='make bench-check T=' test='make test'

check-static: all  ## layers, exports, imports, generated tables
	$(Q)scripts/check-layers $(B)/libbaton.so
	$(Q)scripts/gen-docs --check

LOOP ?= 10
check-loop: setup  ## the tests of make check LOOP=10 times, and two minutes of soak
	$(Q)$(MAKE) --no-print-directory all
	$(Q)$(MAKE) --no-print-directory test TEST_ARGS="--loop $(LOOP)"
	$(Q)$(MAKE) --no-print-directory soak SECONDS=120

# What cannot be built there is skipped, and what qemu does not do (limits of threads, process_vm_readv,
# mq_notify) left out.
.PHONY: check-aarch64
check-aarch64:  ## the tests once more on AArch64, under qemu (setup --full)
	$(Q)mkdir -p build-aarch64
	$(Q)PKG_CONFIG_LIBDIR=/nonexistent $(MAKE) -k --no-print-directory B=build-aarch64 CC=aarch64-linux-gnu-gcc \
	  CXX=aarch64-linux-gnu-g++ build-aarch64/libbaton.so build-aarch64/baton-plan tests >build-aarch64/log 2>&1 || :
	$(Q)BATON_TEST_MACHINE=aarch64 BATON_TEST_BUILD=build-aarch64 $(PYTEST) -q -n auto --release \
	  --pick '^(hooks|pthread|ucontext|seeds|policies|rules|state|settings)\.(?!create_fails|late_plugin|prototypes)' $(TEST_ARGS)

# ---- the core as unit tests under the sanitizers and valgrind ----------------------------------

# $(call unit-under,BUILD,COMMAND): every suite of that build, in one process, so that leaks are its own.
unit-under = CK_FORK=no BATON_TEST_BUILD='$(1)' $(PYTEST) -q -n $(JOBS) tests/unit $(if $(2),--suites-under '$(2)') $(TEST_ARGS)
sanitized  = $(MAKE) --no-print-directory B=build-$(1) LDFLAGS="-fsanitize=$(2) $(LDFLAGS)" \
	  CFLAGS="-O1 -g -fno-omit-frame-pointer -fsanitize=$(2) $(3)" unit

.PHONY: asan ubsan tsan valgrind
asan:  ## unit suites under AddressSanitizer
	+$(Q)$(call sanitized,asan,address)
	$(Q)$(call unit-under,build-asan)

ubsan:  ## unit suites under UndefinedBehaviorSanitizer
	+$(Q)$(call sanitized,ubsan,undefined,-fno-sanitize-recover=undefined)
	$(Q)$(call unit-under,build-ubsan)

# Where addresses are more random than libtsan of gcc 12 knows, they are not randomized.
tsan:  ## unit suites under ThreadSanitizer
	+$(Q)$(call sanitized,tsan,thread,-Wno-tsan)
	$(Q)$(call unit-under,build-tsan,$(shell setarch -R true 2>/dev/null && echo setarch -R))

valgrind: all $(B)/tests/programs/race  ## unit suites under valgrind; the suppressions that are shipped
	$(Q)$(MAKE) --no-print-directory unit
	$(Q)BATON_TEST_BUILD='$(B)' $(PYTEST) -q -n $(JOBS) --pick='^valgrind.races' $(TEST_ARGS)
	$(Q)$(call unit-under,$(B),valgrind -q --error-exitcode=1 --leak-check=full --errors-for-leak-kinds=definite)

# ---- install -----------------------------------------------------------------------------------

MAN_PAGES   = $(basename $(notdir $(wildcard scripts/man/*.in scripts/man/*.[17].md)))
man_file    = $(DESTDIR)$(PREFIX)/share/man/man$(subst .,,$(suffix $(1)))/$(1)
COMPLETIONS = $(addprefix $(DESTDIR)$(PREFIX)/share/,bash-completion/completions zsh/site-functions fish/vendor_completions.d)
.PHONY: install uninstall
install: all  ## PREFIX=/usr/local DESTDIR=
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/lib/baton $(DESTDIR)$(PREFIX)/include \
	  $(DESTDIR)$(PREFIX)/share/man/man1 $(DESTDIR)$(PREFIX)/share/man/man7
	install -m 755 $(B)/libbaton.so $(DESTDIR)$(PREFIX)/lib/baton/libbaton.so
	install -m 755 $(B)/baton-plan $(DESTDIR)$(PREFIX)/lib/baton/baton-plan
	install -m 755 $(B)/baton-discover $(B)/libbaton-discover.so $(B)/libbaton-waits.so $(DESTDIR)$(PREFIX)/lib/baton/
	install -d $(DESTDIR)$(PREFIX)/lib/baton/adapters
	install -d $(DESTDIR)$(PREFIX)/lib/baton/presets
	install -m 644 $(wildcard shim/userhooks/presets/*.conf) $(DESTDIR)$(PREFIX)/lib/baton/presets/
	install -m 644 shim/userhooks/known.conf $(DESTDIR)$(PREFIX)/lib/baton/
	install -m 755 $(wildcard $(ADAPTERS)) $(DESTDIR)$(PREFIX)/lib/baton/adapters/
	install -d $(DESTDIR)$(PREFIX)/lib/baton/codecs
	install -m 755 $(wildcard $(CODECS)) $(TYPE_CODECS) $(DESTDIR)$(PREFIX)/lib/baton/codecs/
	install -m 644 scripts/gdb/baton-gdb.py scripts/valgrind/baton.supp $(DESTDIR)$(PREFIX)/lib/baton/
	install -m 755 $(B)/baton-cli $(DESTDIR)$(PREFIX)/lib/baton/baton-cli
	ln -sf ../lib/baton/baton-cli $(DESTDIR)$(PREFIX)/bin/baton
	$(if $(wildcard include/*.h),install -m 644 $(wildcard include/*.h) $(DESTDIR)$(PREFIX)/include/)
	install -d $(COMPLETIONS)
	scripts/gen-docs --completion bash > $(word 1,$(COMPLETIONS))/baton
	scripts/gen-docs --completion zsh > $(word 2,$(COMPLETIONS))/_baton
	scripts/gen-docs --completion fish > $(word 3,$(COMPLETIONS))/baton.fish
	$(foreach page,$(MAN_PAGES),scripts/gen-docs --man $(page) > $(call man_file,$(page)) &&) :
	$(if $(wildcard scripts/baton.pc.in),install -d $(DESTDIR)$(PREFIX)/lib/pkgconfig)
	$(if $(wildcard scripts/baton.pc.in),sed -e 's|@PREFIX@|$(PREFIX)|' -e 's|@VERSION@|$(VERSION)|' \
	  scripts/baton.pc.in > $(DESTDIR)$(PREFIX)/lib/pkgconfig/baton.pc)

uninstall:  ## take away what install put there
	rm -rf $(DESTDIR)$(PREFIX)/lib/baton
	rm -f $(DESTDIR)$(PREFIX)/bin/baton $(DESTDIR)$(PREFIX)/lib/pkgconfig/baton.pc \
	  $(word 1,$(COMPLETIONS))/baton $(word 2,$(COMPLETIONS))/_baton $(word 3,$(COMPLETIONS))/baton.fish \
	  $(foreach page,$(MAN_PAGES),$(call man_file,$(page))) \
	  $(addprefix $(DESTDIR)$(PREFIX)/,$(wildcard include/*.h))

# ---- the source itself -------------------------------------------------------------------------

SHELL_FILES = $(wildcard scripts/baton scripts/setup scripts/demo scripts/gen-docs tests/lib/build-program .ci/run)
C_FILES     = $(wildcard scripts/*/*.[ch] shim/*.[ch] shim/*/*.[ch] shim/*/*/*.[ch] include/*.h tests/unit/*.[ch])

.PHONY: lint format docs
lint: all  ## shellcheck, clang-format, cppcheck, layers, man pages, generated tables, mutants that fit
	$(Q)scripts/setup --lint
	$(Q)shellcheck $(SHELL_FILES)
	$(Q)clang-format --dry-run --Werror $(C_FILES)
	$(Q)cppcheck --suppress=syntaxError --suppress=preprocessorErrorDirective --suppress=unknownMacro --suppress=invalidLifetime --suppress=autoVariables --suppress=internalAstError -q --error-exitcode=1 --inline-suppr --suppress=ctuuninitvar --suppress=returnDanglingLifetime \
	  -Ishim -Iinclude -D_GNU_SOURCE -D__x86_64__ -DBATON_VERSION='""' $(SRC_C)
	$(Q)$(MAKE) --no-print-directory check-static
	$(Q)said=$$(scripts/mutants --check 2>&1) || { echo "$$said"; false; }
	$(Q)for page in $(MAN_PAGES); do scripts/gen-docs --man $$page | groff -man -Tutf8 -ww -z || exit 1; done

format:  ## clang-format over the C files
	$(Q)clang-format -i $(C_FILES)

html:  ## build/html: the guide, the cookbook and the limits, for a browser
	@mkdir -p $(B)/html
	$(Q)scripts/gen-docs --html guide > $(B)/html/guide.html
	$(Q)for page in baton-cookbook.7 baton-limits.7; do scripts/gen-docs --html $$page > $(B)/html/$$page.html || exit 1; done

docs:  ## rewrite the generated tables of README.md and scripts/man/guide.md
	$(Q)scripts/gen-docs

.PHONY: help clean
help:  ## this list
	@sed -n 's/^\([a-z][a-z0-9-]*\):.*## \(.*\)/\1\t\2/p' $(MAKEFILE_LIST) | awk -F'\t' '{ printf "  make %-14s %s\n", $$1, $$2 }'

clean:  ## remove the build folders
	$(Q)rm -rf $(B) build-asan build-ubsan build-tsan build-gcc build-clang build-aarch64

-include $(OBJ:.o=.d) $(WAITS_OBJ:.o=.d) $(PLAN_OBJ:.o=.d) $(DISCOVER_OBJ:.o=.d) $(NOTES_OBJ:.o=.d) $(CLI_OBJ:.o=.d)
