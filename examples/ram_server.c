/* SPDX-License-Identifier: MIT */
/*
 * A process beside the machine: it maps the guest's RAM (-mem-export) and reads a file straight
 * into the guest's pages, wherever they lie. Requests come from the guest by WEIR_HC_EXTERN_SUBMIT:
 * words[0] = 1, words[1] = offset in the file; result = bytes read, or -errno.
 *
 *   usage: ram_server SOCKET FILE
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>
#include <weir/export.h>

struct machine {
    int socket, fds[WEIR_EXPORT_FDS];
    struct weir_export_hello hello;
    uint8_t *ram;
    struct weir_export_slot *ring;
};

static int receive_hello(struct machine *m)
{
    char control[CMSG_SPACE(sizeof(m->fds))];
    struct iovec iov = {&m->hello, sizeof(m->hello)};
    struct msghdr message = {.msg_iov = &iov,
                             .msg_iovlen = 1,
                             .msg_control = control,
                             .msg_controllen = sizeof(control)};
    if (recvmsg(m->socket, &message, 0) != (ssize_t)sizeof(m->hello) ||
        m->hello.magic != WEIR_EXPORT_MAGIC || m->hello.version != WEIR_EXPORT_VERSION ||
        m->hello.slot_bytes != sizeof(struct weir_export_slot))
        return -1;
    struct cmsghdr *c = CMSG_FIRSTHDR(&message);
    if (!c || c->cmsg_type != SCM_RIGHTS || c->cmsg_len != CMSG_LEN(sizeof(m->fds)))
        return -1;
    memcpy(m->fds, CMSG_DATA(c), sizeof(m->fds));
    return 0;
}

static int connect_to(struct machine *m, const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    m->socket = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (m->socket < 0 || connect(m->socket, (struct sockaddr *)&address, sizeof(address)) < 0 ||
        receive_hello(m) < 0)
        return -1;
    m->ram = mmap(NULL, m->hello.ram_bytes, PROT_READ | PROT_WRITE, MAP_SHARED,
                  m->fds[WEIR_EXPORT_RAM], 0);
    size_t ring_bytes = (size_t)m->hello.slots * m->hello.slot_bytes;
    m->ring =
        mmap(NULL, ring_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, m->fds[WEIR_EXPORT_RING], 0);
    return m->ram == MAP_FAILED || m->ring == MAP_FAILED ? -1 : 0;
}

static int64_t read_file(struct machine *m, const struct weir_export_slot *slot, int file)
{
    struct iovec iov[64];
    int64_t done = 0;
    for (uint32_t k = 0; k < slot->pieces;) {
        int n = 0;
        uint64_t wanted = 0;
        for (; k < slot->pieces && n < 64; k++, n++) {
            iov[n] = (struct iovec){m->ram + slot->piece[k].offset, slot->piece[k].bytes};
            wanted += slot->piece[k].bytes;
        }
        ssize_t got = preadv(file, iov, n, (off_t)slot->words[1] + done);
        if (got < 0)
            return -errno;
        done += got;
        if ((uint64_t)got < wanted)
            break;
    }
    return done;
}

static void serve(struct machine *m, int file)
{
    uint64_t one = 1;
    for (uint32_t k = 0; k < m->hello.slots; k++) {
        struct weir_export_slot *slot = &m->ring[k];
        if (__atomic_load_n(&slot->state, __ATOMIC_ACQUIRE) != WEIR_EXPORT_POSTED)
            continue;
        int64_t result = -ENOSYS;
        if (slot->words[0] == 1 && slot->writable)
            result = read_file(m, slot, file);
        slot->result = (int32_t)result;
        __atomic_store_n(&slot->state, WEIR_EXPORT_DONE, __ATOMIC_RELEASE);
        if (write(m->fds[WEIR_EXPORT_ANSWERS], &one, sizeof(one)) < 0)
            perror("ram_server: answers");
    }
}

int main(int argc, char **argv)
{
    struct machine m = {0};
    int file = argc == 3 ? open(argv[2], O_RDONLY | O_CLOEXEC) : -1;
    if (file < 0 || connect_to(&m, argv[1]) < 0) {
        fprintf(stderr,
                argc == 3 ? "ram_server: %s, %s: cannot be used\n"
                          : "usage: ram_server SOCKET FILE\n",
                argv[1], argc == 3 ? argv[2] : "");
        return 1;
    }
    struct pollfd wait[2] = {{.fd = m.fds[WEIR_EXPORT_REQUESTS], .events = POLLIN},
                             {.fd = m.socket, .events = POLLIN}};
    uint64_t count;
    while (poll(wait, 2, -1) >= 0 && !wait[1].revents)
        if (read(wait[0].fd, &count, sizeof(count)) == sizeof(count))
            serve(&m, file);
    return 0; /* the machine is gone */
}
