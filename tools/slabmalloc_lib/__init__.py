"""The parts of the command slabmalloc(1)."""
