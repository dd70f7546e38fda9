/* One of the libraries that late_load.c loads first: some initial-exec thread-local variables,
 * which take from the room that glibc keeps for such libraries. */
extern __thread int ie_variable[8];
__thread int ie_variable[8] __attribute__((tls_model("initial-exec")));

int ie_use(int value);
int ie_use(int value) {
    ie_variable[value & 7] = value;
    return ie_variable[value & 7];
}
