# Benchmarks: `make bench` measures and compares, `make bench-check` asserts the budgets.
BENCH      = $(B)/bench
BENCH_SRC  = tests/bench/programs
BENCH_LIBS_uv      = $(shell pkg-config --libs libuv)
BENCH_LIBS_glib    = $(shell pkg-config --libs glib-2.0)
BENCH_LIBS_gio     = $(shell pkg-config --libs gio-2.0)
BENCH_LIBS_event   = $(shell pkg-config --libs libevent)
BENCH_CFLAGS_glib  = $(shell pkg-config --cflags glib-2.0)
BENCH_CFLAGS_gio   = $(shell pkg-config --cflags gio-2.0)
BENCH_CFLAGS_gomp  = -fopenmp
BENCH_DRIVERS     := uv glib gio gomp pthread event ucontext reader named
BENCH_LIBS_named   = -L$(BENCH) -lnamed -Wl,-rpath,'$$ORIGIN'
BENCH_BUILT        = $(BENCH_DRIVERS:%=$(BENCH)/drive_%) $(BENCH)/slow.so $(BENCH)/late.so $(BENCH)/least.so $(BENCH)/empty.so \
  $(BENCH)/trivial.so $(BENCH)/many
BENCH_CC           = $(CC) -O2 -g -std=gnu11 -D_GNU_SOURCE $(WARN)

# -fno-toplevel-reorder keeps the scattered words scattered and the row a row.
BENCH_COMMON = $(BENCH)/drive.o $(BENCH)/slots.o
$(BENCH_COMMON): $(BENCH)/%.o: $(BENCH_SRC)/%.c $(wildcard $(BENCH_SRC)/*.h)
	@mkdir -p $(@D)
	$(call say,BENCH,$@)
	$(Q)$(BENCH_CC) -fno-toplevel-reorder -pthread -c -o $@ $<

$(BENCH)/drive_%: $(BENCH_SRC)/%.c $(BENCH_COMMON) $(wildcard $(BENCH_SRC)/*.h)
	@mkdir -p $(@D)
	$(call say,BENCH,$@)
	$(Q)$(BENCH_CC) -fno-toplevel-reorder $(BENCH_CFLAGS_$*) \
	  -o $@ $< $(BENCH_COMMON) $(BENCH_LIBS_$*) -pthread -ldl -lm

$(BENCH)/libnamed.so: $(BENCH_SRC)/named_pool.c $(BENCH_SRC)/named_pool.h
	@mkdir -p $(@D)
	$(call say,BENCH,$@)
	$(Q)$(BENCH_CC) -shared -fPIC -Wl,-soname,libnamed.so -o $@ $< -pthread

$(BENCH)/drive_named: $(BENCH)/libnamed.so

$(BENCH)/slow.so: $(BENCH_SRC)/slow.c
	@mkdir -p $(@D)
	$(call say,BENCH,$@)
	$(Q)$(BENCH_CC) -shared -fPIC -o $@ $< -ldl

$(BENCH)/late.so: $(BENCH_SRC)/late.c
	@mkdir -p $(@D)
	$(call say,BENCH,$@)
	$(Q)$(BENCH_CC) -shared -fPIC -o $@ $<

# What no preload can go below at start-up.
$(BENCH)/least.so: $(BENCH_SRC)/least.ld
	@mkdir -p $(@D)
	$(call say,BENCH,$@)
	$(Q)echo 'const int bench_least = 1;' | $(CC) -O2 -shared -fPIC -nostdlib -Wl,-z,norelro -Wl,--hash-style=gnu \
	  -Wl,--build-id=none -Wl,-T,$< -x c -o $@ -

# What an ordinary one costs: nothing in it, nothing needed.
$(BENCH)/empty.so:
	@mkdir -p $(@D)
	$(call say,BENCH,$@)
	$(Q)echo 'int bench_empty;' | $(CC) -O2 -shared -fPIC -nostdlib -x c -o $@ -

# The least that a preload that hooks anything does.
$(BENCH)/trivial.so: $(BENCH_SRC)/trivial.c
	@mkdir -p $(@D)
	$(call say,BENCH,$@)
	$(Q)$(BENCH_CC) -shared -fPIC -o $@ $< -ldl

$(BENCH)/startup: $(BENCH_SRC)/startup.c
	@mkdir -p $(@D)
	$(call say,BENCH,$@)
	$(Q)$(BENCH_CC) -o $@ $<

# 110 libraries of 1500 symbols each, and a program that needs them all.
$(BENCH)/libs/made: tests/bench/make_libraries.py
	$(call say,BENCH,$(@D))
	$(Q)python3 $< $(@D) 110 1500

$(BENCH)/crowd: $(BENCH_SRC)/crowd.c $(BENCH_SRC)/slots.c $(BENCH)/libs/made
	$(call say,BENCH,$@)
	$(Q)$(BENCH_CC) -fno-toplevel-reorder -o $@ $(BENCH_SRC)/crowd.c $(BENCH_SRC)/slots.c \
	  -Wl,--no-as-needed $(BENCH)/libs/*.so -Wl,-rpath,$(abspath $(BENCH)/libs) -pthread -lm -ldl

# As many libraries as ffmpeg has, small and stripped.
$(BENCH)/many.libs/made: tests/bench/make_libraries.py
	$(call say,BENCH,$(@D))
	$(Q)python3 $< $(@D) 215 40 stripped

$(BENCH)/many: $(BENCH)/many.libs/made
	$(call say,BENCH,$@)
	$(Q)echo 'int main(void) { return 0; }' | $(CC) -O2 -o $@ -x c - -x none -Wl,--no-as-needed $(BENCH)/many.libs/*.so \
	  -Wl,-rpath,$(abspath $(BENCH)/many.libs)

$(BENCH)/variables: tests/programs/contextvars_cost.c include/baton.h
	@mkdir -p $(@D)
	$(call say,BENCH,$@)
	$(Q)$(BENCH_CC) -Wno-unused-parameter -Iinclude -o $@ $<

.PHONY: bench-build bench bench-check
bench-build: $(B)/libbaton.so $(BENCH_BUILT) $(BENCH)/startup $(BENCH)/crowd $(BENCH)/variables

# SAVE=1 makes this run the one that later runs are compared with, and draws the plots anew.
bench: bench-build
	$(Q)B=$(B) python3 -B tests/bench/bench.py $(if $(SAVE),--save) $(if $(ONLY),--only $(ONLY))

bench-check: bench-build  ## the budgets: instructions, mallocs and bytes of a handoff; T=NAME: rows with NAME in their name
	$(Q)B=$(B) python3 -B tests/bench/check.py $(if $(and $(T),$(filter command,$(origin T))),--only '$(subst ','\'',$(T))')
