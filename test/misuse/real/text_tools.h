/* Purpose: a small library of text functions with a fault in each, as somebody might write them:
 *          what docs/finding-bugs.md looks for, in programs that load it. */
#ifndef TEST_MISUSE_TEXT_TOOLS_H
#define TEST_MISUSE_TEXT_TOOLS_H

/* The text with a capital at the start of each word; the caller frees it. */
char *text_title(const char *text);

/* The number of distinct words. */
int text_words(const char *text);

/* 1 if the text reads the same backwards, 0 if not. */
int text_is_palindrome(const char *text);

/* Remembers a text, in place of the last one; how often that had been asked for. */
int text_remember(const char *text);
const char *text_recall(void);

#endif
