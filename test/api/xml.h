/* Purpose: is a text well-formed XML, as far as a report without namespaces, entities and comments
 *          needs it? And: the value of an attribute. Header only. */
#ifndef TEST_API_XML_H
#define TEST_API_XML_H

#include <ctype.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { XML_DEPTH_MAX = 16, XML_NAME_MAX = 32 };

struct xml_parser {
    const char *at;
    unsigned depth, elements, roots;
    char open[XML_DEPTH_MAX][XML_NAME_MAX];
};

static inline void xml_skip_space(struct xml_parser *x) {
    while (isspace((unsigned char)*x->at))
        x->at++;
}

static inline bool xml_name(struct xml_parser *x, char *name) {
    size_t length = 0;
    while (isalnum((unsigned char)*x->at) || *x->at == '_' || *x->at == '-') {
        if (length + 1 == XML_NAME_MAX)
            return false;
        name[length++] = *x->at++;
    }
    name[length] = 0;
    return length > 0 && !isdigit((unsigned char)name[0]);
}

/* name="value", the value without < and & and ". */
static inline bool xml_attribute(struct xml_parser *x) {
    char name[XML_NAME_MAX];
    if (!xml_name(x, name) || x->at[0] != '=' || x->at[1] != '"')
        return false;
    x->at += 2;
    x->at += strcspn(x->at, "\"<&");
    return *x->at++ == '"';
}

static inline bool xml_open_tag(struct xml_parser *x) {
    if (x->depth == XML_DEPTH_MAX || !xml_name(x, x->open[x->depth]))
        return false;
    x->elements++;
    if (x->depth == 0)
        x->roots++;
    for (;;) {
        const char *before = x->at;
        xml_skip_space(x);
        if (x->at[0] == '/' && x->at[1] == '>') {
            x->at += 2;
            return true;
        }
        if (*x->at == '>') {
            x->at++;
            x->depth++;
            return true;
        }
        if (x->at == before || !xml_attribute(x))
            return false;
    }
}

static inline bool xml_close_tag(struct xml_parser *x) {
    char name[XML_NAME_MAX];
    if (!xml_name(x, name) || *x->at++ != '>' || x->depth == 0)
        return false;
    x->depth--;
    return strcmp(name, x->open[x->depth]) == 0;
}

/* One root, every element closed, nothing but space outside. `*elements`: how many. */
static inline bool xml_is_well_formed(const char *text, unsigned *elements) {
    struct xml_parser x = {.at = text};
    bool ok = true;
    for (xml_skip_space(&x); ok && *x.at != 0; xml_skip_space(&x)) {
        ok = *x.at == '<';
        x.at++;
        if (ok && *x.at == '/') {
            x.at++;
            ok = xml_close_tag(&x);
        } else if (ok) {
            ok = xml_open_tag(&x);
        }
    }
    *elements = x.elements;
    return ok && x.depth == 0 && x.roots == 1;
}

/* The number of `attribute` in the first tag that begins with `tag` (such as `<class size="112"`);
 * -1 if there is none. */
static inline long long xml_number(const char *text, const char *tag, const char *attribute) {
    const char *at = strstr(text, tag);
    const char *end = at != NULL ? strchr(at, '>') : NULL;
    size_t length = strlen(attribute);
    for (; at != NULL && at < end; at++)
        if (strncmp(at, attribute, length) == 0 && strncmp(at + length, "=\"", 2) == 0)
            return strtoll(at + length + 2, NULL, 10);
    return -1;
}

#endif
