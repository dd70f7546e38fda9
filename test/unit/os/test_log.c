/* Protects: the log's ring when a thread is stopped in the middle of a record for so long that
 * others fill all of it: nobody writes over anybody, each event finds a place, and it is told
 * which positions have none. */
#include "../expect.h"

#include "os/log.h"

enum { CAPACITY = 8, SHIFT = 3 };

static struct log_header header;
static struct log_record records[CAPACITY];
static struct log_ring ring;

static void set_up(void) {
    quiet_os();
    header = (struct log_header){.capacity = CAPACITY};
    for (size_t i = 0; i < CAPACITY; i++)
        records[i] = (struct log_record){0};
    ring = (struct log_ring){&header, records, CAPACITY, UINT64_MAX, SHIFT, 0, 0};
    log_filter = (struct log_filter){.kinds = ~0U, .most_bytes = SIZE_MAX};
    log_ring = &ring;
}

TestSuite(log_ring, .init = set_up);

static void put(uintptr_t address) {
    struct log_block block = {LOG_FREE, .how = 3, .cls = 7, address, .bytes = 100};
    log_call(NULL, &block);
}

static void put_realloc(uintptr_t old, uintptr_t address) {
    struct log_block from = {.kind = LOG_REALLOC_FROM, .address = old, .bytes = 50};
    struct log_block block = {.kind = LOG_REALLOC, .address = address, .bytes = 100};
    log_call(&from, &block);
}

/* As a thread that is stopped before its record is finished. */
static uint64_t take_and_stop(void) {
    uint64_t position = header.next++;
    EXPECT(log_claim(&ring, position));
    return position;
}

static bool has(uint64_t position, enum log_kind kind, uintptr_t address) {
    struct log_record record;
    return log_read(&ring, position, &record) && log_kind_of(&record) == kind &&
           record.address == address;
}

static bool has_none(uint64_t position) {
    struct log_record record;
    return !log_read(&ring, position, &record);
}

Test(log_ring, a_record_is_what_was_logged) {
    struct log_record record;
    put(0x1000);
    EXPECT(header.next == 1 && log_read(&ring, 0, &record));
    EXPECT(record.address == 0x1000 && record.bytes == 100);
    EXPECT(log_kind_of(&record) == LOG_FREE && log_how_of(&record) == 3);
    EXPECT(log_class_of(&record) == 7 && has_none(CAPACITY));
}

Test(log_ring, what_is_being_written_is_neither_there_nor_passed) {
    uint64_t late = take_and_stop();
    EXPECT(has_none(late) && !log_is_passed(&ring, late));
    log_finish(&ring, late, LOG_FREE);
    EXPECT(has(late, LOG_FREE, 0));
}

Test(log_ring, a_record_that_is_being_written_is_passed_over) {
    uint64_t late = take_and_stop();
    for (uintptr_t i = 1; i < CAPACITY; i++)
        put(i);
    put(CAPACITY);
    EXPECT(header.next == CAPACITY + 2);
    EXPECT(has_none(CAPACITY) && log_is_passed(&ring, CAPACITY));
    EXPECT(has(CAPACITY + 1, LOG_FREE, CAPACITY));
    for (uintptr_t i = 2; i < CAPACITY; i++)
        EXPECT(has(i, LOG_FREE, i));

    /* When it is finished at last, it is too old to be there. */
    log_finish(&ring, late, LOG_FREE);
    EXPECT(has_none(late) && has_none(CAPACITY) && log_is_passed(&ring, CAPACITY));
    for (uintptr_t i = CAPACITY + 1; i < (uintptr_t)2 * CAPACITY + 1; i++)
        put(i);
    EXPECT(has((uint64_t)2 * CAPACITY, LOG_FREE, (uintptr_t)2 * CAPACITY - 1));
    EXPECT(!log_is_passed(&ring, (uint64_t)2 * CAPACITY));
}

Test(log_ring, a_writer_that_is_stopped_for_ever_costs_one_position_a_lap) {
    enum { LAPS = 300 };
    take_and_stop();
    for (uintptr_t i = 1; i <= (uintptr_t)LAPS * (CAPACITY - 1); i++)
        put(i);
    EXPECT(header.next == (uint64_t)LAPS * CAPACITY);
    for (uint64_t position = header.next - CAPACITY; position < header.next; position++) {
        uint64_t lap = position / CAPACITY;
        if (position % CAPACITY == 0)
            EXPECT(has_none(position) && log_is_passed(&ring, position));
        else
            EXPECT(has(position, LOG_FREE, position - lap));
    }
}

Test(log_ring, who_comes_later_than_a_whole_lap_takes_another_position) {
    uint64_t late = header.next++; /* stopped before its claim */
    for (uintptr_t i = 1; i <= CAPACITY; i++)
        put(i);
    EXPECT(has(CAPACITY, LOG_FREE, CAPACITY));
    EXPECT(!log_claim(&ring, late));
    EXPECT(has(CAPACITY, LOG_FREE, CAPACITY));
}

Test(log_ring, the_halves_of_a_realloc_stay_together) {
    put(1);
    take_and_stop();
    for (uintptr_t i = 2; i < CAPACITY; i++)
        put(i);
    EXPECT(header.next == CAPACITY);
    put_realloc(0x1000, 0x2000); /* the second half's record is the one that is being written */
    EXPECT(header.next == CAPACITY + 4);
    EXPECT(log_is_passed(&ring, CAPACITY) && log_is_passed(&ring, CAPACITY + 1));
    EXPECT(has(CAPACITY + 2, LOG_REALLOC_FROM, 0x1000));
    EXPECT(has(CAPACITY + 3, LOG_REALLOC, 0x2000));
}
