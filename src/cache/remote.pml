/* Purpose: an exhaustive model, for spin, of how slabs change hands: remote frees, adoption, thread
 *          exit, release to the zone, and what a forked child finds. test/protocol runs it.
 *
 * What mirrors what: an inline has the name of the C function whose steps it takes, in the order of
 * the C: each load, store or locked instruction that another thread may notice is one step (a line,
 * or an `atomic`). What only the owner or the holder of a lock can see is joined to a step beside
 * it; so is taking a lock to what comes next, and giving it back to what came before.
 *
 *   remote.c    cache_free_remote, announce, queue_on, adopt, cache_drain
 *   refill.c    cache_refill, release, cache_settle, cache_countdown
 *   registry.c  cache_destroy, give_up         slab.c  slab_merge_remote, slab_format
 *   depot.c     depot_take, depot_*_locked     zone.c  zone_acquire, zone_release
 *   rescue.c    rescue                         hot.h, heap.c, slab_examine   malloc, free
 *   lend.c      lend
 *
 * Abstracted: a slab is two words of one slot each. A list of the owner's is a mark on its slabs
 * (`listed`; the depot's: `shelf`); to take a slab off a list that it is not on is an error. The
 * countdowns are exact for slabs that small: a full slab is looked at after one free, a partial one
 * when its last slot is free; whether cache_settle keeps an empty slab is chosen freely. Any thread
 * of the program frees any live block, each once; in the configurations DOUBLE* one of them twice.
 *
 * Memory order: single steps interleaved are sequential consistency. All that x86-64 reorders is a
 * plain store with a later load of the same thread. The plain stores that others look at without a
 * common lock are of `state`, `cls` and `bits`. Those of CLAIMED, EMPTY, SHELVED and ORPHANED come
 * right before a locked instruction; that of `cls` before one that lets others adopt the slab. The
 * others may be seen late:
 *   - CURRENT, PARTIAL, FULL: the slab still looks like another of the three, between which no
 *     other thread distinguishes; or, fresh from the zone, CLAIMED. Only a thread whose bit of an
 *     earlier life is merged can see that: whoever has a block of the new life got it by a store
 *     that came after.
 *   - bits: a double free is not told at once then, but found by the merge, as one that came a
 *     moment earlier.
 * On weaker machines two orders matter that a plain load would not keep: the OR of remote_bits
 * before the load of `owner`, the exchange of `owner` before each load of remote_bits (mutants 6
 * and 14). They have to be seq_cst.
 *
 * Proved, in every configuration (each is named where it is asserted):
 *   P1 no free is lost: in the end each freed slot is free in bits, or waits in remote_bits of a
 *      slab on its live owner's queue
 *   P2 a slab is on one queue at most, once, and on the list that its state says
 *   P3 a slab goes to the zone without a live slot, without an unmerged free, and once
 *   P4 no slot is handed out twice without a free between
 *   P5 a double free is reported once, at once or by the merge, and no other free ever is. Excused:
 *      one still under way while its slot is handed out anew or its slab is found empty. Even then
 *      P2 holds
 *   P6 every thread ends: there is no deadlock, and announce makes a bounded number of tries
 *   P7 an unmerged free has its slab PENDING, or its thread inside free, or the merge under way
 *   P8 no slot is live, or its slab empty, while its memory is given back by another thread
 *
 * test/protocol/check_model reads what follows. Configurations, by -D of the name; those with LONG
 * also by -DLONG besides, which does more and belongs to the soak tests:
 *   CONFIG REMOTE LONG    an owner that allocates and frees, two threads that free
 *   CONFIG QUEUE          two slabs on one queue, one of them again while it is drained
 *   CONFIG RELEASE        remote frees empty the only slab, two threads want it
 *   CONFIG EXIT LONG      the owner exits under two remote frees
 *   CONFIG ADOPT LONG     three threads free and allocate in slabs that nobody owns
 *   CONFIG CLASSES        a slab comes back with another class while a thread looks at it
 *   CONFIG DOUBLE LONG    two frees of one slot by any two threads, allocation around them
 *   CONFIG DOUBLE_EXIT    the same, and the owner exits
 *   CONFIG VANISHED LONG  a forked child: slabs of a thread that it has not, freed into and rescued
 *   CONFIG LEND LONG      what was freed is lent, while the owner merges and allocates
 *   CONFIG LEND_EXIT      the same, and the owner exits
 * Mutants, by -DMUTANT=n: wrong variants, each with a configuration in which spin must find it:
 *   MUTANT 1 RELEASE   queue_on sets PENDING whoever the owner is by then
 *   MUTANT 2 RELEASE   queue_on queues a slab that has just become EMPTY
 *   MUTANT 3 VANISHED  rescue looks at the owner before the state
 *   MUTANT 4 CLASSES   adopt looks at the class before the state
 *   MUTANT 5 REMOTE    cache_drain merges before it clears PENDING
 *   MUTANT 6 REMOTE    a free looks at PENDING before it sets its bit
 *   MUTANT 7 EXIT      announce gives up when the owner has changed
 *   MUTANT 8 RELEASE   release does not look at PENDING
 *   MUTANT 9 EXIT      cache_destroy gives slabs up without its lock
 *   MUTANT 10 QUEUE    cache_drain reads queue_next after it has cleared PENDING
 *   MUTANT 11 ADOPT    adopt does not look again under the lock
 *   MUTANT 12 REMOTE   queue_on does not take the lock
 *   MUTANT 13 DOUBLE   slab_merge_remote does not look for slots that are free already
 *   MUTANT 14 REMOTE   cache_drain looks which words are empty before it clears PENDING
 *   MUTANT 15 LEND     lend takes the owner's free slots, too
 *   MUTANT 16 LEND     lend does not announce what it gives back
 *   MUTANT 17 LEND     lend purges what it has seen, and takes nothing
 * Steps that no short configuration takes:
 *   NEVER owner[(1-1)] = 0 -- the release of the second slab, where there is one
 *   NEVER (((shelf[0]!=(class+1))&&(shelf[(1-1)]==(class+1)))) -- the same
 *   NEVER excused = ((excused||((1==0)&&(suspects>0)))||(remote_bits[1]!=0)) -- DOUBLE with LONG
 *   NEVER state[1] = 6 -- slab 1 has a free slot when its owner exits
 *   NEVER listed[1] = (0+1) -- no configuration begins with slab 1 on a list */
#ifndef MUTANT
#define MUTANT 0
#endif

#if defined(DOUBLE) || defined(DOUBLE_EXIT)
#define DOUBLES 1
#else
#define DOUBLES 0
#endif

#ifdef LONG
#define MORE 1
#else
#define MORE 0
#endif

#if defined(RELEASE) || defined(CLASSES)
#define SLABS 1
#else
#define SLABS 2
#endif
#define CACHES 4 /* the last one is nobody's, or the vanished thread's */
#define CLASSES_MAX 2
#define ALL_SLOTS 3
#define TRIES_MAX 9

/* enum slab_state */
#define EMPTY 0
#define CLAIMED 1
#define CURRENT 2
#define PARTIAL 3
#define FULL 4
#define SHELVED 5
#define ORPHANED 6

/* enum cache_state */
#define UNUSED 0
#define LIVE 1
#define GONE 2 /* CACHE_VANISHED */

#define NOBODY 0
#define PENDING 1
#define ADDRESS(cache) (2 * (cache) + 2) /* as a slab's owner; bit 0 is PENDING */
#define CACHE_OF(owner) ((owner) / 2 - 1)
#define WITHOUT_PENDING(owner) ((owner) & 254)
#define IS_GONE(owner) ((owner) > PENDING && cache_state[CACHE_OF(owner)] == GONE)

/* The slabs. */
byte bits[SLABS], remote_bits[SLABS], owner[SLABS], state[SLABS], cls[SLABS];
byte queue_next[SLABS]; /* slab + 1; 0 ends */
/* The caches. */
byte remote_queue[CACHES], cache_state[CACHES], current[CACHES]; /* slab + 1; 0 is none */
bool cache_lock[CACHES], depot_lock[CLASSES_MAX], zone_lock;
byte cursor;
/* Lists. */
byte listed[SLABS]; /* cache + 1: on the list of the slab's state */
byte shelf[SLABS];  /* class + 1: on that depot's */
bool in_zone[SLABS];
/* Ghosts: what is true, for the assertions. */
byte live[SLABS];    /* slots that the program has */
byte inside[SLABS];  /* threads between the OR of remote_bits and the return of free, or in lend */
byte lent[SLABS];    /* slots whose memory is being given back */
bool merging[SLABS]; /* its owner is in slab_merge_remote, or about to be */
bool queued[SLABS];
byte finished;
#if defined(LEND) || defined(LEND_EXIT)
#define LENDS 1
byte lends_left = 1 + MORE;
#else
#define LENDS 0
#endif
#if DOUBLES
bool second_free = 1; /* slot 0 of slab 0 will be freed once more */
bool freed_twice, excused;
byte suspects; /* frees of that slot under way */
byte reports;
#define TRUE_UNLESS_EXCUSED(x) (excused || (x))
#else
#define TRUE_UNLESS_EXCUSED(x) (x)
#endif

/* P7 (a vanished thread's slabs are as the fork found them). */
#define CHECK_UNMERGED(slab)                                                                       \
    assert(TRUE_UNLESS_EXCUSED(remote_bits[slab] == 0 || (owner[slab] & PENDING) ||                \
                               inside[slab] > 0 || merging[slab] || IS_GONE(owner[slab])))

inline acquire(lock) { atomic { !lock -> lock = 1 } }
inline unlock(lock) { lock = 0 }

inline report_double() {
#if DOUBLES
    reports++;
    assert(excused || (freed_twice && reports == 1)) /* P5 */
#else
    assert(false) /* P5 */
#endif
}

/* --- slab.c, zone.c, depot.c ------------------------------------------------------------------ */

inline merge_word(slab, word) {
    if
    :: !(remote_bits[slab] & word)
    :: atomic { remote_bits[slab] & word -> remote_bits[slab] = remote_bits[slab] - word };
       atomic {
           if
           :: bits[slab] & word -> if :: MUTANT != 13 -> report_double() :: else fi
           :: else -> bits[slab] = bits[slab] | word; merged++
           fi
       }
    fi
}

/* Sets `merged`. */
inline slab_merge_remote(slab) {
    merge_word(slab, 1);
    merge_word(slab, 2);
    atomic { merging[slab] = 0; CHECK_UNMERGED(slab) }
}

/* The owner decides to give the slab to the zone. */
inline claim(slab) {
#if DOUBLES
    excused = excused || (slab == 0 && suspects > 0) || remote_bits[slab] != 0;
#endif
    assert(bits[slab] == ALL_SLOTS && TRUE_UNLESS_EXCUSED(live[slab] == 0)); /* P3 */
    assert(lent[slab] == 0); /* P8 */
    state[slab] = CLAIMED
}

inline zone_release(slab) {
    atomic {
        acquire(zone_lock);
        assert(state[slab] == CLAIMED); /* P3 */
        state[slab] = EMPTY
    };
    atomic {
        owner[slab] = NOBODY;
        assert(!in_zone[slab] && !queued[slab]); /* P2, P3 */
        assert(TRUE_UNLESS_EXCUSED(live[slab] == 0 && remote_bits[slab] == 0)); /* P3 */
        in_zone[slab] = 1;
        unlock(zone_lock)
    }
}

/* Sets `taken` to the slab + 1, or 0. */
inline zone_acquire() {
    atomic {
        acquire(zone_lock);
        if
        :: in_zone[0] -> taken = 1
        :: !in_zone[0] && in_zone[SLABS - 1] -> taken = SLABS
        :: else -> unlock(zone_lock)
        fi;
        if :: taken != 0 -> in_zone[taken - 1] = 0; state[taken - 1] = CLAIMED :: else fi
    };
    if
    :: taken != 0 ->
       atomic {
           assert(owner[taken - 1] == NOBODY);
           owner[taken - 1] = ADDRESS(me);
           unlock(zone_lock)
       };
       /* slab_format */
       atomic {
           assert(state[taken - 1] == CLAIMED && !queued[taken - 1]);
           bits[taken - 1] = ALL_SLOTS;
           remote_bits[taken - 1] = 0
       };
       cls[taken - 1] = class
    :: else
    fi
}

inline depot_adopt_locked(depot, slab) {
    atomic {
        if
        :: state[slab] == SHELVED -> assert(shelf[slab] == depot + 1); shelf[slab] = 0 /* P2 */
        :: else
        fi;
        state[slab] = FULL
    };
    atomic {
        assert(owner[slab] == NOBODY || IS_GONE(owner[slab]));
        assert(cls[slab] == depot);
        owner[slab] = ADDRESS(me);
        unlock(depot_lock[depot])
    }
}

inline depot_take() {
    if
    :: shelf[0] == class + 1 || shelf[SLABS - 1] == class + 1 ->
       atomic {
           acquire(depot_lock[class]);
           if
           :: shelf[0] == class + 1 -> taken = 1
           :: shelf[0] != class + 1 && shelf[SLABS - 1] == class + 1 -> taken = SLABS
           :: else -> unlock(depot_lock[class])
           fi
       };
       if :: taken != 0 -> depot_adopt_locked(class, taken - 1) :: else fi
    :: else
    fi
}

inline depot_put_locked(slab) {
    atomic {
        assert(shelf[slab] == 0);
        if
        :: bits[slab] != 0 -> state[slab] = SHELVED; shelf[slab] = cls[slab] + 1
        :: else -> state[slab] = ORPHANED
        fi
    };
    atomic { owner[slab] = NOBODY; CHECK_UNMERGED(slab); unlock(depot_lock[cls[slab]]) }
}

/* --- refill.c --------------------------------------------------------------------------------- */

inline list_as(slab, list) {
    assert(listed[slab] == 0); /* P2 */
    state[slab] = list;
    listed[slab] = me + 1
}

inline unlist(slab) {
    assert(listed[slab] == me + 1 && (state[slab] == PARTIAL || state[slab] == FULL)); /* P2 */
    listed[slab] = 0
}

/* Sets `quiet`. */
inline release(slab) {
    atomic { acquire(cache_lock[me]); quiet = (owner[slab] == ADDRESS(me) || MUTANT == 8) };
    atomic { if :: quiet -> claim(slab) :: else fi; unlock(cache_lock[me]) };
    if :: quiet -> zone_release(slab) :: else fi
}

inline cache_settle(slab) {
    atomic {
        if
        :: bits[slab] == ALL_SLOTS -> quiet = 1
        :: bits[slab] != ALL_SLOTS && bits[slab] != 0 -> list_as(slab, PARTIAL)
        :: bits[slab] == 0 -> list_as(slab, FULL)
        fi
    };
    if
    :: quiet ->
       if
       :: release(slab)
#if SLABS > 1
       :: quiet = 0 /* kept */
#endif
       fi;
       atomic { if :: !quiet -> list_as(slab, PARTIAL) :: else -> quiet = 0 fi }
    :: else
    fi
}

/* cache_countdown_over for a listed slab, if its countdown is over by the merge or free before. */
inline cache_countdown(slab, is_over) {
    atomic { done = (state[slab] != CURRENT && (is_over)); if :: done -> unlist(slab) :: else fi };
    if :: done -> done = 0; cache_settle(slab) :: else fi
}

inline cache_free_local(slab, slot) {
    bits[slab] = bits[slab] | slot;
    cache_countdown(slab, state[slab] == FULL || bits[slab] == ALL_SLOTS)
}

/* --- remote.c --------------------------------------------------------------------------------- */

/* The exchange that clears PENDING, then the merge. */
inline clear_and_merge(slab) {
#if MUTANT == 5
    slab_merge_remote(slab);
#elif MUTANT == 14
    got = remote_bits[slab];
#endif
    atomic {
        assert(queued[slab] && owner[slab] == ADDRESS(me) + PENDING); /* P2 */
        owner[slab] = ADDRESS(me);
        queued[slab] = 0;
        merging[slab] = (MUTANT != 5)
    };
#if MUTANT == 10
    next = queue_next[slab];
#endif
#if MUTANT == 14
    if :: got & 1 -> merge_word(slab, 1) :: else fi;
    if :: got & 2 -> merge_word(slab, 2) :: else fi;
    atomic { got = 0; merging[slab] = 0; CHECK_UNMERGED(slab) }
#elif MUTANT != 5
    slab_merge_remote(slab)
#endif
}

inline take_queue() { atomic { walk = remote_queue[me]; remote_queue[me] = 0 } }

inline cache_drain() {
    take_queue();
    do
    :: walk != 0 ->
       next = queue_next[walk - 1];
       clear_and_merge(walk - 1);
       cache_countdown(walk - 1,
                       merged == 0 || state[walk - 1] == FULL || bits[walk - 1] == ALL_SLOTS);
       atomic { walk = next; next = 0; merged = 0 }
    :: else -> break
    od
}

#if MUTANT == 12
#define QUEUE_LOCK(act, cache) skip
#else
#define QUEUE_LOCK(act, cache) act(cache_lock[cache])
#endif

/* Sets `done`: false if the owner has changed. `ready`: the slab is to be queued. */
inline queue_on(cache, slab) {
    atomic {
        QUEUE_LOCK(acquire, cache);
        saw = owner[slab];
        done = (WITHOUT_PENDING(saw) == ADDRESS(cache) && cache_state[cache] != GONE)
    };
    atomic {
        ready = done && !(saw & PENDING) && state[slab] != CLAIMED &&
                (state[slab] != EMPTY || MUTANT == 2);
        if :: ready :: else -> QUEUE_LOCK(unlock, cache) fi
    };
    if
    :: ready ->
       atomic { /* a compare-and-swap */
           if
           :: owner[slab] == saw || MUTANT == 1 -> owner[slab] = saw | PENDING
           :: else -> done = 0; ready = 0; QUEUE_LOCK(unlock, cache)
           fi
       }
    :: else
    fi;
    if
    :: ready ->
       atomic { next = remote_queue[cache]; queue_next[slab] = next };
       do
       :: ready ->
          atomic { /* a compare-and-swap */
              if
              :: remote_queue[cache] == next ->
                 assert(!queued[slab]); /* P2 */
                 queued[slab] = 1;
                 remote_queue[cache] = slab + 1;
                 ready = 0;
                 QUEUE_LOCK(unlock, cache)
              :: else -> next = remote_queue[cache]; queue_next[slab] = next
              fi
          }
       :: else -> break
       od
    :: else
    fi;
    atomic { next = 0; saw = 0 }
}

/* Sets `done`: false if somebody else was faster. */
inline adopt(slab) {
    depot = cls[slab];
#if MUTANT == 4
    atomic { acquire(depot_lock[depot]); done = (cls[slab] == depot) };
    saw = owner[slab];
    atomic { done = done && saw == NOBODY && (state[slab] == SHELVED || state[slab] == ORPHANED);
#else
    atomic { /* one load for class and state */
        acquire(depot_lock[depot]);
        done = (cls[slab] == depot && state[slab] != EMPTY && state[slab] != CLAIMED);
        quiet = (state[slab] == SHELVED || state[slab] == ORPHANED)
    };
    atomic {
        done = (done && (quiet || IS_GONE(owner[slab]))) || MUTANT == 11;
        quiet = 0;
#endif
        if :: done :: else -> unlock(depot_lock[depot]) fi
    };
    if
    :: done ->
       depot_adopt_locked(depot, slab);
       merging[slab] = 1;
       slab_merge_remote(slab);
       merged = 0;
       cache_settle(slab)
    :: else
    fi;
    atomic { saw = 0; depot = 0 }
}

inline announce(slab) {
    do
    :: done -> break
    :: else ->
       atomic {
           tries++;
           assert(tries <= TRIES_MAX); /* P6 */
#if MUTANT != 6
           seen = owner[slab]
#endif
       };
       if
       :: seen > PENDING && cache_state[CACHE_OF(seen)] != GONE ->
          if :: seen & PENDING -> done = 1 :: else -> queue_on(CACHE_OF(seen), slab) fi
       :: else ->
          if :: state[slab] == EMPTY || state[slab] == CLAIMED -> done = 1 :: else -> adopt(slab) fi
       fi;
#if MUTANT == 7
       done = 1
#endif
    od;
    atomic { tries = 0; seen = 0; done = 0 }
}

inline cache_free_remote(slab, slot) {
    seen = owner[slab];
    if :: seen == NOBODY || IS_GONE(seen) -> adopt(slab); done = 0 :: else fi;
    if
    :: WITHOUT_PENDING(owner[slab]) == ADDRESS(me) ->
       if
       :: (bits[slab] | remote_bits[slab]) & slot -> atomic { seen = 0; report_double() }
       :: else -> seen = 0; cache_free_local(slab, slot)
       fi
    :: else ->
#if MUTANT == 6
       seen = owner[slab];
#endif
       atomic {
           quiet = ((remote_bits[slab] & slot) != 0);
           remote_bits[slab] = remote_bits[slab] | slot;
           inside[slab]++
       };
       if :: quiet -> atomic { quiet = 0; seen = 0; report_double() } :: else -> announce(slab) fi;
       atomic { inside[slab]--; CHECK_UNMERGED(slab) }
    fi
}

/* --- lend.c ----------------------------------------------------------------------------------- */

#if LENDS
inline lend_word(slab, word) {
    if
    :: !(remote_bits[slab] & word) && !(MUTANT == 15 && (bits[slab] & word))
    :: atomic {
           (remote_bits[slab] & word) || (MUTANT == 15 && (bits[slab] & word)) ->
           got = got | word;
           if :: MUTANT != 17 -> remote_bits[slab] = remote_bits[slab] & (ALL_SLOTS - word) :: else fi
       }
    fi
}

inline lend(slab) {
    inside[slab]++;
    lend_word(slab, 1);
    lend_word(slab, 2);
    atomic { assert(!(live[slab] & got)); lent[slab] = got }; /* P8 */
    if
    :: got != 0 ->
       atomic { remote_bits[slab] = remote_bits[slab] | got; lent[slab] = 0 };
       if :: MUTANT != 16 -> announce(slab) :: else fi
    :: else
    fi;
    atomic { got = 0; inside[slab]--; CHECK_UNMERGED(slab) }
}
#endif

/* --- rescue.c --------------------------------------------------------------------------------- */

inline rescue(slab) {
#if MUTANT == 3
    seen = owner[slab];
    quiet = (state[slab] == CLAIMED);
#else
    quiet = (state[slab] == CLAIMED);
    seen = owner[slab];
#endif
    if
    :: !IS_GONE(seen)
    :: IS_GONE(seen) && quiet -> zone_release(slab)
    :: else ->
       depot = cls[slab];
       atomic {
           acquire(depot_lock[depot]);
           if
           :: IS_GONE(owner[slab]) -> done = 1; merging[slab] = 1
           :: else -> unlock(depot_lock[depot])
           fi
       };
       if
       :: done ->
          slab_merge_remote(slab);
          if
          :: bits[slab] == ALL_SLOTS ->
             atomic { claim(slab); unlock(depot_lock[depot]) };
             zone_release(slab)
          :: else -> depot_put_locked(slab)
          fi
       :: else
       fi
    fi;
    atomic { quiet = 0; seen = 0; depot = 0; done = 0; merged = 0 }
}

/* --- registry.c ------------------------------------------------------------------------------- */

inline give_up(slab) {
    if
    :: listed[slab] == me + 1 || current[me] == slab + 1 ->
       atomic { acquire(depot_lock[cls[slab]]); listed[slab] = 0 };
       if
       :: bits[slab] == ALL_SLOTS ->
          atomic { claim(slab); given = given | (1 << slab); unlock(depot_lock[cls[slab]]) }
       :: else -> depot_put_locked(slab)
       fi
    :: else
    fi
}

inline cache_destroy() {
    cache_drain();
#if MUTANT != 9
    atomic { acquire(cache_lock[me]); take_queue() };
#else
    take_queue();
#endif
    do
    :: walk != 0 ->
       next = queue_next[walk - 1];
       clear_and_merge(walk - 1);
       atomic { walk = next; next = 0; merged = 0 }
    :: else -> break
    od;
    give_up(0);
#if SLABS > 1
    give_up(1);
#endif
    atomic {
        current[me] = 0;
#if MUTANT != 9
        unlock(cache_lock[me])
#endif
    };
    do
    :: given & 1 -> given = given & 2; zone_release(0)
    :: given == 2 -> given = 0; zone_release(SLABS - 1)
    :: given == 0 -> break
    od;
    cache_state[me] = UNUSED
}

/* --- the program ------------------------------------------------------------------------------ */

#define HAS_FREE_SLOT (current[me] != 0 && bits[current[me] - 1] != 0)

/* Where cache_refill looks when there is no slab at hand. */
inline look_elsewhere() {
    depot_take();
#ifdef VANISHED
    do
    :: atomic { taken == 0 && cursor < SLABS -> slab = cursor; cursor++ };
       rescue(slab);
       slab = 0;
       depot_take()
    :: taken != 0 || cursor == SLABS -> break
    od;
#endif
    if :: taken == 0 -> zone_acquire() :: else fi
}

inline cache_refill() {
    if :: remote_queue[me] != 0 -> cache_drain() :: else fi;
    atomic { /* retire_current */
        taken = current[me];
        if
        :: taken == 0 || HAS_FREE_SLOT
        :: else -> current[me] = 0; list_as(taken - 1, FULL); taken = 0
        fi;
        if
        :: taken != 0
        :: taken == 0 && listed[0] == me + 1 && state[0] == PARTIAL && cls[0] == class ->
           unlist(0); taken = 1
#if SLABS > 1
        :: taken == 0 && listed[1] == me + 1 && state[1] == PARTIAL && cls[1] == class ->
           unlist(1); taken = 2
#endif
        :: else
        fi
    };
    if :: taken == 0 -> look_elsewhere() :: else fi;
    atomic { /* make_current */
        if :: taken != 0 -> state[taken - 1] = CURRENT; current[me] = taken; taken = 0 :: else fi
    }
}

/* Without memory: nothing. */
inline malloc() {
    if :: HAS_FREE_SLOT :: else -> cache_refill() fi;
    atomic { /* slab_take */
        if
        :: HAS_FREE_SLOT ->
           slab = current[me] - 1;
           slot = (bits[slab] & 1 -> 1 : 2);
           bits[slab] = bits[slab] - slot;
           assert(TRUE_UNLESS_EXCUSED(!(live[slab] & slot))); /* P4 */
           assert(!(lent[slab] & slot)); /* P8 */
#if DOUBLES
           if
           :: slab == 0 && slot == 1 ->
              excused = excused || suspects > 0 || (remote_bits[0] & 1);
              second_free = 0
           :: else
           fi;
#endif
           live[slab] = live[slab] | slot;
           slab = 0;
           slot = 0
        :: else
        fi
    }
}

#if DOUBLES
#define CAN_FREE (live[0] | live[SLABS - 1] | second_free)
#else
#define CAN_FREE (live[0] | live[SLABS - 1])
#endif

/* The program frees any block that it has. */
inline choose_block() {
    atomic {
        if
        :: live[0] & 1 -> slab = 0; slot = 1
        :: live[0] & 2 -> slab = 0; slot = 2
#if SLABS > 1
        :: live[1] & 1 -> slab = 1; slot = 1
        :: live[1] & 2 -> slab = 1; slot = 2
#endif
#if DOUBLES
        :: second_free && !(live[0] & 1) -> slab = 0; slot = 1; second_free = 0; freed_twice = 1
#endif
        fi;
#if DOUBLES
        if :: slab == 0 && slot == 1 -> suspects++ :: else fi;
#endif
        live[slab] = live[slab] & (ALL_SLOTS - slot)
    }
}

/* hot_free_in, then heap_free with slab_examine. */
inline free() {
    if
    :: seen == ADDRESS(me) && !(bits[slab] & slot) -> seen = 0; cache_free_local(slab, slot)
    :: else ->
       quiet = (state[slab] == EMPTY || state[slab] == CLAIMED);
       got = bits[slab];
       atomic { quiet = quiet || ((got | remote_bits[slab]) & slot); got = 0; seen = 0 };
       if
       :: quiet -> atomic { quiet = 0; report_double() }
       :: else ->
          if
          :: WITHOUT_PENDING(owner[slab]) == ADDRESS(me) -> cache_free_local(slab, slot)
          :: else -> cache_free_remote(slab, slot)
          fi
       fi
    fi;
    atomic {
#if DOUBLES
        if :: slab == 0 && slot == 1 -> suspects-- :: else fi;
#endif
        slab = 0;
        slot = 0
    }
}

/* A thread; after an exit, the next one that gets its cache. */
proctype thread(byte me; byte class; byte mallocs; byte frees; byte exits) {
    byte slab, slot, walk, next, saw, seen, got, merged, taken, given, depot, tries;
    bool quiet, done, ready;
    do
    :: mallocs > 0 -> atomic { mallocs--; cache_state[me] = LIVE }; malloc()
    :: atomic { frees > 0 && CAN_FREE ->
                frees--; cache_state[me] = LIVE; choose_block(); seen = owner[slab] };
       free()
    :: cache_state[me] == LIVE && exits > 0 -> exits--; cache_destroy()
#if LENDS
    :: atomic { me == 2 && lends_left > 0 && (owner[0] & PENDING) -> lends_left-- }; lend(0)
#endif
    :: mallocs == 0 && (frees == 0 || !CAN_FREE) && (exits == 0 || cache_state[me] != LIVE) -> break
    od;
    finished++
}

#define QUEUED_ON(slab, cache)                                                                     \
    (remote_queue[cache] == slab + 1 || (SLABS > 1 && remote_queue[cache] == SLABS - slab &&       \
                                         queue_next[SLABS - 1 - slab] == slab + 1))

/* After the last thread's end: P1, P2. */
inline judge(slab) {
    assert(!merging[slab] && inside[slab] == 0);
    assert(state[slab] != CLAIMED || IS_GONE(owner[slab]));
    assert(in_zone[slab] == (state[slab] == EMPTY));
    assert((shelf[slab] != 0) == (state[slab] == SHELVED));
    if
    :: owner[slab] == NOBODY ->
       assert(state[slab] == EMPTY || state[slab] == SHELVED || state[slab] == ORPHANED);
       assert(listed[slab] == 0 && !queued[slab]);
       assert(TRUE_UNLESS_EXCUSED(remote_bits[slab] == 0))
    :: IS_GONE(owner[slab])
    :: else ->
       assert(cache_state[CACHE_OF(owner[slab])] == LIVE);
       assert((current[CACHE_OF(owner[slab])] == slab + 1) == (state[slab] == CURRENT));
       assert(state[slab] == CURRENT || (listed[slab] == CACHE_OF(owner[slab]) + 1 &&
                                         (state[slab] == PARTIAL || state[slab] == FULL)));
       assert((owner[slab] & PENDING) == queued[slab]);
       assert(queued[slab] == QUEUED_ON(slab, CACHE_OF(owner[slab])));
       assert(TRUE_UNLESS_EXCUSED(remote_bits[slab] == 0 || queued[slab]))
    fi;
    if
    :: state[slab] != EMPTY && !TRUE_UNLESS_EXCUSED(0) ->
       assert((bits[slab] | remote_bits[slab] | live[slab]) == ALL_SLOTS); /* P1 */
       assert(((bits[slab] | remote_bits[slab]) & live[slab]) == 0);
       assert(DOUBLES || (bits[slab] & remote_bits[slab]) == 0)
    :: else
    fi
}

inline slab_of(slab, cache, list, free_bits) {
    state[slab] = list; owner[slab] = ADDRESS(cache); bits[slab] = free_bits;
    live[slab] = ALL_SLOTS - free_bits;
    if :: list == CURRENT -> current[cache] = slab + 1 :: else -> listed[slab] = cache + 1 fi
}

inline slab_unowned(slab, free_bits) {
    state[slab] = (free_bits -> SHELVED : ORPHANED); bits[slab] = free_bits;
    shelf[slab] = (free_bits -> 1 : 0);
    live[slab] = ALL_SLOTS - free_bits
}

inline slab_empty(slab) { in_zone[slab] = 1; bits[slab] = ALL_SLOTS }

#ifdef VANISHED
/* A slab as the fork may have found it. */
inline slab_vanished(slab) {
    owner[slab] = ADDRESS(CACHES - 1);
    if
    :: state[slab] = CLAIMED; bits[slab] = ALL_SLOTS /* on its way from or to the zone */
    :: if :: state[slab] = CURRENT :: state[slab] = PARTIAL :: state[slab] = FULL fi;
       if :: bits[slab] = 0 :: bits[slab] = 1 :: bits[slab] = ALL_SLOTS fi;
       if
       :: bits[slab] != ALL_SLOTS -> remote_bits[slab] = 2; owner[slab] = owner[slab] | PENDING
       :: true
       fi;
       live[slab] = ALL_SLOTS - (bits[slab] | remote_bits[slab])
    fi
}
#endif

init {
    atomic {
        cache_state[0] = LIVE; cache_state[1] = LIVE; cache_state[2] = LIVE;
        /* thread(its cache, the class it allocates, allocations, frees, exits) */
#if defined(REMOTE)
        slab_of(0, 0, FULL, 0); slab_of(1, 0, CURRENT, 0);
        run thread(0, 0, 1, 1, 0); run thread(1, 0, 0, 1, 0); run thread(2, 0, 0, 1 + MORE, 0)
#elif defined(QUEUE)
        slab_of(0, 0, FULL, 0); slab_of(1, 0, CURRENT, 0);
        run thread(0, 0, 1, 0, 0); run thread(1, 0, 0, 1, 0); run thread(2, 0, 0, 2, 0)
#elif defined(RELEASE)
        slab_of(0, 0, FULL, 0);
        run thread(0, 0, 2, 0, 0); run thread(1, 0, 0, 1, 0); run thread(2, 0, 1, 2, 0)
#elif defined(EXIT)
        slab_of(0, 0, FULL, 0); slab_of(1, 0, CURRENT, 2);
        run thread(0, 0, MORE, 0, 1 + MORE);
        run thread(1, 0, 1 - MORE, 1, 0); run thread(2, 0, 0, 1, MORE)
#elif defined(ADOPT)
        slab_unowned(0, 0); slab_unowned(1, 1);
        run thread(0, 0, 1, MORE, 0); run thread(1, 0, 0, 1, 0); run thread(2, 0, 0, 1, 0)
#elif defined(CLASSES)
        slab_of(0, 0, FULL, 0);
        run thread(0, 1, 1, 0, 2); run thread(1, 0, 0, 1, 0); run thread(2, 0, 0, 1, 0)
#elif defined(DOUBLE)
        slab_of(0, 0, FULL, 2); slab_empty(1);
        run thread(0, 0, 1, 1, MORE); run thread(1, 0, 0, 1, 0); run thread(2, 0, 0, 1, 0)
#elif defined(DOUBLE_EXIT)
        slab_of(0, 0, FULL, 2); slab_empty(1);
        run thread(0, 0, 0, 1, 1); run thread(1, 0, 0, 1, 0); run thread(2, 0, 0, 1, 0)
#elif defined(LEND)
        slab_of(0, 0, FULL, 0); slab_of(1, 0, CURRENT, 0);
        run thread(0, 0, 1 + MORE, 0, 0); run thread(1, 0, 0, 2, 0); run thread(2, 0, 0, 0, 0)
#elif defined(LEND_EXIT)
        slab_of(0, 0, FULL, 0); slab_of(1, 0, CURRENT, 2);
        run thread(0, 0, 0, 0, 1); run thread(1, 0, 0, 2, 0); run thread(2, 0, 1, 0, 0)
#elif defined(VANISHED)
        cache_state[CACHES - 1] = GONE;
        slab_vanished(0);
#ifdef LONG
        slab_vanished(1);
#else
        slab_empty(1);
#endif
        run thread(0, 0, 1, 0, 0); run thread(1, 0, 0, 1, 0); run thread(2, 0, 0, 1, 0)
#else
#error "no configuration"
#endif
    };
    finished == 3;
    d_step {
        judge(0);
#if SLABS > 1
        judge(1);
#endif
#if DOUBLES
        /* P5; what waits to be merged will be reported then */
        assert(excused || reports + (bits[0] & remote_bits[0] & 1) == freed_twice)
#endif
    }
}
