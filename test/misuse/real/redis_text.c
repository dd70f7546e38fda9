/* Purpose: text_tools as commands of Redis, loaded by redis-server with --loadmodule. What is
 *          needed of the modules' interface is declared here, from its documentation: a module asks
 *          for each function by name, and the function that it asks is the first in the context. */
#include <stddef.h>
#include <stdlib.h>

#include "text_tools.h"

enum { OK = 0, API_VERSION = 1 };

struct context {
    int (*get_api)(const char *name, void *function);
};
struct string; /* Redis's own */

typedef int command(struct context *context, struct string **arguments, int count);

static struct {
    int (*create_command)(struct context *, const char *name, command *run, const char *flags,
                          int first_key, int last_key, int key_step);
    void (*set_attributes)(struct context *, const char *name, int version, int api_version);
    int (*reply_number)(struct context *, long long number);
    int (*reply_text)(struct context *, const char *text);
    const char *(*text_of)(const struct string *, size_t *length);
    int (*wrong_arity)(struct context *);
} redis;

static int title(struct context *context, struct string **arguments, int count) {
    if (count != 2)
        return redis.wrong_arity(context);
    char *text = text_title(redis.text_of(arguments[1], NULL));
    redis.reply_text(context, text);
    free(text);
    return OK;
}

static int words(struct context *context, struct string **arguments, int count) {
    if (count != 2)
        return redis.wrong_arity(context);
    return redis.reply_number(context, text_words(redis.text_of(arguments[1], NULL)));
}

static int is_palindrome(struct context *context, struct string **arguments, int count) {
    if (count != 2)
        return redis.wrong_arity(context);
    return redis.reply_number(context, text_is_palindrome(redis.text_of(arguments[1], NULL)));
}

static int remember(struct context *context, struct string **arguments, int count) {
    if (count != 2)
        return redis.wrong_arity(context);
    return redis.reply_number(context, text_remember(redis.text_of(arguments[1], NULL)));
}

/* Redis calls it by this name. */
int RedisModule_OnLoad(struct context *context, struct string **arguments, int count);

int RedisModule_OnLoad(struct context *context, struct string **arguments, int count) {
    static const struct {
        const char *name;
        void *function;
    } needed[] = {
        {"RedisModule_CreateCommand", &redis.create_command},
        {"RedisModule_SetModuleAttribs", &redis.set_attributes},
        {"RedisModule_ReplyWithLongLong", &redis.reply_number},
        {"RedisModule_ReplyWithSimpleString", &redis.reply_text},
        {"RedisModule_StringPtrLen", &redis.text_of},
        {"RedisModule_WrongArity", &redis.wrong_arity},
    };
    (void)arguments, (void)count;
    for (size_t i = 0; i < sizeof needed / sizeof *needed; i++)
        if (context->get_api(needed[i].name, needed[i].function) != OK)
            return 1;
    redis.set_attributes(context, "text", 1, API_VERSION);
    return redis.create_command(context, "text.title", title, "readonly", 0, 0, 0) |
           redis.create_command(context, "text.words", words, "readonly", 0, 0, 0) |
           redis.create_command(context, "text.palindrome", is_palindrome, "readonly", 0, 0, 0) |
           redis.create_command(context, "text.remember", remember, "readonly", 0, 0, 0);
}
