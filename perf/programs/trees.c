/* Purpose: symbolic algebra: expressions as trees of small nodes, 16..64 bytes, most of them short
 *          lived.
 *
 *   trees DEPTH ROUNDS
 *
 * Each round makes a random expression of DEPTH levels, derives it twice and simplifies what comes
 * out, which copies subtrees, drops others, and frees the whole at the end. Numbers take 16 bytes,
 * variables 24, functions of one argument 32, of two 48, sums of three 64. */
#include "common.h"

static const char usage[] = "DEPTH ROUNDS";

enum kind { NUMBER, VARIABLE, SINE, COSINE, PLUS, TIMES, SUM };

struct node {
    uint32_t kind;
    int32_t value;       /* of a number; of a variable, which */
    struct node *part[]; /* as many as its kind has */
};

static uint64_t operations;

static struct node *make(enum kind kind) {
    static const unsigned char sizes[] = {16, 24, 32, 32, 48, 48, 64};
    struct node *node = get(sizes[kind]);
    node->kind = kind;
    operations += 2; /* it will be freed */
    return node;
}

static unsigned parts_of(const struct node *node) {
    static const unsigned char parts[] = {0, 0, 1, 1, 2, 2, 3};
    return parts[node->kind];
}

static void drop(struct node *node) {
    for (unsigned i = 0; i < parts_of(node); i++)
        drop(node->part[i]);
    free(node);
}

static struct node *number_node(int32_t value) {
    struct node *node = make(NUMBER);
    node->value = value;
    return node;
}

static struct node *variable_node(void) {
    struct node *node = make(VARIABLE);
    node->value = 'x';
    return node;
}

static struct node *with_two(enum kind kind, struct node *left, struct node *right) {
    struct node *node = make(kind);
    node->part[0] = left;
    node->part[1] = right;
    return node;
}

static struct node *with_one(enum kind kind, struct node *inner) {
    struct node *node = make(kind);
    node->part[0] = inner;
    return node;
}

static struct node *copy(const struct node *node) {
    struct node *result = make((enum kind)node->kind);
    result->value = node->value;
    for (unsigned i = 0; i < parts_of(node); i++)
        result->part[i] = copy(node->part[i]);
    return result;
}

static struct node *grow(struct random *random, size_t depth) {
    if (depth == 0)
        return random_below(random, 2) ? variable_node()
                                       : number_node((int32_t)random_below(random, 9));
    enum kind kind = (enum kind)(SINE + random_below(random, 5));
    struct node *node = make(kind);
    for (unsigned i = 0; i < parts_of(node); i++)
        node->part[i] = grow(random, depth - 1);
    return node;
}

static struct node *derive(const struct node *node) {
    const struct node *a = node->kind > VARIABLE ? node->part[0] : NULL;
    struct node *result;
    switch (node->kind) {
    case NUMBER:
        return number_node(0);
    case VARIABLE:
        return number_node(1);
    case SINE:
        return with_two(TIMES, with_one(COSINE, copy(a)), derive(a));
    case COSINE:
        result = with_two(TIMES, number_node(-1), with_one(SINE, copy(a)));
        return with_two(TIMES, result, derive(a));
    case PLUS:
        return with_two(PLUS, derive(a), derive(node->part[1]));
    case TIMES:
        return with_two(PLUS, with_two(TIMES, derive(a), copy(node->part[1])),
                        with_two(TIMES, copy(a), derive(node->part[1])));
    default:
        result = make(SUM);
        for (unsigned i = 0; i < 3; i++)
            result->part[i] = derive(node->part[i]);
        return result;
    }
}

static int is_number(const struct node *node, int32_t value) {
    return node->kind == NUMBER && node->value == value;
}

/* Frees `node` and all of its parts but one, which it returns. */
static struct node *keep_only(struct node *node, unsigned kept) {
    struct node *result = node->part[kept];
    for (unsigned i = 0; i < parts_of(node); i++)
        if (i != kept)
            drop(node->part[i]);
    free(node);
    return result;
}

static struct node *simplify(struct node *node) {
    for (unsigned i = 0; i < parts_of(node); i++)
        node->part[i] = simplify(node->part[i]);
    if (node->kind != PLUS && node->kind != TIMES)
        return node;
    for (unsigned i = 0; i < 2; i++) {
        if (is_number(node->part[i], node->kind == TIMES))
            return keep_only(node, 1 - i);
        if (node->kind == TIMES && is_number(node->part[i], 0))
            return keep_only(node, i);
    }
    if (node->part[0]->kind == NUMBER && node->part[1]->kind == NUMBER) {
        uint32_t a = (uint32_t)node->part[0]->value, b = (uint32_t)node->part[1]->value;
        struct node *result = number_node((int32_t)(node->kind == PLUS ? a + b : a * b));
        drop(node);
        return result;
    }
    return node;
}

static uint64_t sum_of(const struct node *node) {
    uint64_t sum = node->kind * 31u + (node->kind == NUMBER ? (uint32_t)node->value : 0);
    for (unsigned i = 0; i < parts_of(node); i++)
        sum = sum * 33 + sum_of(node->part[i]);
    return sum;
}

int main(int count, char **arguments) {
    size_t depth = number(count, arguments, 1, usage), rounds = number(count, arguments, 2, usage);
    struct random random = {4};
    uint64_t checksum = 0;
    for (size_t round = 0; round < rounds; round++) {
        struct node *function = grow(&random, depth);
        struct node *first = simplify(derive(function));
        struct node *second = simplify(derive(first));
        checksum += sum_of(second);
        drop(function);
        drop(second);
        drop(first);
    }
    return finish(operations, checksum);
}
