#define _GNU_SOURCE
#include "entries.h"

#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct entries read_entries(const char *path) {
    FILE *file = fopen(path, "r");
    if (file == NULL) err(66, "%s", path);
    struct entries entries = {NULL, 0};
    char *line = NULL;
    size_t capacity = 0;
    ssize_t length;
    while ((length = getline(&line, &capacity, file)) > 0) {
        if (line[length - 1] == '\n') line[length - 1] = '\0';
        char *tab = strchr(line, '\t');
        if (tab != NULL) *tab = '\0';
        entries.all = realloc(entries.all, (entries.count + 1) * sizeof *entries.all);
        if (entries.all == NULL) errx(70, "out of memory");
        entries.all[entries.count++] = (struct table_entry){strdup(line), tab == NULL ? NULL : strdup(tab + 1)};
    }
    free(line);
    fclose(file);
    if (entries.count == 0) errx(65, "%s: no keys", path);
    return entries;
}
