/*
 * Sends mail by LMTP as fast as it is taken, for a time.
 *
 *   lmtp-load [-p] [-d] -s SESSIONS -t SECONDS -l BYTES -r RECIPIENTS -u USERS PORT
 *
 * Each session sends one message after the other to 127.0.0.1, over a connection each, or with -d over one for all.
 * Without -p it waits for each reply, as smtp-source does. With -p it does what the lmtp client of Postfix does: MAIL, all
 * RCPT and DATA in one write; QUIT together with the final dot, or, over a kept connection, RSET before the next message.
 * Recipients are user0@bench.example and on, as many as USERS, in no order; those of one message are all different.
 *
 * Prints messages, recipients, seconds, and how long messages took, connecting included, as JSON. Exits 1 at a reply that
 * is not good, or when none comes: then not everything arrived. One thread, which sleeps while it waits.
 */
#define _GNU_SOURCE
#include "times.h"

#include <arpa/inet.h>
#include <err.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define MAX_SESSIONS 4000
/* A reply that takes longer does not come. */
#define PATIENCE_MS 60000
#define LINE_BYTES 78

enum stage { GREETING, LHLO, RSET, ENVELOPE, MAIL, RCPT, DATA, BODY, QUIT };

struct session {
    enum stage stage;
    int socket; /* -1 when done */
    unsigned awaited; /* replies that are still to come in this stage */
    unsigned recipients; /* RCPT sent so far */
    unsigned first_user; /* of this message */
    size_t sent; /* bytes of the message */
    uint64_t start_ns;
    /* The reply line that comes: its first four bytes, and where we are in it. */
    unsigned column;
    char code[4];
};

static struct {
    int is_pipelined, keeps_connection;
    unsigned sessions, recipients, users;
    size_t body_bytes;
    double seconds;
    uint16_t port;
} wanted;

static char *message;
static size_t message_bytes;
static struct session sessions[MAX_SESSIONS];
static int poll_fd;
static uint64_t end_ns;
static unsigned running;

/* Lines of 78 bytes; the final dot stands at its end, followed by QUIT where that goes with it. */
static void prepare_message(void) {
    static const char header[] = "From: <sender@bench.example>\r\nTo: <user@bench.example>\r\nSubject: bench\r\n\r\n";
    message = malloc(sizeof header + wanted.body_bytes + LINE_BYTES + 20);
    if (message == NULL) errx(70, "out of memory");
    memcpy(message, header, sizeof header - 1);
    message_bytes = sizeof header - 1;
    for (size_t end = message_bytes + wanted.body_bytes; message_bytes < end;) {
        size_t left = end - message_bytes, length = left < LINE_BYTES + 2 ? left : LINE_BYTES;
        memset(message + message_bytes, 'X', length);
        message_bytes += length;
        if (left <= LINE_BYTES + 2) break;
        memcpy(message + message_bytes, "\r\n", 2);
        message_bytes += 2;
    }
    const char *end = wanted.is_pipelined && !wanted.keeps_connection ? "\r\n.\r\nQUIT\r\n" : "\r\n.\r\n";
    memcpy(message + message_bytes, end, strlen(end));
    message_bytes += strlen(end);
}

static void send_text(struct session *session, const char *text, size_t length) {
    ssize_t sent = send(session->socket, text, length, MSG_NOSIGNAL);
    if (sent < 0) err(1, "send");
    if ((size_t)sent != length) errx(1, "commands were not taken at once");
}

static void say(struct session *session, enum stage stage, unsigned awaited, const char *text) {
    session->stage = stage;
    session->awaited = awaited;
    send_text(session, text, strlen(text));
}

static unsigned user_of(const struct session *session, unsigned recipient) {
    return (session->first_user + recipient) % wanted.users;
}

#define MAIL_COMMAND "MAIL FROM:<sender@bench.example>\r\n"
#define RCPT_COMMAND "RCPT TO:<user%u@bench.example>\r\n"

static void say_envelope(struct session *session) {
    static char *text;
    if (text == NULL) text = malloc(sizeof MAIL_COMMAND + 100 + wanted.recipients * (sizeof RCPT_COMMAND + 12));
    if (text == NULL) errx(70, "out of memory");
    char *end = stpcpy(text, MAIL_COMMAND);
    for (unsigned at = 0; at < wanted.recipients; at++) end += sprintf(end, RCPT_COMMAND, user_of(session, at));
    stpcpy(end, "DATA\r\n");
    say(session, ENVELOPE, wanted.recipients + 2, text);
}

static void say_recipient(struct session *session) {
    char text[100];
    snprintf(text, sizeof text, RCPT_COMMAND, user_of(session, session->recipients++));
    say(session, RCPT, 1, text);
}

static void watch(struct session *session, int operation, uint32_t interest) {
    struct epoll_event event = {.events = interest, .data = {.ptr = session}};
    if (epoll_ctl(poll_fd, operation, session->socket, &event) < 0) err(70, "epoll_ctl");
}

static void dial(struct session *session) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(wanted.port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int yes = 1;
    session->socket = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (session->socket < 0) err(1, "socket");
    if (connect(session->socket, (struct sockaddr *)&address, sizeof address) < 0) err(1, "connect");
    setsockopt(session->socket, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    session->stage = GREETING;
    session->awaited = 1;
    session->column = 0;
    watch(session, EPOLL_CTL_ADD, EPOLLIN);
}

static void say_mail(struct session *session) {
    session->recipients = 0;
    session->first_user = (unsigned)random() % wanted.users;
    if (wanted.is_pipelined) say_envelope(session);
    else say(session, MAIL, 1, MAIL_COMMAND);
}

static void begin_message(struct session *session, uint64_t now) {
    session->start_ns = now;
    if (session->socket < 0) dial(session);
    else if (wanted.is_pipelined) say(session, RSET, 1, "RSET\r\n");
    else say_mail(session);
}

static void send_body(struct session *session) {
    if (session->stage != BODY) session->sent = 0;
    int was_blocked = session->stage == BODY;
    session->stage = BODY;
    session->awaited = wanted.recipients;
    ssize_t sent = send(session->socket, message + session->sent, message_bytes - session->sent, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent > 0) session->sent += (size_t)sent;
    int is_blocked = session->sent < message_bytes;
    if (is_blocked != was_blocked) watch(session, EPOLL_CTL_MOD, is_blocked ? EPOLLIN | EPOLLOUT : EPOLLIN);
}

static void hang_up(struct session *session) {
    close(session->socket);
    session->socket = -1;
}

/* All recipients of a message have heard that it was taken. */
static void end_message(struct session *session) {
    uint64_t now = now_ns();
    note_time(now - session->start_ns);
    if (now >= end_ns) {
        hang_up(session);
        running--;
    } else if (wanted.keeps_connection) {
        begin_message(session, now);
    } else if (wanted.is_pipelined) {
        // QUIT is sent, and as Postfix does we do not wait for its reply (smtp_skip_quit_response).
        hang_up(session);
        begin_message(session, now);
    } else {
        say(session, QUIT, 1, "QUIT\r\n");
    }
}

/* All replies of a stage have come. */
static void go_on(struct session *session) {
    switch (session->stage) {
    case GREETING: say(session, LHLO, 1, "LHLO bench.example\r\n"); break;
    case LHLO:
    case RSET: say_mail(session); break;
    case MAIL: say_recipient(session); break;
    case RCPT:
        if (session->recipients < wanted.recipients) say_recipient(session);
        else say(session, DATA, 1, "DATA\r\n");
        break;
    case ENVELOPE:
    case DATA: send_body(session); break;
    case BODY: end_message(session); break;
    case QUIT:
        hang_up(session);
        begin_message(session, now_ns());
        break;
    }
}

/* Whether the line ends a reply. */
static int is_last_line(const struct session *session) {
    char wants = session->awaited == 1 && (session->stage == ENVELOPE || session->stage == DATA) ? '3' : '2';
    if (session->column < 3 || session->code[0] != wants)
        errx(1, "reply %.4s in stage %d, with %u to come", session->code, session->stage, session->awaited);
    return session->column == 3 || session->code[3] != '-';
}

static void hear(struct session *session) {
    char input[16384];
    ssize_t got = recv(session->socket, input, sizeof input, MSG_DONTWAIT);
    if (got < 0) err(1, "receive in stage %d", session->stage);
    if (got == 0) errx(1, "the server closed the connection in stage %d", session->stage);
    for (ssize_t at = 0; at < got && session->socket >= 0; at++) {
        if (input[at] == '\r') continue;
        if (input[at] != '\n') {
            if (session->column < 4) session->code[session->column] = input[at];
            session->column++;
            continue;
        }
        int is_last = is_last_line(session);
        session->column = 0;
        if (is_last && --session->awaited == 0) {
            go_on(session);
            // What is left of the input came from the connection before.
            if (session->stage == GREETING) return;
        }
    }
}

static void read_options(int argc, char **argv) {
    for (int option; (option = getopt(argc, argv, "pds:t:l:r:u:")) != -1;) switch (option) {
        case 'p': wanted.is_pipelined = 1; break;
        case 'd': wanted.keeps_connection = 1; break;
        case 's': wanted.sessions = (unsigned)atoi(optarg); break;
        case 't': wanted.seconds = atof(optarg); break;
        case 'l': wanted.body_bytes = (size_t)atol(optarg); break;
        case 'r': wanted.recipients = (unsigned)atoi(optarg); break;
        case 'u': wanted.users = (unsigned)atoi(optarg); break;
        default: exit(64);
    }
    if (optind != argc - 1) errx(64, "usage: lmtp-load [-p] [-d] -s SESSIONS -t SECONDS -l BYTES -r RECIPIENTS -u USERS PORT");
    wanted.port = (uint16_t)atoi(argv[optind]);
    if (wanted.sessions < 1 || wanted.sessions > MAX_SESSIONS) errx(64, "1 to %d sessions", MAX_SESSIONS);
    if (wanted.recipients < 1 || wanted.users < wanted.recipients) errx(64, "1 recipient or more, and as many users");
}

int main(int argc, char **argv) {
    read_options(argc, argv);
    prepare_message();
    srandom(1);
    poll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (poll_fd < 0) err(70, "epoll_create1");
    uint64_t start_ns = now_ns();
    end_ns = start_ns + (uint64_t)(wanted.seconds * 1e9);
    running = wanted.sessions;
    for (unsigned at = 0; at < wanted.sessions; at++) {
        sessions[at].socket = -1;
        begin_message(&sessions[at], now_ns());
    }
    struct epoll_event events[256];
    while (running > 0) {
        int ready = epoll_wait(poll_fd, events, 256, PATIENCE_MS);
        if (ready < 0) err(70, "epoll_wait");
        if (ready == 0) errx(1, "no reply within %d ms", PATIENCE_MS);
        for (int at = 0; at < ready; at++) {
            struct session *session = events[at].data.ptr;
            if (session->socket < 0) continue;
            if (events[at].events & EPOLLOUT) send_body(session);
            if (events[at].events & ~(uint32_t)EPOLLOUT) hear(session);
        }
    }
    double seconds = (double)(now_ns() - start_ns) / 1e9;
    sort_times();
    printf("{\"messages\":%zu,\"recipients\":%zu,\"seconds\":%.6f,\"p50Ms\":%.6f,\"p99Ms\":%.6f,\"maxMs\":%.6f}\n",
           count_times(), count_times() * wanted.recipients, seconds, percentile_ms(0.5), percentile_ms(0.99), percentile_ms(1));
    return 0;
}
