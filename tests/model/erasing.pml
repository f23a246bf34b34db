/* erasing.pml - one node's disk while it erases two records, and the machine stops at any moment.
 *
 *     scan a slice --> ... --> keys/ rewritten under a new key --> main/ compacted --> nothing is due --> receipt
 *       keys first                wrap file names the new one         copy renamed
 *
 * vigil.pml takes an erasure for one step of a node; this is what happens within (section 5, erasure and "at rest"; sync/erase.c,
 * sync/replica_erase.c). LMDB frees pages and does not wipe them: what a row said can be read until its file is gone.
 * A record is a bit: its payloads in main/, its key in keys/. The order for the second may stand at any time, so also while
 * the first is half done. Memory is forgotten when the machine stops; what was committed, synced or renamed is not.
 */
#define RECORDS 3 /* both */
#define GENERATIONS 9
#ifndef CRASHES
#define CRASHES 2
#endif

#define lowest(set) ((set) & -(set))

/* --- durable --- */

byte orders; /* that stand here */

byte main_rows = RECORDS; /* payloads that rows hold, ... */
byte main_old;            /* and free pages */
byte scanned;             /* orders that every entry was held against */
bool due;                 /* the row that says: old bytes lie in the files */

#define ABSENT 0
#define PARTIAL 1
#define WHOLE 2
byte copy; /* of main/, beside it */
byte copy_rows;

byte wrap;                  /* the generation that the file `wrap` names, with its key */
byte keys[GENERATIONS];     /* environments: ABSENT, PARTIAL, WHOLE */
byte key_rows[GENERATIONS]; /* record keys that rows hold, ... */
byte key_old[GENERATIONS];  /* and free pages */

byte receipts; /* orders that this node says it is done with */

/* --- memory --- */

byte in_turn;    /* the record whose slice was committed in one environment and not in the other */
bool rewritten;  /* keys/ since anything was last destroyed: a copy of main/ that failed need not do it again */
byte step;       /* of a compaction: */
#define IDLE 0
#define CLEARED 1  /* no environment but the one that is named */
#define WRITTEN 2  /* the next one is whole */
#define NAMED 3    /* wrap names it */
#define RENEWED 4  /* and the one before is gone */
#define COPIED 5   /* main/ has a whole copy beside it */
#define COMPACT 6  /* which is main/ now */

byte crashes;
byte no_room; /* how often there was none */

/* The properties by name, as they stand in what pan says: no part of a state. */
hidden byte nothing_else_is_lost, who_is_done_holds_nothing, it_gets_done;

/* --- one slice: a turn, which commits to keys/ and then to main/ (sync/replica.c, replica_commit) --- */

inline slice_in_keys(record)
{
    key_old[wrap] = key_old[wrap] | (key_rows[wrap] & (record));
    key_rows[wrap] = key_rows[wrap] & ~(record);
    rewritten = false
}

inline slice_in_main(record)
{
    main_old = main_old | (main_rows & (record));
    main_rows = main_rows & ~(record);
    scanned = scanned | (record);
#ifndef MUTANT_DUE_IN_MEMORY
    due = true
#endif
}

/* Every environment but the one that wrap names: ones that a crash left half written, or just replaced. */
inline clear_keys()
{
#ifndef MUTANT_LEFTOVERS_STAY
    i = 0;
    do
    :: i < GENERATIONS ->
        if
        :: i != wrap -> keys[i] = ABSENT; key_rows[i] = 0; key_old[i] = 0
        :: else
        fi;
        i++
    :: else -> break
    od;
    i = 0
#else
    skip
#endif
}

#define unscanned (orders & ~scanned)
#ifdef MUTANT_RECEIPT_EARLY
#define owes (scanned & ~receipts)
#else
#define owes ((due || step != IDLE || unscanned -> 0 : scanned) & ~receipts)
#endif
#ifdef MUTANT_KEYS_REWRITTEN_ONCE
#define keys_are_clean (wrap > 0)
#else
#define keys_are_clean rewritten
#endif

proctype store()
{
    byte i;
end:
    do
    /* Orders come through control; each is one turn of its own. */
    :: d_step { step == IDLE && in_turn == 0 && (orders & 1) == 0 -> orders = orders | 1 }
    :: d_step { step == IDLE && in_turn == 0 && (orders & 2) == 0 -> orders = orders | 2 }

#ifdef MUTANT_MAIN_COMMITTED_FIRST
    :: d_step { step == IDLE && in_turn == 0 && unscanned -> in_turn = lowest(unscanned); slice_in_main(in_turn) }
    :: d_step { in_turn != 0 -> slice_in_keys(in_turn); in_turn = 0 }
#else
    :: d_step { step == IDLE && in_turn == 0 && unscanned -> in_turn = lowest(unscanned); slice_in_keys(in_turn) }
    :: d_step { in_turn != 0 -> slice_in_main(in_turn); in_turn = 0 }
#endif

    /* Compaction, between turns (replica_compact). */
    :: d_step { step == IDLE && in_turn == 0 && due && !unscanned ->
            if
            :: keys_are_clean -> step = RENEWED
            :: else -> clear_keys(); step = CLEARED
            fi }
#ifdef MUTANT_NAMED_BEFORE_WRITTEN
    :: d_step { step == CLEARED && keys[wrap + 1] == ABSENT -> keys[wrap + 1] = PARTIAL; key_rows[wrap + 1] = key_rows[wrap];
            wrap = wrap + 1 }
    :: d_step { step == CLEARED && keys[wrap] == PARTIAL -> keys[wrap] = WHOLE; step = NAMED }
#else
    :: d_step { step == CLEARED && keys[wrap + 1] == ABSENT -> keys[wrap + 1] = PARTIAL }
    :: d_step { step == CLEARED && keys[wrap + 1] == PARTIAL ->
            keys[wrap + 1] = WHOLE;
            key_rows[wrap + 1] = key_rows[wrap];
            step = WRITTEN }
    :: d_step { step == CLEARED && keys[wrap + 1] == PARTIAL && no_room < 1 ->
            no_room++;
            clear_keys();
            step = IDLE }
    :: d_step { step == WRITTEN -> wrap = wrap + 1; step = NAMED }
#endif
    :: d_step { step == NAMED -> clear_keys(); rewritten = true; step = RENEWED }
    :: d_step { step == RENEWED && copy == ABSENT -> copy = PARTIAL }
    :: d_step { step == RENEWED && copy == PARTIAL -> copy = WHOLE; copy_rows = main_rows; step = COPIED }
    :: d_step { step == RENEWED && copy == PARTIAL && no_room < 1 -> no_room++; copy = ABSENT; step = IDLE }
    :: d_step { step == COPIED -> main_rows = copy_rows; main_old = 0; copy = ABSENT; copy_rows = 0; step = COMPACT }
    :: d_step { step == COMPACT -> due = false; step = IDLE }

    :: d_step { step == IDLE && in_turn == 0 && owes -> receipts = receipts | owes }

    /* The machine stops, and starts: it goes on from what is durable, and clears what it finds half done. */
    :: d_step { crashes < CRASHES ->
            crashes++;
            in_turn = 0;
            rewritten = false;
            step = IDLE;
            copy = ABSENT;
            copy_rows = 0;
            clear_keys() }
    od
}

#define keys_in(g) (keys[g] == ABSENT -> 0 : key_rows[g] | key_old[g])
#define readable \
    (main_rows | main_old | copy_rows | keys_in(0) | keys_in(1) | keys_in(2) | keys_in(3) | keys_in(4) | \
     keys_in(5) | keys_in(6) | keys_in(7) | keys_in(8))

/* Between turns, and nothing is left to do but to stop or to hear of another order. */
#define at_rest (step == IDLE && in_turn == 0 && unscanned == 0 && !due && owes == 0)

proctype judge()
{
end:
    do
    :: d_step {
        true ->
        nothing_else_is_lost =
            keys[wrap] == WHOLE && (key_rows[wrap] | orders) == RECORDS && (main_rows | orders) == RECORDS;
        assert(nothing_else_is_lost);
        who_is_done_holds_nothing = (receipts & readable) == 0;
        assert(who_is_done_holds_nothing);
        it_gets_done = !at_rest || receipts == orders;
        assert(it_gets_done) }
    od
}

init
{
    atomic {
        keys[0] = WHOLE;
        key_rows[0] = RECORDS;
        run store();
        run judge()
    }
}
