#define _GNU_SOURCE
#include "protocols.h"

#include <err.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct bytes text(const char *format, ...) {
    va_list arguments;
    char *start;
    va_start(arguments, format);
    int length = vasprintf(&start, format, arguments);
    va_end(arguments);
    if (length < 0) errx(70, "out of memory");
    return (struct bytes){start, (size_t)length};
}

/* Postfix's socketmap, see socketmap_table(5): netstrings. */

static struct bytes socketmap_request(const char *map, const char *key) {
    return text("%zu:%s %s,", strlen(map) + 1 + strlen(key), map, key);
}

static struct bytes socketmap_reply(const char *value) {
    return value == NULL ? text("9:NOTFOUND ,") : text("%zu:OK %s,", strlen("OK ") + strlen(value), value);
}

/* Postfix's tcp_table(5): keys and values must need no escapes, and no map is named. */

static struct bytes tcp_table_request(const char *map, const char *key) {
    (void)map;
    return text("get %s\n", key);
}

static struct bytes tcp_table_reply(const char *value) {
    return value == NULL ? text("500 not%%20found\n") : text("200 %s\n", value);
}

/* Dovecot's dict, major 3 and minor 0, so that Dovecot's own server answers in order and adds no times. */

static struct bytes dict_greeting(const char *map) {
    return text("H3\t0\t0\t\t%s\n", map);
}

static struct bytes dict_request(const char *map, const char *key) {
    (void)map;
    return text("Lshared/%s\t\n", key);
}

static struct bytes dict_reply(const char *value) {
    return value == NULL ? text("N\n") : text("O%s\n", value);
}

/* Redis: GET in RESP2. */

static struct bytes redis_request(const char *map, const char *key) {
    (void)map;
    return text("*2\r\n$3\r\nGET\r\n$%zu\r\n%s\r\n", strlen(key), key);
}

static struct bytes redis_reply(const char *value) {
    return value == NULL ? text("$-1\r\n") : text("$%zu\r\n%s\r\n", strlen(value), value);
}

/* Our own HTTP service (http-service.c), whose replies are always the same. */

static struct bytes http_request(const char *map, const char *key) {
    return text("GET /%s/%s HTTP/1.1\r\nHost: localhost\r\n\r\n", map, key);
}

static struct bytes http_reply(const char *value) {
    if (value == NULL) return text("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
    return text("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n\"%s\"",
                strlen(value) + 2, value);
}

static const struct protocol PROTOCOLS[] = {
    {"socketmap", NULL, socketmap_request, socketmap_reply},
    {"tcp-table", NULL, tcp_table_request, tcp_table_reply},
    {"dict", dict_greeting, dict_request, dict_reply},
    {"redis", NULL, redis_request, redis_reply},
    {"http", NULL, http_request, http_reply},
};

const struct protocol *find_protocol(const char *name) {
    for (size_t at = 0; at < sizeof PROTOCOLS / sizeof *PROTOCOLS; at++)
        if (strcmp(PROTOCOLS[at].name, name) == 0) return &PROTOCOLS[at];
    return NULL;
}
