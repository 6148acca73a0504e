/*
 * Asks a table server as fast as it answers, and checks every answer.
 *
 *   load PROTOCOL ADDRESS MAP CONNECTIONS SECONDS ENTRIES
 *
 * PROTOCOL is socketmap, tcp-table, dict, redis or http; ADDRESS is unix:/path or a port of 127.0.0.1; ENTRIES is a file,
 * see entries.h. Each connection has one request in flight. Prints the number of lookups, the seconds they took, and
 * the median, the 99th percentile and the longest of their times in ms, as JSON. Exits 1 when an answer is wrong or does not come.
 *
 * It runs in one thread and sleeps while it waits, so that it takes no more of a processor than it needs.
 */
#define _GNU_SOURCE
#include "entries.h"
#include "protocols.h"
#include "times.h"

#include <arpa/inet.h>
#include <err.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* Longest reply taken. */
#define INPUT_BYTES 65536
#define MAX_CONNECTIONS 1000
/* A reply that takes longer does not come. */
#define PATIENCE_MS 10000

struct connection {
    int socket;
    const struct exchange *current;
    size_t next; /* number of the exchange after it */
    uint64_t sent_ns;
    size_t received;
    char input[INPUT_BYTES];
};

static struct exchange *exchanges;
static size_t exchange_count;

/* In an order that has no pattern, but is the same each time. */
static void prepare_exchanges(const struct protocol *protocol, const char *map, struct entries entries) {
    exchange_count = entries.count;
    exchanges = calloc(exchange_count, sizeof *exchanges);
    if (exchanges == NULL) errx(70, "out of memory");
    for (size_t at = 0; at < exchange_count; at++) {
        exchanges[at].request = protocol->request(map, entries.all[at].key);
        exchanges[at].reply = protocol->reply(entries.all[at].value);
    }
    srandom(1);
    for (size_t at = exchange_count - 1; at > 0; at--) {
        size_t other = (size_t)random() % (at + 1);
        struct exchange kept = exchanges[at];
        exchanges[at] = exchanges[other];
        exchanges[other] = kept;
    }
}

static int dial(const char *address) {
    struct sockaddr_un path = {.sun_family = AF_UNIX};
    struct sockaddr_in port = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int is_unix = strncmp(address, "unix:", 5) == 0;
    if (is_unix) strncpy(path.sun_path, address + 5, sizeof path.sun_path - 1);
    else port.sin_port = htons((uint16_t)atoi(address));
    int dialed = socket(is_unix ? AF_UNIX : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (dialed < 0) err(1, "socket");
    int failed = is_unix ? connect(dialed, (struct sockaddr *)&path, sizeof path)
                         : connect(dialed, (struct sockaddr *)&port, sizeof port);
    if (failed) err(1, "connect to %s", address);
    return dialed;
}

static void send_bytes(int socket, struct bytes bytes) {
    ssize_t sent = send(socket, bytes.start, bytes.length, MSG_NOSIGNAL);
    if (sent < 0) err(1, "send");
    if ((size_t)sent != bytes.length) errx(1, "a request was not taken at once");
}

static void ask(struct connection *connection, uint64_t now) {
    connection->current = &exchanges[connection->next];
    connection->next = (connection->next + 1) % exchange_count;
    connection->received = 0;
    connection->sent_ns = now;
    send_bytes(connection->socket, connection->current->request);
}

/* Reads what has come; whether that is the whole reply. */
static int hear(struct connection *connection) {
    const struct bytes *request = &connection->current->request, *reply = &connection->current->reply;
    char *input = connection->input;
    ssize_t got = recv(connection->socket, input + connection->received, INPUT_BYTES - connection->received, 0);
    if (got < 0) err(1, "receive");
    if (got == 0) errx(1, "the server closed the connection, asked for: %.*s", (int)request->length, request->start);
    connection->received += (size_t)got;
    if (connection->received > reply->length || memcmp(input, reply->start, connection->received) != 0)
        errx(1, "a wrong answer\nto: %.*s\nis: %.*s\nnot: %.*s", (int)request->length, request->start,
             (int)connection->received, input, (int)reply->length, reply->start);
    return connection->received == reply->length;
}

int main(int argc, char **argv) {
    if (argc != 7) errx(64, "usage: load PROTOCOL ADDRESS MAP CONNECTIONS SECONDS ENTRIES");
    const struct protocol *protocol = find_protocol(argv[1]);
    if (protocol == NULL) errx(64, "there is no protocol %s", argv[1]);
    const char *address = argv[2], *map = argv[3];
    int connection_count = atoi(argv[4]);
    if (connection_count < 1 || connection_count > MAX_CONNECTIONS) errx(64, "1 to %d connections", MAX_CONNECTIONS);
    double seconds = atof(argv[5]);
    prepare_exchanges(protocol, map, read_entries(argv[6]));

    struct connection *connections = calloc((size_t)connection_count, sizeof *connections);
    int poll = epoll_create1(EPOLL_CLOEXEC);
    if (connections == NULL || poll < 0) err(70, "no memory");
    for (int at = 0; at < connection_count; at++) {
        struct connection *connection = &connections[at];
        connection->socket = dial(address);
        connection->next = exchange_count * (size_t)at / (size_t)connection_count;
        struct epoll_event event = {.events = EPOLLIN, .data = {.ptr = connection}};
        if (epoll_ctl(poll, EPOLL_CTL_ADD, connection->socket, &event) < 0) err(70, "epoll_ctl");
        if (protocol->greeting != NULL) send_bytes(connection->socket, protocol->greeting(map));
    }

    uint64_t start_ns = now_ns(), now = start_ns, end_ns = start_ns + (uint64_t)(seconds * 1e9);
    for (int at = 0; at < connection_count; at++) ask(&connections[at], start_ns);
    int in_flight = connection_count;
    struct epoll_event events[MAX_CONNECTIONS];
    while (in_flight > 0) {
        int ready = epoll_wait(poll, events, MAX_CONNECTIONS, PATIENCE_MS);
        if (ready < 0) err(70, "epoll_wait");
        if (ready == 0) errx(1, "no answer within %d ms", PATIENCE_MS);
        for (int at = 0; at < ready; at++) {
            struct connection *connection = events[at].data.ptr;
            if (!hear(connection)) continue;
            now = now_ns();
            note_time(now - connection->sent_ns);
            if (now < end_ns) ask(connection, now);
            else in_flight--;
        }
    }

    sort_times();
    printf("{\"lookups\":%zu,\"seconds\":%.6f,\"p50Ms\":%.6f,\"p99Ms\":%.6f,\"maxMs\":%.6f}\n", count_times(),
           (double)(now - start_ns) / 1e9, percentile_ms(0.5), percentile_ms(0.99), percentile_ms(1));
    return 0;
}
