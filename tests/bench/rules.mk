# Benchmarks: `make bench` measures and compares, `make bench-check` asserts the budgets.
BENCH      = $(B)/bench
BENCH_SRC  = tests/bench/programs
BENCH_LIBS_uv      = $(shell pkg-config --libs libuv)
BENCH_LIBS_glib    = $(shell pkg-config --libs glib-2.0)
BENCH_LIBS_event   = $(shell pkg-config --libs libevent)
BENCH_CFLAGS_glib  = $(shell pkg-config --cflags glib-2.0)
BENCH_CFLAGS_gomp  = -fopenmp
BENCH_DRIVERS     := uv glib gomp pthread event ucontext reader
BENCH_BUILT        = $(BENCH_DRIVERS:%=$(BENCH)/drive_%)

# -fno-toplevel-reorder keeps the scattered words scattered and the row a row.
$(BENCH)/drive_%: $(BENCH_SRC)/%.c $(BENCH_SRC)/drive.c $(BENCH_SRC)/slots.c $(wildcard $(BENCH_SRC)/*.h)
	@mkdir -p $(@D)
	$(call say,BENCH,$@)
	$(Q)$(CC) -O2 -g -std=gnu11 -D_GNU_SOURCE $(WARN) -fno-toplevel-reorder $(BENCH_CFLAGS_$*) \
	  -o $@ $< $(BENCH_SRC)/drive.c $(BENCH_SRC)/slots.c $(BENCH_LIBS_$*) -pthread -ldl

.PHONY: bench-build bench bench-check
bench-build: $(BENCH_BUILT)
