# baton: build, test, measure, install. `make help` lists the targets.
VERSION := 0.1.0
B       ?= build
V       ?= 0
Q        = $(if $(filter 1,$(V)),,@)
say      = $(if $(filter 1,$(V)),@:,@printf '  %-7s %s\n' $(1) $(2))

CC      ?= cc
CFLAGS  ?= -O2 -g
WARN     = -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wno-unused-parameter
# -fasynchronous-unwind-tables: exceptions, pthread_exit and cancellation unwind through our frames.
# initial-exec: the default model calls __tls_get_addr, which can call the program's malloc.
BASE     = -std=gnu11 -fPIC -fvisibility=hidden -ftls-model=initial-exec -fasynchronous-unwind-tables \
           -foptimize-sibling-calls -fno-strict-aliasing -D_GNU_SOURCE -DBATON_VERSION='"$(VERSION)"' -Ishim -Iinclude

SRC_C   := $(wildcard shim/*.c shim/*/*.c)
SRC_S   := $(wildcard shim/*/*_$(shell uname -m).S)
OBJ     := $(SRC_C:%.c=$(B)/%.o) $(SRC_S:%.S=$(B)/%.o)

.PHONY: all
all: $(B)/libbaton.so

$(B)/%.o: %.c
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(CC) $(CPPFLAGS) $(BASE) $(WARN) $(CFLAGS) -MMD -MP -c $< -o $@

$(B)/%.o: %.S
	@mkdir -p $(@D)
	$(call say,AS,$<)
	$(Q)$(CC) $(CPPFLAGS) -Ishim -MMD -MP -c $< -o $@

$(B)/libbaton.map: shim/handoffs/exports.map.in shim/handoffs/hooks.def
	@mkdir -p $(@D)
	$(call say,GEN,$@)
	$(Q)$(CC) -E -P -x c -Ishim $< -o $@

$(B)/libbaton.so: $(OBJ) $(B)/libbaton.map
	$(call say,LD,$@)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -shared -nostartfiles -Wl,-z,defs -Wl,-z,now -Wl,-z,relro \
	  -Wl,--hash-style=gnu -Wl,-soname,libbaton.so -Wl,--version-script=$(B)/libbaton.map -o $@ $(OBJ)

.PHONY: clean
clean:
	$(Q)rm -rf $(B)

-include $(OBJ:.o=.d)
