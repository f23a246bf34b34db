/* net.h - the process that meets strangers.
 *
 *     store == channel 3 == [ net: link, ZAP, one transport key ] == the network
 *
 * It holds the transport key, the allow-list, endpoints, and what is on its way,
 * which is ciphertext: no signing or payload key, no file of the state directory. It
 * knows the path of a folder in that one, which is empty but for the sockets that stand in it for a moment on the way to a proxy.
 * Taken over, it can drop, delay and replay, and no more. It ends when the channel
 * does, and whatever goes wrong in it ends it: the store starts another (spawn.h).
 *
 * A message for a peer that takes none just now waits here, and the store is told
 * that there is no room, then that there is again. NET_HELD_BYTES for one device,
 * and it is hung up on. Where the line to it keeps a schedule, none are
 * taken just now once the next envelope is full.
 */
#pragma once

enum { NET_HELD_BYTES = 8 * 1024 * 1024 };

/* How it exits. */
enum {
    NET_EXIT_DONE = 0,       /* the store closed the channel */
    NET_EXIT_FAILED = 1,     /* it could not start, or the store spoke nonsense */
    NET_EXIT_DOOR_OPEN = 3,  /* the self-test let a stranger in */
    NET_EXIT_NO_SANDBOX = 4, /* it was to have one, and cannot */
};

/* Run it over `fd` until the channel closes. Gives up every privilege that it has no need of,
 * and closes every descriptor but `fd` and stderr. Never returns: it exits as above. */
_Noreturn void net_main(int fd);
