/* Purpose: text_tools as functions of SQL, loaded by sqlite3 with `.load ./sqlite_text`. */
#include <sqlite3ext.h>
#include <stdlib.h>

#include "text_tools.h"

SQLITE_EXTENSION_INIT1

static const char *text_of(sqlite3_value *value) { return (const char *)sqlite3_value_text(value); }

static void title(sqlite3_context *context, int count, sqlite3_value **values) {
    (void)count;
    sqlite3_result_text(context, text_title(text_of(values[0])), -1, free);
}

static void words(sqlite3_context *context, int count, sqlite3_value **values) {
    (void)count;
    sqlite3_result_int(context, text_words(text_of(values[0])));
}

static void is_palindrome(sqlite3_context *context, int count, sqlite3_value **values) {
    (void)count;
    sqlite3_result_int(context, text_is_palindrome(text_of(values[0])));
}

static void remember(sqlite3_context *context, int count, sqlite3_value **values) {
    (void)count;
    sqlite3_result_int(context, text_remember(text_of(values[0])));
}

/* SQLite calls it by this name, made from the file's. */
int sqlite3_sqlitetext_init(sqlite3 *db, char **error, const sqlite3_api_routines *api);

int sqlite3_sqlitetext_init(sqlite3 *db, char **error, const sqlite3_api_routines *api) {
    static const struct {
        const char *name;
        void (*call)(sqlite3_context *, int, sqlite3_value **);
    } functions[] = {
        {"title", title},
        {"words", words},
        {"is_palindrome", is_palindrome},
        {"remember", remember},
    };
    (void)error;
    SQLITE_EXTENSION_INIT2(api)
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++)
        sqlite3_create_function(db, functions[i].name, 1, SQLITE_UTF8, NULL, functions[i].call,
                                NULL, NULL);
    return SQLITE_OK;
}
