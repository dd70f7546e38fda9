/* Purpose: see text_tools.h. The faults are in the lines that say FAULT. */
#include "text_tools.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

char *text_title(const char *text) {
    size_t length = strlen(text);
    char *title = malloc(length); /* FAULT: no room for the zero at the end */
    for (size_t i = 0; i < length; i++)
        title[i] = (char)(i == 0 || text[i - 1] == ' ' ? toupper(text[i]) : text[i]);
    title[length] = 0;
    return title;
}

static int is_among(char *const *words, int count, const char *word) {
    for (int i = 0; i < count; i++)
        if (strcmp(words[i], word) == 0)
            return 1;
    return 0;
}

int text_words(const char *text) {
    enum { WORDS_MAX = 100 };
    char *words[WORDS_MAX], *rest;
    int count = 0;
    char *copy = strdup(text);
    for (char *word = strtok_r(copy, " ", &rest); word != NULL && count < WORDS_MAX;
         word = strtok_r(NULL, " ", &rest))
        if (!is_among(words, count, word))
            words[count++] = strcpy(malloc(strlen(word) + 1), word);
    free(copy);
    return count; /* FAULT: the words are lost */
}

int text_is_palindrome(const char *text) {
    size_t length = strlen(text);
    char *letters = malloc(length + 1);
    int is_same = 1;
    for (size_t i = 0; i < length; i++)
        letters[length - 1 - i] = text[i];
    letters[length] = 0;
    if (strcmp(letters, text) != 0) {
        free(letters);
        is_same = 0;
    }
    free(letters); /* FAULT: once more, if it is none */
    return is_same;
}

struct memory {
    int asked;
    char text[60];
};
static struct memory *memory;

int text_remember(const char *text) {
    struct memory *before = memory;
    memory = calloc(1, sizeof *memory);
    strncpy(memory->text, text, sizeof memory->text - 1);
    if (before == NULL)
        return 0;
    free(before);
    return before->asked++; /* FAULT: it is gone */
}

const char *text_recall(void) {
    memory->asked++;
    return memory->text;
}
