# shellcheck shell=bash
# Protects: make -j2 (its string cache, its children, vfork) on a small project, with a second run that has nothing to do.
# needs: make:make gcc:gcc awk:mawk

for part in 0 1 2 3 4 5 6 7 8; do
    awk -v part=$part -v parts=8 -v functions=20 -f "$CASE_DIR/c_source.awk" >part$part.c
done
cat >Makefile <<'END'
parts := $(sort $(wildcard part*.c))
numbers := $(foreach i,$(shell seq 2000),$(if $(filter %7,$i),$i))
all: out/program out/numbers
out/program: $(parts:.c=.o)
	$(CC) -o $@ $^
%.o: %.c
	$(CC) -O1 -MMD -c -o $@ $<
out/numbers:
	@printf '%s\n' '$(words $(numbers)) $(lastword $(numbers)) $(shell echo $(numbers) | wc -w)' >$@
-include $(parts:.c=.d)
END

preload
proof make -n -f -
make -j2 >/dev/null
make -j2
touch part3.c
make -j2
out/program
