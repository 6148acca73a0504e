/* A file of keys and values: "key TAB value" a line, or the key alone where there is none. */
#ifndef ENTRIES_H
#define ENTRIES_H

#include <stddef.h>

struct table_entry {
    char *key;
    char *value; /* NULL for a key that does not exist. */
};

struct entries {
    struct table_entry *all;
    size_t count;
};

/* Ends the program when it cannot be read. */
struct entries read_entries(const char *path);

#endif
