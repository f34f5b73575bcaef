# The front door; Meson does the work. BUILD=dir and CC=clang choose another build;
# BENCHFLAGS=--quick makes the benchmark short.
BUILD ?= build

all: $(BUILD)/build.ninja
	ninja -C $(BUILD)
$(BUILD)/build.ninja:
	meson setup $(BUILD) $(MESONFLAGS)
check: all
	meson test -C $(BUILD) --print-errorlogs
bench: all
	bench/run $(BUILD) $(BENCHFLAGS)
fuzz: all
	tests/fuzz/run $(BUILD)
format:
	git ls-files '*.c' '*.h' | xargs clang-format-14 -i
install: all
	DESTDIR=$(DESTDIR) meson install -C $(BUILD)
clean:
	rm -rf $(BUILD)
.PHONY: all check bench fuzz format install clean
