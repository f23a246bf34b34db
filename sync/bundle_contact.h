/* bundle_contact.h - what a bundle shows a replica that was restored: whether it stands for a first contact, as a peer does.
 *
 *     a peer       asked now, it answers with its digest                     nobody else can answer for it
 *     a bundle     made at some time, by a member that signed its tips       it may have lain in a drawer since before the backup
 *
 * A restored replica must hear what was erased since its backup was made, and what it lost of its own: a restriction that
 * it wrote, say. Nobody answers a bundle, and its clock is only said. So it stands for a contact where what is signed shows that
 *
 *     1. a member, other than this device, signed its manifest and its tips;
 *     2. the frontier of each compartment in it is here to the last entry: the tips, found here, give the digest that was signed.
 *        So nothing is missing though volumes be damaged or lost, its own lost tail included; and in `control` neither side
 *        lacks anything below them;
 *     3. one of the tips is an entry that this device itself signed and the backup lacks: only then was the bundle made after the
 *        backup, whatever any clock says. Where nothing was lost, a bundle from here to there and one back show it.
 *
 * It does not show that nothing was erased after it was made. Nor does a peer that was away as long.
 */
#pragma once

#include "sync/bundle_export.h"

/* What an import is worth to a restored replica; of several bundles the best counts. */
enum bundle_contact {
    BUNDLE_CONTACT_NONE = 0, /* no manifest of another member was whole */
    BUNDLE_CONTACT_LACKS,    /* something that its maker had is not here, or not known to be */
    BUNDLE_CONTACT_OLD,      /* all of it is, and nothing shows that the bundle is younger than the backup */
    BUNDLE_CONTACT_COUNTS,
};

/* What a frontier that somebody signed is here. */
struct bundle_shown {
    bool here;  /* to the last entry */
    bool since; /* one of its tips was signed by this device after the backup was made */
};

/* Look for the frontier of a compartment with this digest: `known` has its tips, sorted by log. Between replica_begin_read and
 * replica_end_read. ERR_MEMORY; errors of the tables. */
MUST_CHECK enum err bundle_contact_look(struct replica *replica, struct table_txn *txn,
                                        const struct ident *compartment, const struct bundle_known *known,
                                        const uint8_t digest[DIGEST_BYTES], struct bundle_shown *out);
