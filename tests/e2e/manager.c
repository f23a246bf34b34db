/* e2e-manager PATH: what a service manager hears: listens at a datagram socket, and writes every line that comes. */
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int
main(int argc, char **argv)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    char bytes[4096];
    ssize_t got;

    if (argc != 2 || fd < 0 || strlen(argv[1]) >= sizeof address.sun_path) {
        return 2;
    }
    memcpy(address.sun_path, argv[1], strlen(argv[1]));
    if (bind(fd, (const struct sockaddr *)&address, sizeof address) != 0) {
        perror(argv[1]);
        return 1;
    }
    while ((got = recv(fd, bytes, sizeof bytes - 1, 0)) > 0) {
        bytes[got] = '\0';
        (void)puts(bytes);
        (void)fflush(stdout);
    }
    return 0;
}
