/*
 * The HTTP service that podop and our url tables ask: GET /…/KEY, the key percent-encoded.
 *
 *   http-service PORT ENTRIES
 *
 * Answers 200 with the value as a JSON string, or 404; keeps connections open. As small as can be, so that those are
 * measured that ask it. It trusts who asks: benchmarks alone.
 */
#define _GNU_SOURCE
#include "entries.h"
#include "protocols.h"

#include <arpa/inet.h>
#include <err.h>
#include <search.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define MAX_SOCKETS 4096
#define MAX_REQUEST_BYTES 2048

static struct {
    size_t received;
    char input[MAX_REQUEST_BYTES];
} clients[MAX_SOCKETS];

static void decode_percent(char *text) {
    char *to = text;
    for (char *from = text; *from != '\0'; to++) {
        unsigned int byte;
        if (*from == '%' && sscanf(from + 1, "%2x", &byte) == 1) {
            *to = (char)byte;
            from += 3;
        } else *to = *from++;
    }
    *to = '\0';
}

/* request: from the method to the empty line, which it may write over. */
static void answer(int client, char *request, const struct bytes *not_found) {
    char *path = strchr(request, ' ');
    char *end = path == NULL ? NULL : strchr(path + 1, ' ');
    if (end == NULL) errx(1, "no request: %s", request);
    *end = '\0';
    char *key = strrchr(path, '/') + 1;
    decode_percent(key);
    ENTRY *found = hsearch((ENTRY){.key = key}, FIND);
    const struct bytes *reply = found == NULL ? not_found : found->data;
    // Who closed meanwhile needs no answer.
    (void)!send(client, reply->start, reply->length, MSG_NOSIGNAL);
}

static void serve(int client, const struct bytes *not_found) {
    char *input = clients[client].input;
    size_t *received = &clients[client].received;
    ssize_t got = recv(client, input + *received, MAX_REQUEST_BYTES - 1 - *received, 0);
    if (got <= 0) {
        close(client);
        return;
    }
    *received += (size_t)got;
    input[*received] = '\0';
    // One request in flight: nobody sends the next one before the reply.
    if (*received < 4 || strcmp(input + *received - 4, "\r\n\r\n") != 0) return;
    *received = 0;
    answer(client, input, not_found);
}

static int listen_at(uint16_t port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), yes = 1;
    if (setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) < 0) err(1, "SO_REUSEADDR");
    if (bind(listener, (struct sockaddr *)&address, sizeof address) < 0) err(1, "bind");
    if (listen(listener, 1024) < 0) err(1, "listen");
    return listener;
}

int main(int argc, char **argv) {
    if (argc != 3) errx(64, "usage: http-service PORT ENTRIES");
    struct entries entries = read_entries(argv[2]);
    const struct protocol *http = find_protocol("http");
    if (!hcreate(4 * entries.count)) errx(70, "out of memory");
    for (size_t at = 0; at < entries.count; at++) {
        if (entries.all[at].value == NULL) continue;
        struct bytes *reply = malloc(sizeof *reply);
        if (reply == NULL) errx(70, "out of memory");
        *reply = http->reply(entries.all[at].value);
        hsearch((ENTRY){entries.all[at].key, reply}, ENTER);
    }
    struct bytes not_found = http->reply(NULL);

    int listener = listen_at((uint16_t)atoi(argv[1])), poll = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN, .data = {.fd = listener}}, events[64];
    if (epoll_ctl(poll, EPOLL_CTL_ADD, listener, &event) < 0) err(1, "epoll_ctl");
    for (;;) {
        int ready = epoll_wait(poll, events, 64, -1);
        if (ready < 0) err(1, "epoll_wait");
        for (int at = 0; at < ready; at++) {
            if (events[at].data.fd != listener) {
                serve(events[at].data.fd, &not_found);
                continue;
            }
            int client = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
            if (client < 0) continue;
            if (client >= MAX_SOCKETS) errx(1, "too many connections");
            clients[client].received = 0;
            event.data.fd = client;
            if (epoll_ctl(poll, EPOLL_CTL_ADD, client, &event) < 0) err(1, "epoll_ctl");
        }
    }
}
