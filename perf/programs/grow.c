/* Purpose: realloc of blocks that grow.
 *
 *   grow doubling BYTES ROUNDS    a vector from 16 bytes to BYTES, doubled each time
 *   grow step BYTES ROUNDS        a buffer that grows by 4 KiB at a time up to BYTES
 *   grow strings COUNT APPENDS    COUNT strings, to random ones of which 1..32 bytes are appended
 *
 * What was written has to be there after each step; a byte of every 4 KiB is written, so that
 * blocks moved by copying pay for it (field case G1). */
#include "common.h"

static const char usage[] = "doubling|step BYTES ROUNDS | strings COUNT APPENDS";
static uint64_t operations, checksum;

static void *regrow(void *block, size_t size) {
    void *result = realloc(block, size);
    if (!result)
        fail("realloc");
    operations++;
    return result;
}

static void buffer(size_t bytes, size_t rounds, int is_doubling) {
    for (size_t round = 0; round < rounds; round++) {
        unsigned char *block = NULL;
        size_t size = 0;
        while (size < bytes) {
            size_t larger = !is_doubling ? size + 4096 : size ? 2 * size : 16;
            block = regrow(block, larger);
            for (size_t at = size; at < larger; at += 4096)
                block[at] = (unsigned char)(at >> 12);
            size = larger;
        }
        for (size_t at = 4096; at < size; at += 4096)
            if (block[at] != (unsigned char)(at >> 12))
                fail("what was written is not there");
        checksum += block[0] + size;
        free(block);
        operations++;
    }
}

struct string {
    char *text;
    size_t length;
};

static void strings(size_t count, size_t appends) {
    struct random random = {5};
    struct string *all = get(count * sizeof *all);
    memset(all, 0, count * sizeof *all);
    for (size_t i = 0; i < appends; i++) {
        struct string *string = &all[random_below(&random, count)];
        size_t more = 1 + random_below(&random, 32);
        string->text = regrow(string->text, string->length + more + 1);
        memset(string->text + string->length, 'a' + (int)(i % 26), more);
        string->length += more;
        string->text[string->length] = 0;
        if (string->length > 2000) {
            checksum += strlen(string->text) + (unsigned char)string->text[i % 2000];
            free(string->text);
            *string = (struct string){NULL, 0};
            operations++;
        }
    }
    for (size_t i = 0; i < count; i++) {
        checksum += all[i].length;
        free(all[i].text);
    }
    free(all);
}

int main(int count, char **arguments) {
    size_t size = number(count, arguments, 2, usage), rounds = number(count, arguments, 3, usage);
    if (is_mode(count, arguments, "doubling"))
        buffer(size, rounds, 1);
    else if (is_mode(count, arguments, "step"))
        buffer(size, rounds, 0);
    else if (is_mode(count, arguments, "strings"))
        strings(size, rounds);
    else
        wrong_mode(arguments, usage);
    return finish(operations, checksum);
}
