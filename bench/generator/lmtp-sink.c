/*
 * An LMTP server that takes everything, throws it away and counts it.
 *
 *   lmtp-sink PORT...
 *
 * Listens on each port of 127.0.0.1. Beside LMTP it knows the command STAT, answered with what it has taken so far:
 * `250 messages=N recipients=N bytes=N connections=N accepted=N`; connections are those open now, accepted those there ever were,
 * the asker's among them.
 * smtp-sink of Postfix counts no recipients and reads messages byte by byte; this one does neither.
 * It trusts who asks: benchmarks alone.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <err.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define MAX_SOCKETS 20000
#define MAX_LINE_BYTES 1024
#define INPUT_BYTES 262144
#define END_OF_DATA "\r\n.\r\n"
#define END_BYTES 5

static struct client {
    int is_listener;
    int in_body;
    unsigned recipients; /* accepted in this transaction */
    size_t line_bytes;
    size_t tail_bytes;
    char line[MAX_LINE_BYTES];
    char tail[END_BYTES]; /* the last bytes of the body so far */
} clients[MAX_SOCKETS];

static struct {
    uint64_t messages, recipients, bytes, connections, accepted;
} taken;

static char input[INPUT_BYTES];
/* What the bytes of one turn are answered with. */
static char *replies;
static size_t reply_bytes, reply_capacity;

static void reply(const char *text) {
    size_t length = strlen(text);
    if (reply_bytes + length > reply_capacity) {
        reply_capacity = 2 * (reply_bytes + length);
        replies = realloc(replies, reply_capacity);
        if (replies == NULL) errx(70, "out of memory");
    }
    memcpy(replies + reply_bytes, text, length);
    reply_bytes += length;
}

static void reply_counts(void) {
    char text[200];
    snprintf(text, sizeof text, "250 messages=%lu recipients=%lu bytes=%lu connections=%lu accepted=%lu\r\n",
             taken.messages, taken.recipients, taken.bytes, taken.connections, taken.accepted);
    reply(text);
}

/* command: without its CR LF. Whether the connection goes on. */
static int on_command(struct client *client, const char *command) {
    if (strncasecmp(command, "LHLO", 4) == 0) {
        reply("250-sink\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 ENHANCEDSTATUSCODES\r\n");
    } else if (strncasecmp(command, "MAIL", 4) == 0 || strncasecmp(command, "RSET", 4) == 0) {
        client->recipients = 0;
        reply("250 2.0.0 Ok\r\n");
    } else if (strncasecmp(command, "RCPT", 4) == 0) {
        client->recipients++;
        reply("250 2.1.5 Ok\r\n");
    } else if (strncasecmp(command, "DATA", 4) == 0) {
        if (client->recipients == 0) {
            reply("503 5.5.1 No recipients\r\n");
            return 1;
        }
        client->in_body = 1;
        // A message without a line ends with its first one.
        memcpy(client->tail, "\r\n", 2);
        client->tail_bytes = 2;
        reply("354 End data with <CR><LF>.<CR><LF>\r\n");
    } else if (strncasecmp(command, "NOOP", 4) == 0) {
        reply("250 2.0.0 Ok\r\n");
    } else if (strncasecmp(command, "STAT", 4) == 0) {
        reply_counts();
    } else if (strncasecmp(command, "QUIT", 4) == 0) {
        reply("221 2.0.0 Bye\r\n");
        return 0;
    } else reply("500 5.5.1 Unknown command\r\n");
    return 1;
}

/* How many of the bytes belong to the body, its end included; 0 when the end is not among them. */
static size_t find_end(struct client *client, const char *bytes, size_t length) {
    char seam[2 * END_BYTES];
    size_t head = length < END_BYTES ? length : END_BYTES;
    memcpy(seam, client->tail, client->tail_bytes);
    memcpy(seam + client->tail_bytes, bytes, head);
    char *at = memmem(seam, client->tail_bytes + head, END_OF_DATA, END_BYTES);
    if (at != NULL) return (size_t)(at - seam) + END_BYTES - client->tail_bytes;
    at = memmem(bytes, length, END_OF_DATA, END_BYTES);
    if (at != NULL) return (size_t)(at - bytes) + END_BYTES;

    size_t all = client->tail_bytes + head;
    size_t kept = all < END_BYTES - 1 ? all : END_BYTES - 1;
    if (length >= END_BYTES) memcpy(client->tail, bytes + length - kept, kept);
    else memcpy(client->tail, seam + all - kept, kept);
    client->tail_bytes = kept;
    return 0;
}

/* How many bytes were used. */
static size_t take_body(struct client *client, const char *bytes, size_t length) {
    size_t end = find_end(client, bytes, length);
    if (end == 0) {
        taken.bytes += length;
        return length;
    }
    taken.bytes += end;
    taken.messages++;
    taken.recipients += client->recipients;
    for (unsigned at = 0; at < client->recipients; at++) reply("250 2.1.5 Ok\r\n");
    client->recipients = 0;
    client->in_body = 0;
    return end;
}

/* How many bytes were used; 0 ends the connection. */
static size_t take_line(struct client *client, const char *bytes, size_t length) {
    const char *newline = memchr(bytes, '\n', length);
    size_t used = newline == NULL ? length : (size_t)(newline - bytes) + 1;
    if (client->line_bytes + used >= MAX_LINE_BYTES) return 0;
    memcpy(client->line + client->line_bytes, bytes, used);
    client->line_bytes += used;
    if (newline == NULL) return used;
    client->line[client->line_bytes] = '\0';
    client->line_bytes = 0;
    return on_command(client, client->line) ? used : 0;
}

/* Whether the connection goes on. */
static int take(struct client *client, const char *bytes, size_t length) {
    for (size_t at = 0; at < length;) {
        size_t used = client->in_body ? take_body(client, bytes + at, length - at)
                                      : take_line(client, bytes + at, length - at);
        if (used == 0) return 0;
        at += used;
    }
    return 1;
}

static void serve(int socket) {
    struct client *client = &clients[socket];
    ssize_t got = recv(socket, input, INPUT_BYTES, MSG_DONTWAIT);
    reply_bytes = 0;
    int goes_on = got > 0 && take(client, input, (size_t)got);
    // Who closed meanwhile needs no answer.
    if (reply_bytes > 0) (void)!send(socket, replies, reply_bytes, MSG_NOSIGNAL);
    if (goes_on) return;
    taken.connections--;
    close(socket);
}

static int listen_at(uint16_t port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), yes = 1;
    if (setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) < 0) err(1, "SO_REUSEADDR");
    if (bind(listener, (struct sockaddr *)&address, sizeof address) < 0) err(1, "bind");
    if (listen(listener, 4096) < 0) err(1, "listen");
    return listener;
}

static void watch(int poll, int socket) {
    struct epoll_event event = {.events = EPOLLIN, .data = {.fd = socket}};
    if (epoll_ctl(poll, EPOLL_CTL_ADD, socket, &event) < 0) err(1, "epoll_ctl");
}

static void welcome(int poll, int listener) {
    static const char greeting[] = "220 sink LMTP\r\n";
    int socket = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    if (socket < 0) return;
    if (socket >= MAX_SOCKETS) errx(1, "too many connections");
    memset(&clients[socket], 0, sizeof clients[socket]);
    taken.connections++;
    taken.accepted++;
    watch(poll, socket);
    (void)!send(socket, greeting, sizeof greeting - 1, MSG_NOSIGNAL);
}

int main(int argc, char **argv) {
    if (argc < 2) errx(64, "usage: lmtp-sink PORT...");
    int poll = epoll_create1(EPOLL_CLOEXEC);
    if (poll < 0) err(70, "epoll_create1");
    for (int at = 1; at < argc; at++) {
        int listener = listen_at((uint16_t)atoi(argv[at]));
        clients[listener].is_listener = 1;
        watch(poll, listener);
    }
    struct epoll_event events[256];
    for (;;) {
        int ready = epoll_wait(poll, events, 256, -1);
        if (ready < 0) err(1, "epoll_wait");
        for (int at = 0; at < ready; at++) {
            int socket = events[at].data.fd;
            if (clients[socket].is_listener) welcome(poll, socket);
            else serve(socket);
        }
    }
}
