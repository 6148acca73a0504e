/* What a client says and must hear, protocol by protocol: bytes only, no sockets. */
#ifndef PROTOCOLS_H
#define PROTOCOLS_H

#include <stddef.h>

struct bytes {
    char *start;
    size_t length;
};

/* A request and the reply that must come, byte by byte. */
struct exchange {
    struct bytes request;
    struct bytes reply;
};

struct protocol {
    const char *name;
    /* What is sent once when a connection is new, without a reply; NULL for nothing. */
    struct bytes (*greeting)(const char *map);
    struct bytes (*request)(const char *map, const char *key);
    /* value: NULL for a key that does not exist. */
    struct bytes (*reply)(const char *value);
};

/* NULL if there is none of this name. */
const struct protocol *find_protocol(const char *name);

#endif
