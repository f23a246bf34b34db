/* What this program logs: the one table of it. */
#include "store/base/log.h"

#include <assert.h>
#include <stddef.h>
#include <string.h>

/* In alphabetical order. An id is drawn once, with systemd-id128 new, and stays with its event. */
static const struct log_kind kinds[] = {
    { "address-unstated", LOG_AT_WARNING, "0a3563a40aa4cb18bff5709b77d20808" },
    { "anchor-failed", LOG_AT_ERROR, "7669f571a8f1d501367a2459f8fec9ee" },
    { "audit-damaged", LOG_AT_ERROR, "94416276db1b42bd51d5a7b0a3333406" },
    { "audit-impossible", LOG_AT_ERROR, "4371e9bab3940e98fa4bf3b70c244c6d" },
    { "backup-begun", LOG_AT_INFO, "1f63feae6be6d5723c4f3dba5e3c22fb" },
    { "backup-failed", LOG_AT_ERROR, "30852c5479e70df67191cd20e9bc1b04" },
    { "backup-lacks", LOG_AT_WARNING, "1611adc61a8df01baa0ce5f643a10b84" },
    { "backup-made", LOG_AT_NOTICE, "07d144bf42b690518a560ff107c9a109" },
    { "bad-signature", LOG_AT_ERROR, "cd65eae02f98b541a8effb29fe2c147f" },
    { "box-made", LOG_AT_INFO, "485c96cefb4562b55edaf6a0cb02231a" },
    { "bundle-begun", LOG_AT_INFO, "b1e6213ab7296e2c4da68abd7922a479" },
    { "bundle-failed", LOG_AT_ERROR, "fc130e0081c66942fdc15b140c9d80f0" },
    { "bundle-imported", LOG_AT_NOTICE, "c17fed044cf85779104b8bad014064b5" },
    { "bundle-lacks", LOG_AT_WARNING, "a0325f9254210ddbb864e5b474f6c0f5" },
    { "bundle-refused", LOG_AT_WARNING, "d90b8ea5cc38a817e6d3fb88769de7e7" },
    { "bundle-written", LOG_AT_NOTICE, "ff9e0d94f9564636584ff27e4378807b" },
    { "compacted", LOG_AT_NOTICE, "48f65bf3cb2ffeaa59bc5b4b5e761b14" },
    { "config-read", LOG_AT_NOTICE, "45f30aff3536a7b6e06326337f8421cd" },
    { "config-refused", LOG_AT_WARNING, "45381cd795d3947ab88e4c3ae2075c91" },
    { "counting-behind", LOG_AT_WARNING, "0859ae2a43b933638b87461d026b5458" },
    { "damaged-entry", LOG_AT_ERROR, "c16fc62e9f8d415c834fca83184fee94" },
    { "damaged-file", LOG_AT_ERROR, "10e015d4b83644cf961dfff67322af77" },
    { "damaged-row", LOG_AT_ERROR, "56bd6cf72d344aa4b47b9b47b6c91b68" },
    { "door-refused", LOG_AT_INFO, "b235fe7e09394d3a99752b5c27d65830" },
    { "duplicates-behind", LOG_AT_WARNING, "5ca0f42c59c14e177c42614542682a42" },
    { "duplicates-unavailable", LOG_AT_WARNING, "15e8231eae249e3fddf88553e1083791" },
    { "entry-mended", LOG_AT_NOTICE, "99ee7fd5b82d4795828663a2c8b3617c" },
    { "epoch-key-left-out", LOG_AT_WARNING, "81a4c1f54425a0151ee5ef7f793fd0bf" },
    { "epoch-made", LOG_AT_NOTICE, "48ddbda9e83cf07f949e5ec92e588898" },
    { "erasure-begins", LOG_AT_NOTICE, "489ca0eb093cd8cdd0566870373cb66b" },
    { "erasure-receipt", LOG_AT_NOTICE, "d7ee551cb4023849f4c2849771ee9bcb" },
    { "erasure-scanned", LOG_AT_NOTICE, "5409ee74e6a85c720f197d585f8299cb" },
    { "export-given-up", LOG_AT_WARNING, "2954bfb23af1c7975a97dc82363e007a" },
    { "file-added", LOG_AT_INFO, "adb6aca682b1c411d5246b757d93a7af" },
    { "file-put-away", LOG_AT_INFO, "c15d6560e4d1dbf3d1e7f4418a483d20" },
    { "file-refused", LOG_AT_WARNING, "e28dd77b69ea07b549e315a77c5c9607" },
    { "file-unreadable", LOG_AT_ERROR, "904ddef7da64b0866ee233e7bc781ef0" },
    { "files-not-listed", LOG_AT_WARNING, "bfbdcfb87c2321d697e6501c137d9664" },
    { "files-removed", LOG_AT_INFO, "6e9e4a736fab40afcf0f830fbd15a368" },
    { "files-restored", LOG_AT_NOTICE, "38fa2a137e988cc32329b3d7575704ae" },
    { "files-unnamed", LOG_AT_INFO, "5483a7a7d924edfb7b523b2adbb04905" },
    { "fork-proved", LOG_AT_WARNING, "41cdca09b13cebefd1add73e6759c26d" },
    { "import-abandoned", LOG_AT_NOTICE, "b3f291c38985014b7eeb4c33efc57000" },
    { "import-decided", LOG_AT_NOTICE, "4d2c400e8255eae78b7ad1a8076ee0f5" },
    { "import-done", LOG_AT_NOTICE, "313aac92f30f5295285e097aff88c074" },
    { "import-dropped", LOG_AT_INFO, "da27e8267425f30d5e33af2dea3274a9" },
    { "import-stopped", LOG_AT_WARNING, "064284fae1735b617e4109ec28b5294a" },
    { "import-swept", LOG_AT_INFO, "9f5946925e0f5cf3aa07008e76e8fdbc" },
    { "incarnation-new", LOG_AT_NOTICE, "954773a5d78c421e4a717a1befee9284" },
    { "keys-left-behind", LOG_AT_ERROR, "b2e839846820f27d31331ee456caf99e" },
    { "keys-swept", LOG_AT_NOTICE, "1299f8a09c2f43408aad26509527944b" },
    { "late-copy-refused", LOG_AT_WARNING, "a4bf54e1d3f9d2ea4137f1b0f1aeca09" },
    { "lock-changed", LOG_AT_NOTICE, "5498b6a7051cdefac5d5987b0ae8d349" },
    { "log-unreadable", LOG_AT_ERROR, "e1afcd9a7e07ea0b0aa921f40b72b801" },
    { "memory-not-locked", LOG_AT_WARNING, "d2cf98d64f80a48c9e8689f8b5997bb5" },
    { "net-alarm", LOG_AT_WARNING, "d5026e73c30fcc1011012522c6c3dd21" },
    { "net-died", LOG_AT_WARNING, "5ae88f879c67371edba0b965a6c17979" },
    { "net-door-open", LOG_AT_ERROR, "c56d2149eb8c211c646fd7baac5205d9" },
    { "net-forbidden", LOG_AT_WARNING, "ad7767ca5ad39d4951d6570f2b0b6d8f" },
    { "net-malformed", LOG_AT_ERROR, "627d378dc999f67bdbdadd5228b6549b" },
    { "net-order-unusable", LOG_AT_ERROR, "92c01d6e150753dc48804b9eaf28aa19" },
    { "net-ready", LOG_AT_INFO, "a899d17c283254c67a27aabe0d290786" },
    { "net-roster-unusable", LOG_AT_ERROR, "5b8c0d4302367609a10659003d5b6d4a" },
    { "net-sandbox-refused", LOG_AT_ERROR, "9ac92a6887cf390bb3ea690029eb54da" },
    { "net-schedules-unusable", LOG_AT_ERROR, "8680fa271fc96acecfa36b8b85a31d82" },
    { "net-silent", LOG_AT_WARNING, "ed22b7c14eed6b6ddae4c4ab6ac6bed5" },
    { "net-start-failed", LOG_AT_ERROR, "fdafb6b8ad6bb8e5d087859e8b640fc7" },
    { "net-warning", LOG_AT_WARNING, "5452064404e7662e54f9303c317ce465" },
    { "own-entries-held", LOG_AT_WARNING, "f92552700391218fe152dc050fc99664" },
    { "peer-alarm", LOG_AT_WARNING, "d70f806bdcc5e286987116872c78eb50" },
    { "peer-down", LOG_AT_INFO, "5c5b8b80ae66c80b00403c1e91ef290b" },
    { "peer-malformed", LOG_AT_WARNING, "606dfba36798b20491e7f75fd319f9a7" },
    { "peer-set-back", LOG_AT_WARNING, "243eedddba23ce5ea19713a94ee1d65a" },
    { "peer-settings", LOG_AT_NOTICE, "94543e03abf668ec47fb5c8588cfaae6" },
    { "peer-unreachable", LOG_AT_NOTICE, "ea84ee4987ab456e9a2c1da2b76577f1" },
    { "peer-up", LOG_AT_INFO, "4a5019bdfe10da18f688895f65adc2eb" },
    { "peers-unread", LOG_AT_ERROR, "cae8229c221a7c0648768e4ee9cc6234" },
    { "ready", LOG_AT_NOTICE, "668b7c9cfc60ead29079024a4f357b97" },
    { "request-done", LOG_AT_DEBUG, "6d6c14382bd11cda3ed27c0e15622c28" },
    { "reserve-released", LOG_AT_WARNING, "c664c0be9d4a4dfe0f2153c572f0edd9" },
    { "restore-answered", LOG_AT_NOTICE, "053dd7a8650c4e1ed1dedd832a7aac16" },
    { "restore-confirmed", LOG_AT_NOTICE, "716f643c4de947baeff05b01f0aa627b" },
    { "restored", LOG_AT_NOTICE, "0d4fbd6ffd808157f4c99d7b0aca2444" },
    { "runs-restored", LOG_AT_NOTICE, "5565c416c117886b78929260a90d4e59" },
    { "salvage-mended", LOG_AT_WARNING, "501d1c2b125c4b67bfd03194f0832d22" },
    { "sandbox-incomplete", LOG_AT_WARNING, "7448e872347856e94d1cb52e96308140" },
    { "schedules-untold", LOG_AT_ERROR, "52e40cfcbb50f9f2dec271f807b2fd12" },
    { "scrub-cannot-ask", LOG_AT_WARNING, "95cf760d5d7b40a8b6ea754d175a450e" },
    { "scrub-cannot-reopen", LOG_AT_WARNING, "425967639ca64532bf3f68678a7fbbd6" },
    { "scrub-ended", LOG_AT_WARNING, "2d6fb6a5b07148bfa5a7fb826b3367f5" },
    { "search-behind", LOG_AT_WARNING, "2441e741c56c5102311334ee40afe5a2" },
    { "search-image-failed", LOG_AT_WARNING, "8cc519d95a3ef83aab6920e14a0c9a7d" },
    { "search-image-kept", LOG_AT_INFO, "60582d6dc199198d499283c9a34db32c" },
    { "search-image-refused", LOG_AT_WARNING, "055b3bf276f7495527d2dc10e8f8b31b" },
    { "search-image-stays", LOG_AT_WARNING, "c0a32a9feb5ff77a61522943178af2a5" },
    { "search-lost", LOG_AT_WARNING, "dc67c056a03de0bf0b05ce9bb3c84b46" },
    { "search-resumed", LOG_AT_INFO, "0f5f5051f5b4507f632a88a667d56996" },
    { "search-unavailable", LOG_AT_WARNING, "c684cbee2b8e3ae7019aa5e8f24b0a08" },
    { "session-ended", LOG_AT_INFO, "6697c278ddf251b707509628080c15c5" },
    { "set-back", LOG_AT_WARNING, "a55d82f53bc48cdd2dad0003239b2faf" },
    { "starter-gone", LOG_AT_ERROR, "342b54bbfbd5a27b764004bae9b562e0" },
    { "stopped", LOG_AT_NOTICE, "9f4305f3a8ce2c5e5208afd91d841976" },
    { "table-commit-failed", LOG_AT_ERROR, "66e8f2479614548686ab0a95625bbd7a" },
    { "table-compacted", LOG_AT_INFO, "a0656bf3e9c0f7777ac1d70974487b54" },
    { "table-failed", LOG_AT_ERROR, "3342a8410b72e3bc1ba2129400256b3f" },
    { "table-grown", LOG_AT_INFO, "8af3f87bb13634b03d347dde152bb9ff" },
    { "table-row-corrupt", LOG_AT_ERROR, "847289ea115deab19c77406105e4ff33" },
    { "table-salvaged", LOG_AT_WARNING, "f744b95208e24f21906b8594da89f98a" },
    { "turn-done", LOG_AT_DEBUG, "8518f8079c78413af898095de6dab992" },
    { "turn-failed", LOG_AT_ERROR, "449f3b48cefbb5754fa5d278ffaaac18" },
    { "turn-slow", LOG_AT_WARNING, "98789bfdee4ddc1dbcdd709e98639de9" },
    { "update-refused", LOG_AT_WARNING, "d3182985a096a30f0a01a109fbb2a9bb" },
    { "verify-found", LOG_AT_WARNING, "ac41f544d69832e39a40745f4583a389" },
    { "verify-repaired", LOG_AT_NOTICE, "336e10ff885eac020b7b13199daa232b" },
};

enum { KINDS = sizeof kinds / sizeof kinds[0] };

const struct log_kind *
log_kind_at(size_t n)
{
    return n < KINDS ? &kinds[n] : NULL;
}

const struct log_kind *
log_kind_of(const char *event)
{
    size_t low = 0;
    size_t high = KINDS;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(event, kinds[middle].event);

        if (order == 0) {
            return &kinds[middle];
        }
        low = order > 0 ? middle + 1 : low;
        high = order > 0 ? high : middle;
    }
    return NULL;
}

static const char *const level_names[] = { [LOG_AT_ERROR] = "error",
                                           [LOG_AT_WARNING] = "warning",
                                           [LOG_AT_NOTICE] = "notice",
                                           [LOG_AT_INFO] = "info",
                                           [LOG_AT_DEBUG] = "debug" };

const char *
log_level_name(enum log_level level)
{
    assert(level >= LOG_AT_ERROR && level <= LOG_AT_DEBUG);
    return level_names[level];
}

bool
log_level_parse(const char *name, enum log_level *level_out)
{
    for (enum log_level level = LOG_AT_ERROR; level <= LOG_AT_DEBUG; level++) {
        if (strcmp(name, level_names[level]) == 0) {
            *level_out = level;
            return true;
        }
    }
    return false;
}
