/* vigil.pml - what three nodes come to, whatever the order in which they hear of it.
 *
 *     KEN     an office that writes; an old image may take the place of its disk
 *     HQ      headquarters: revocations and extensions are brought here
 *     COL     an office: orders to erase are brought here
 *     laptop  a fourth device: its owner writes, and whoever stole it; it may hand anything to anybody
 *     wire    whatever was sent once may come again, at any time and anywhere
 *
 * An update is an entry of a tree. Sets of entries are bits of a byte; line[e] is an entry with all its
 * ancestors. A step is a turn of a node, whole or not at all: a message that is under way is one that
 * the wire brings later, a crash between turns changes nothing that is durable. Links fail by not being used.
 *
 * What is chosen late is chosen once it matters, which leaves out no case: what a cut names when the revocation is
 * issued, which entries the erased record has when the order is, what an image holds when it is put back.
 *
 * Sections are those of the design. README.md says which worlds are searched, and what each MUTANT drops.
 *
 *     -DUPDATES=n   1 to 4 entries           -DEXTENSION   a second cut, by EXTEND
 *     -DOFFICE      KEN writes               -DTWICE       a second REVOKE of the laptop
 *     -DLAPTOP      the laptop does          -DERASURE     a record is erased
 *     -DREVOCATION  it is revoked            -DIMAGE       an old image of KEN's disk comes back
 */
#ifndef UPDATES
#define UPDATES 4
#endif

#define ALL 15
#define one(e) (1 << (e))
#define has(set, e) (((set) >> (e)) & 1)

#define KEN 0
#define HQ 1
#define COL 2

/* --- what was written (section 3) --- */

byte line[4];    /* an entry and its ancestors: it names its prev, and so all of them */
byte ken_log[3]; /* by incarnation */
byte ken_made;   /* KEN's entries are 0, 1, ... */
byte laptop_log;
byte laptop_made; /* the laptop's are UPDATES - 1, UPDATES - 2, ... */

#define above(e) (line[e] & ~one(e))
#define line_in(set, e) (has(set, e) -> line[e] : 0)
#define above_in(set, e) (has(set, e) -> above(e) : 0)
/* Everything in the set with its ancestors; its ancestors alone; what nothing in it names as prev. */
#define lines(set) (line_in(set, 0) | line_in(set, 1) | line_in(set, 2) | line_in(set, 3))
#define ancestors(set) (above_in(set, 0) | above_in(set, 1) | above_in(set, 2) | above_in(set, 3))
#define tips(set) ((set) & ~ancestors(set))

/* --- what was stated (section 5) --- */

#define REVOKE 1
#define EXTEND 2
#define SECOND 4 /* another REVOKE of the same device */
#define ERASE 8

byte issued;
byte revoke_cut, extend_cut, second_cut; /* the entry that each names; 0: none */
byte tagged;                             /* entries whose membership tag verifies under the erase key */

/* --- what a node holds: durable --- */

byte stated[3];
byte kept[3];    /* entries, by header */
byte payload[3]; /* of those, the payloads that were not erased */
byte scanning;   /* nodes at which an order is still held against what is here */
byte incarnation;
byte anchor; /* KEN's anchor file: own entries that it knows */

/* Derived, and brought up to date as the C code does it: when something moves. */
byte counted[3]; /* merged */
byte told[3];    /* in the frontier: what is pushed to those who lack it */
byte digest[3];  /* the tips in the digest, instead of a hash of them */

/* Known to nobody in the model: for the properties alone. */
byte lost;    /* KEN's entries that went with its disk and were nowhere else */
bool set_back; /* KEN goes on from a disk that lacks own entries, and nothing there says so */
bool image_used;

/* The properties by name, as they stand in what pan says: no part of a state. */
hidden byte no_seq_is_signed_twice, nothing_past_a_cut_counts, nothing_past_the_cuts_is_told, nothing_comes_back,
    what_counts_is_whole, digests_are_equal, the_same_counts_everywhere, what_was_acknowledged_counts,
    what_was_withdrawn_is_gone, something_is_still_to_come;

#define states(n, s) ((stated[n] & (s)) != 0)
#define erased(n) (states(n, ERASE) -> tagged : 0)

/* --- standing (section 5, revocation by cut; sync/limit.c) --- */

#define depth(set) (has(set, 0) + has(set, 1) + has(set, 2) + has(set, 3))
#define as_deep(e, cut) (depth(line[e]) <= depth(lines(cut)) -> one(e) : 0)

/* What one revocation lets pass of the laptop's log: the cut and its ancestors, once the cut is here. */
#if defined(MUTANT_CUT_BY_SEQ)
#define passes(n, cut) \
    (((cut) & kept[n]) -> as_deep(0, cut) | as_deep(1, cut) | as_deep(2, cut) | as_deep(3, cut) : 0)
#elif defined(MUTANT_CUT_WITHOUT_ENTRY)
#define passes(n, cut) lines(cut)
#else
#define passes(n, cut) lines((cut) & kept[n])
#endif

#define first_cuts(n) (revoke_cut | (states(n, EXTEND) -> extend_cut : 0))
#define first_passes(n) (states(n, REVOKE) -> passes(n, first_cuts(n)) : ALL)
#define second_passes(n) (states(n, SECOND) -> passes(n, second_cut) : ALL)
/* An entry counts only if every standing revocation of its device lets it pass. */
#ifdef MUTANT_ANY_REVOCATION
#define both_pass(n) \
    (states(n, REVOKE) && states(n, SECOND) -> first_passes(n) | second_passes(n) : first_passes(n) & second_passes(n))
#else
#define both_pass(n) (first_passes(n) & second_passes(n))
#endif
#define within(n) ((ALL & ~laptop_log) | both_pass(n))
/* It is told as long as one lets it pass: what one cut names may lie beyond another, and must arrive all the same. */
#define any_passes(n) \
    ((stated[n] & (REVOKE | SECOND)) == (REVOKE | SECOND) -> first_passes(n) | second_passes(n) : both_pass(n))
#define within_any(n) ((ALL & ~laptop_log) | any_passes(n))

/* Frontier and digest end at the cut and name every tip (section 5; sync/replica.c). */
#if defined(MUTANT_FRONTIER_PAST_CUTS)
#define in_frontier(n) kept[n]
#elif defined(MUTANT_FRONTIER_TO_NEAREST_CUT)
#define in_frontier(n) (kept[n] & within(n))
#else
#define in_frontier(n) (kept[n] & within_any(n))
#endif
#ifdef MUTANT_ONE_TIP
#define highest(set) (has(set, 3) -> 8 : (has(set, 2) -> 4 : (has(set, 1) -> 2 : (set) & 1)))
#define in_digest(set) (highest(tips(set) & ~laptop_log) | highest(tips(set) & laptop_log))
#else
#define in_digest(set) tips(set)
#endif

inline judge_again(n)
{
    counted[n] = kept[n] & within(n) & ~erased(n);
    told[n] = in_frontier(n);
    digest[n] = in_digest(told[n])
}

/* --- the one door (section 3; sync/intake.c) --- */

#ifdef MUTANT_LATE_COPY
#define refused_payload(n) 0
#else
#define refused_payload(n) erased(n)
#endif

inline keep(n, e)
{
    kept[n] = kept[n] | one(e);
    payload[n] = payload[n] | (one(e) & ~refused_payload(n));
#ifdef MUTANT_CUT_ENTRY_LATE
    counted[n] = counted[n] | (one(e) & within(n) & ~erased(n));
    told[n] = told[n] | (one(e) & within_any(n));
    digest[n] = in_digest(told[n])
#else
    judge_again(n)
#endif
}

/* An entry that others hold. If it is of the log in which KEN would write next, KEN was set back: what it lacked is
 * taken, and it goes on in a new incarnation (section 5, incarnations; sync/replica_gossip.c). */
inline take(n, e)
{
    if
    :: n == KEN && has(ken_log[incarnation], e) ->
#ifndef MUTANT_TAIL_UNNOTICED
        incarnation++;
#endif
        set_back = false
    :: else
    fi;
    keep(n, e)
}

/* Its prev is here, be it a head or not: a second child is a fork, and is kept. */
#ifdef MUTANT_SECOND_CHILD
#define is_sibling(e, f) (e != f && has(laptop_log, e) == has(laptop_log, f) && above(e) == above(f))
#define child_here(n, e, f) (has(kept[n], f) && is_sibling(e, f))
#define follows(n, e) \
    ((above(e) & ~kept[n]) == 0 && \
     !(child_here(n, e, 0) || child_here(n, e, 1) || child_here(n, e, 2) || child_here(n, e, 3)))
#else
#define follows(n, e) ((above(e) & ~kept[n]) == 0)
#endif

/* --- gossip (section 6; sync/gossip.h) --- */

/* Nobody hears of an own entry that the anchor does not know (section 7; node/loop.c, sync/replica.c). */
#define own (ken_log[incarnation] & kept[KEN])
#define anchored ((own & ~anchor) == 0)
#ifdef MUTANT_NOT_ANCHORED
#define speaks(n) true
#else
#define speaks(n) ((n) != KEN || anchored)
#endif

/* Equal digests: nothing is sent. Else what is told and lacked; a header alone only of what was erased at the receiver too. */
#define gives(from, to) \
    (speaks(from) && digest[from] != digest[to] -> told[from] & ~kept[to] & (payload[from] | erased(to)) : 0)
/* Replays, copies under way, the thief's hand. Bytes were recorded before anybody erased them. */
#define replays(to) ((laptop_log | kept[HQ] | kept[COL]) & ~kept[to])

#define TAKE(e) :: d_step { has(gives(p, n) | gives(q, n) | replays(n), e) && follows(n, e) -> take(n, e) }

inline hear(n, s)
{
    stated[n] = stated[n] | (s);
    if
    :: ((s) & ERASE) && (payload[n] & tagged) -> scanning = scanning | one(n)
    :: else
    fi;
#ifndef MUTANT_NOT_JUDGED_AGAIN
    judge_again(n)
#endif
}

#define HEAR(s) :: d_step { ((stated[p] | stated[q]) & ~stated[n] & (s)) -> hear(n, s) }

/* --- erasure (section 5; sync/erase.c): a slice a turn, whatever the standing of an entry --- */

#ifdef MUTANT_ERASE_MERGED
#define to_erase(n) (payload[n] & tagged & told[n])
#else
#define to_erase(n) (payload[n] & tagged)
#endif
#define lowest(set) ((set) & -(set))

inline erase_slice(n)
{
    payload[n] = payload[n] & ~lowest(to_erase(n));
    if
    :: to_erase(n) == 0 -> scanning = scanning & ~one(n)
    :: else
    fi
}

/* A node: what comes in, from either neighbour or from the wire, and what it does by itself. */
proctype node(byte n; byte p; byte q)
{
end:
    do
    TAKE(0) TAKE(1) TAKE(2) TAKE(3)
#ifdef REVOCATION
    HEAR(REVOKE)
#endif
#ifdef EXTENSION
    HEAR(EXTEND)
#endif
#ifdef TWICE
    HEAR(SECOND)
#endif
#ifdef ERASURE
    HEAR(ERASE)
    :: d_step { has(scanning, n) -> erase_slice(n) }
#ifdef MUTANT_SCAN_FORGOTTEN
    :: d_step { has(scanning, n) -> scanning = scanning & ~one(n) } /* a crash */
#endif
#endif
#ifdef MUTANT_BARE
    :: d_step { has(replays(n), 0) && follows(n, 0) -> take(n, 0); payload[n] = payload[n] & ~one(0) }
#endif
    od
}

/* --- those who write (section 3) --- */

#define room (ken_made + laptop_made < UPDATES)

/* An entry that is written after the order may name the erased record too: nobody there had heard. */
inline choose_record(e)
{
    if
    :: skip
    :: issued & ERASE -> tagged = tagged | one(e)
    fi
}

#ifdef OFFICE
/* KEN signed an entry of this log with this prev before, and somebody holds it. */
#define was_signed(e) \
    (has(ken_log[incarnation] & (kept[KEN] | kept[HQ] | kept[COL]), e) && above(e) == own)

/* A person at KEN. The turn is committed, then the anchor is written, then others may hear of it. */
proctype office()
{
end:
    do
    :: atomic { room ->
        no_seq_is_signed_twice = set_back || !(was_signed(0) || was_signed(1) || was_signed(2) || was_signed(3));
        assert(no_seq_is_signed_twice);
        choose_record(ken_made);
        d_step {
            line[ken_made] = own | one(ken_made);
            ken_log[incarnation] = ken_log[incarnation] | one(ken_made);
            keep(KEN, ken_made);
            ken_made++
        } }
    :: d_step { !anchored -> anchor = own }
    od
}
#endif

#ifdef LAPTOP
#define NEXT (UPDATES - 1 - laptop_made)
#define AFTER(n, e) :: has(may_follow(n), e) -> line[NEXT] = line[e] | one(NEXT)
/* In which order it wrote what it hands out later makes no difference to anybody: breadth first. */
#define last_prev (laptop_made > 0 && above(NEXT + 1) != 0 -> lowest(above(NEXT + 1)) : 16)
#define may_follow(n) (laptop_log & kept[n] & (2 * last_prev - 1))
#define WRITE_AT(n) \
    :: atomic { room && (last_prev == 16 || may_follow(n) != 0) -> \
        if \
        :: last_prev == 16 -> line[NEXT] = one(NEXT) \
        AFTER(n, 0) AFTER(n, 1) AFTER(n, 2) AFTER(n, 3) \
        fi; \
        choose_record(NEXT); \
        d_step { laptop_log = laptop_log | one(NEXT); keep(n, NEXT); laptop_made++ } }

/* The laptop: its owner's entries and the thief's are signed with one key. It writes after any entry, or begins anew, and
 * brings what it wrote to anybody (section 5, forks). */
proctype laptop()
{
end:
    do
    WRITE_AT(KEN) WRITE_AT(HQ) WRITE_AT(COL)
    od
}
#endif

/* --- those who state (section 5) --- */

#if defined(REVOCATION) || defined(ERASURE)
#define CUT(cut, e) :: has(laptop_log, e) -> cut = one(e)
#define CUT_BEYOND(cut, e) :: has(laptop_log & ~lines(revoke_cut), e) -> cut = one(e)
#define RECORD(e) \
    if \
    :: skip \
    :: e < ken_made || e >= UPDATES - laptop_made -> tagged = tagged | one(e) \
    fi

/* Roots with their offline keys, and two admins of two offices. A cut names an entry that exists, here or elsewhere, or none. */
proctype organisation()
{
end:
    do
#ifdef REVOCATION
    :: atomic { !(issued & REVOKE) && laptop_log ->
        if
        :: skip
        CUT(revoke_cut, 0) CUT(revoke_cut, 1) CUT(revoke_cut, 2) CUT(revoke_cut, 3)
        fi;
        d_step { issued = issued | REVOKE; hear(HQ, REVOKE) } }
#endif
#ifdef EXTENSION
    :: atomic { (issued & REVOKE) && !(issued & EXTEND) && (laptop_log & ~lines(revoke_cut)) != 0 ->
        if
        CUT_BEYOND(extend_cut, 0) CUT_BEYOND(extend_cut, 1) CUT_BEYOND(extend_cut, 2) CUT_BEYOND(extend_cut, 3)
        fi;
        d_step { issued = issued | EXTEND; hear(HQ, EXTEND) } }
#endif
#ifdef TWICE
    :: atomic { (issued & REVOKE) && !(issued & SECOND) ->
        if
        :: skip
        CUT(second_cut, 0) CUT(second_cut, 1) CUT(second_cut, 2) CUT(second_cut, 3)
        fi;
        d_step { issued = issued | SECOND; hear(COL, SECOND) } }
#endif
#ifdef ERASURE
    :: atomic { !(issued & ERASE) && ken_made + laptop_made > 0 ->
        RECORD(0); RECORD(1); RECORD(2); RECORD(3);
        d_step { issued = issued | ERASE; hear(COL, ERASE) } }
#endif
    od
}
#endif

/* --- an old image (section 5, incarnations and backups) --- */

#ifdef IMAGE
#define FORGET_ENTRY(e) \
    if \
    :: skip \
    :: has(tips(kept[KEN]), e) -> kept[KEN] = kept[KEN] & ~one(e) \
    fi
#define FORGET_STATEMENT(s) \
    if \
    :: skip \
    :: stated[KEN] & (s) -> stated[KEN] = stated[KEN] & ~(s) \
    fi

/* Whatever KEN held once: it held less, and no entry without its prev. */
inline put_image_back()
{
    lost = kept[KEN];
    FORGET_ENTRY(3); FORGET_ENTRY(2); FORGET_ENTRY(1); FORGET_ENTRY(0);
#ifdef LAPTOP
    FORGET_ENTRY(1); FORGET_ENTRY(2); FORGET_ENTRY(3);
#endif
    FORGET_STATEMENT(REVOKE); FORGET_STATEMENT(EXTEND); FORGET_STATEMENT(SECOND); FORGET_STATEMENT(ERASE);
    set_back = (lost & ~kept[KEN] & ken_log[incarnation]) != 0;
    lost = lost & ~(kept[KEN] | kept[HQ] | kept[COL]);
    payload[KEN] = kept[KEN] & ~erased(KEN);
    scanning = scanning & ~one(KEN)
}

/* The image may be of a moment at which an order was not worked off. */
inline perhaps_scanning()
{
    if
    :: skip
    :: kept[KEN] & erased(KEN) -> payload[KEN] = kept[KEN]; scanning = scanning | one(KEN)
    fi
}

proctype misfortune()
{
end:
    do
    :: atomic { !image_used && ken_made > 0 ->
        image_used = true;
        put_image_back();
        if
        :: /* A backup, by `vigild restore`: control first, then the rest by the one door; a new incarnation. */
            anchor = 0;
            set_back = false;
#ifndef MUTANT_SAME_INCARNATION
            incarnation++
#endif
        :: /* The databases alone are put back: the anchor file tells. */
            perhaps_scanning();
            set_back = false;
#ifndef MUTANT_ANCHOR_IGNORED
            if
            :: (anchor & ~kept[KEN]) != 0 -> incarnation++; anchor = 0
            :: else
            fi
#endif
        :: /* The whole disk is: nothing here can tell, and the first peer that knows more does. */
            perhaps_scanning();
            anchor = anchor & kept[KEN]
        fi;
        judge_again(KEN) }
    od
}
#endif

/* --- what must hold --- */

#define everywhere(property) (property(KEN) && property(HQ) && property(COL))

/* By the letter, and not as `within` has it: a cut or an ancestor of one whose entry is here. */
#define first_right(n) (states(n, REVOKE) -> lines(first_cuts(n) & kept[n]) : ALL)
#define second_right(n) (states(n, SECOND) -> lines(second_cut & kept[n]) : ALL)
#define told_right(n) \
    (states(n, REVOKE) && states(n, SECOND) -> first_right(n) | second_right(n) : first_right(n) & second_right(n))
#define counts_right(n) ((counted[n] & laptop_log & ~(first_right(n) & second_right(n))) == 0)
#define tells_right(n) ((told[n] & laptop_log & ~told_right(n)) == 0)
/* An order was worked off: no payload that it names is here, and none comes back. */
#define stays_gone(n) (!states(n, ERASE) || has(scanning, n) || (payload[n] & tagged) == 0)
#define is_whole(n) ((counted[n] & ~payload[n]) == 0)

/* Links are quiet: nobody has anything left to say, or nobody takes it; and nobody has anything left to do. Gossip only ever
 * adds to what a node holds, so from every state it comes to a quiet one by itself. */
#define moves(from, to, e) (has(gives(from, to), e) && follows(to, e))
#define silent(from, to) \
    (stated[from] == stated[to] && \
     (gives(from, to) == 0 || \
      !(moves(from, to, 0) || moves(from, to, 1) || moves(from, to, 2) || moves(from, to, 3))))
#define quiet \
    (scanning == 0 && anchored && silent(KEN, HQ) && silent(HQ, KEN) && silent(KEN, COL) && silent(COL, KEN) && \
     silent(HQ, COL) && silent(COL, HQ))

/* What was acknowledged: all that KEN wrote and did not lose with its disk, and of the laptop's what every revocation lets
 * pass; without what was withdrawn. */
#define somewhere (kept[KEN] | kept[HQ] | kept[COL])
#define written (ken_log[0] | ken_log[1] | ken_log[2])
#define first_due ((issued & REVOKE) -> lines((revoke_cut | extend_cut) & somewhere) : ALL)
#define second_due ((issued & SECOND) -> lines(second_cut & somewhere) : ALL)
#define withdrawn ((issued & ERASE) -> tagged : 0)
#define due (((written & ~lost) | (laptop_log & somewhere & first_due & second_due)) & ~withdrawn)

proctype judge()
{
end:
    do
    :: d_step {
        true ->
        nothing_past_a_cut_counts = everywhere(counts_right);
        assert(nothing_past_a_cut_counts);
        nothing_past_the_cuts_is_told = everywhere(tells_right);
        assert(nothing_past_the_cuts_is_told);
        nothing_comes_back = everywhere(stays_gone);
        assert(nothing_comes_back);
        what_counts_is_whole = everywhere(is_whole);
        assert(what_counts_is_whole);
        if
        :: quiet ->
            digests_are_equal = digest[KEN] == digest[HQ] && digest[HQ] == digest[COL];
            assert(digests_are_equal);
            the_same_counts_everywhere = counted[KEN] == counted[HQ] && counted[HQ] == counted[COL];
            assert(the_same_counts_everywhere);
            what_was_acknowledged_counts = counted[HQ] == due;
            assert(what_was_acknowledged_counts);
            what_was_withdrawn_is_gone = ((payload[KEN] | payload[HQ] | payload[COL]) & withdrawn) == 0;
            assert(what_was_withdrawn_is_gone);
#ifdef DENY_NOTHING_IS_EVER_QUIET
            something_is_still_to_come = room || !image_used || issued != (REVOKE | ERASE) || laptop_made == 0;
            assert(something_is_still_to_come)
#endif
        :: else
        fi }
    od
}

init
{
    atomic {
        run node(KEN, HQ, COL);
        run node(HQ, KEN, COL);
        run node(COL, KEN, HQ);
#ifdef OFFICE
        run office();
#endif
#ifdef LAPTOP
        run laptop();
#endif
#if defined(REVOCATION) || defined(ERASURE)
        run organisation();
#endif
#ifdef IMAGE
        run misfortune();
#endif
        run judge()
    }
}
