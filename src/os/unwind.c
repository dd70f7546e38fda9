/* Purpose: unwind.h.
 * Source:  DWARF 5, 6.4 "Call Frame Information", 2.5 "DWARF Expressions"; System V ABI, AMD64
 *          Architecture Processor Supplement, 3.7. */
#include "os/unwind.h"

#include <stddef.h>
#include <string.h>

#include "base/attr.h"
#include "os/unwind_known.h"
#include "os/unwind_table.h"

enum { REGISTER_FRAME = 6, REGISTER_STACK = 7, REGISTER_RETURN = UNWIND_RETURN_REGISTER };

#define RED_ZONE_BYTES 128 /* below the stack pointer that nobody else writes to */

struct os_frame os_frame_at(uintptr_t code, uintptr_t stack, uintptr_t frame) {
    struct os_frame at = {.code = code, .known = 1 << REGISTER_FRAME | 1 << REGISTER_STACK};
    at.registers[REGISTER_STACK] = stack;
    at.registers[REGISTER_FRAME] = frame;
    return at;
}

uintptr_t os_frame_stack(const struct os_frame *frame) { return frame->registers[REGISTER_STACK]; }

uintptr_t os_frame_pointer(const struct os_frame *frame) {
    return frame->known >> REGISTER_FRAME & 1 ? frame->registers[REGISTER_FRAME] : 0;
}

#if defined(__x86_64__)

/* --- rules ------------------------------------------------------------------------------------ */

enum rule_kind { SAME, AT_OFFSET, IS_OFFSET, AT_EXPRESSION, IS_EXPRESSION, IS_REGISTER, LOST };

struct rule {
    union {
        int64_t offset; /* from the frame's address; or a register's number */
        const uint8_t *expression;
    };
    uint32_t expression_bytes;
    uint8_t kind; /* enum rule_kind */
};

static struct rule rule_of_offset(enum rule_kind kind, int64_t offset) {
    return (struct rule){.kind = (uint8_t)kind, .offset = offset};
}

static struct rule rule_of_expression(enum rule_kind kind, struct bytes from) {
    return (struct rule){.kind = (uint8_t)kind,
                         .expression = from.at,
                         .expression_bytes = (uint32_t)(from.end - from.at)};
}

static struct bytes expression_of(const struct rule *rule) {
    return (struct bytes){rule->expression, rule->expression + rule->expression_bytes, false};
}

/* Not more than that they are: a damaged table's may be too large. */
static int64_t times(int64_t number, int64_t factor) {
    return (int64_t)((uint64_t)number * (uint64_t)factor);
}

/* How the caller's registers are found. The frame's address (CFA) is a register and an offset, or
 * an expression. */
struct row {
    uint64_t base;
    struct rule cfa; /* IS_OFFSET from the base, or IS_EXPRESSION */
    struct rule rules[UNWIND_REGISTERS];
};

enum { REMEMBERED_MAX = 4 };

struct machine {
    const struct unwind_entry *entry;
    uintptr_t code, wanted;
    struct row row, first, remembered[REMEMBERED_MAX];
    unsigned depth;
};

static void set_rule(struct machine *machine, uint64_t number, struct rule rule) {
    if (number < UNWIND_REGISTERS) /* others are of no use here */
        machine->row.rules[number] = rule;
}

static void set_rule_at(struct machine *machine, uint64_t number, int64_t offset,
                        enum rule_kind kind) {
    set_rule(machine, number, rule_of_offset(kind, times(offset, machine->entry->data_factor)));
}

static void set_base(struct row *row, uint64_t base, int64_t offset) {
    row->base = base;
    row->cfa = rule_of_offset(IS_OFFSET, offset);
}

static void restore(struct machine *machine, uint64_t number) {
    if (number < UNWIND_REGISTERS)
        machine->row.rules[number] = machine->first.rules[number];
}

enum {
    ADVANCE = 1,
    OFFSET,
    RESTORE,
    NOTHING = 0,
    SET_LOCATION,
    ADVANCE_1,
    ADVANCE_2,
    ADVANCE_4,
    OFFSET_EXTENDED,
    RESTORE_EXTENDED,
    UNDEFINED,
    SAME_VALUE,
    IN_REGISTER,
    REMEMBER,
    RECALL,
    DEFINE_CFA,
    DEFINE_CFA_REGISTER,
    DEFINE_CFA_OFFSET,
    DEFINE_CFA_EXPRESSION,
    EXPRESSION,
    OFFSET_EXTENDED_SIGNED,
    DEFINE_CFA_SIGNED,
    DEFINE_CFA_OFFSET_SIGNED,
    VALUE_OFFSET,
    VALUE_OFFSET_SIGNED,
    VALUE_EXPRESSION,
    GNU_ARGUMENTS = 0x2e
};

static const struct rule same_rule = {.kind = SAME};
static const struct rule lost_rule = {.kind = LOST};

/* What says how a register is found. False: it is another instruction. */
static bool run_rule(struct machine *machine, struct bytes *from, unsigned operation) {
    if (operation < OFFSET_EXTENDED || operation > VALUE_EXPRESSION)
        return false;
    if ((operation >= REMEMBER && operation <= DEFINE_CFA_EXPRESSION) ||
        operation == DEFINE_CFA_SIGNED || operation == DEFINE_CFA_OFFSET_SIGNED)
        return false;
    uint64_t number = bytes_take_unsigned(from);
    if (operation == OFFSET_EXTENDED)
        set_rule_at(machine, number, (int64_t)bytes_take_unsigned(from), AT_OFFSET);
    else if (operation == OFFSET_EXTENDED_SIGNED)
        set_rule_at(machine, number, bytes_take_signed(from), AT_OFFSET);
    else if (operation == VALUE_OFFSET)
        set_rule_at(machine, number, (int64_t)bytes_take_unsigned(from), IS_OFFSET);
    else if (operation == VALUE_OFFSET_SIGNED)
        set_rule_at(machine, number, bytes_take_signed(from), IS_OFFSET);
    else if (operation == IN_REGISTER)
        set_rule(machine, number,
                 rule_of_offset(IS_REGISTER, (int64_t)bytes_take_unsigned(from)));
    else if (operation == EXPRESSION)
        set_rule(machine, number, rule_of_expression(AT_EXPRESSION, bytes_take_block(from)));
    else if (operation == VALUE_EXPRESSION)
        set_rule(machine, number, rule_of_expression(IS_EXPRESSION, bytes_take_block(from)));
    else if (operation == RESTORE_EXTENDED)
        restore(machine, number);
    else
        set_rule(machine, number, operation == UNDEFINED ? lost_rule : same_rule);
    return true;
}

static void run_other(struct machine *machine, struct bytes *from, unsigned operation) {
    struct row *row = &machine->row;
    int64_t factor = machine->entry->data_factor;
    uint64_t number;
    switch (operation) {
    case NOTHING:
        break;
    case ADVANCE_1:
    case ADVANCE_2:
    case ADVANCE_4:
        number = bytes_take(from, (size_t)1 << (operation - ADVANCE_1));
        machine->code += number * machine->entry->code_factor;
        break;
    case REMEMBER:
        if (machine->depth == REMEMBERED_MAX)
            from->failed = true;
        else
            machine->remembered[machine->depth++] = *row;
        break;
    case RECALL:
        if (machine->depth == 0)
            from->failed = true;
        else
            *row = machine->remembered[--machine->depth];
        break;
    case DEFINE_CFA:
        number = bytes_take_unsigned(from);
        set_base(row, number, (int64_t)bytes_take_unsigned(from));
        break;
    case DEFINE_CFA_SIGNED:
        number = bytes_take_unsigned(from);
        set_base(row, number, times(bytes_take_signed(from), factor));
        break;
    case DEFINE_CFA_REGISTER:
        set_base(row, bytes_take_unsigned(from), row->cfa.offset);
        break;
    case DEFINE_CFA_OFFSET:
        set_base(row, row->base, (int64_t)bytes_take_unsigned(from));
        break;
    case DEFINE_CFA_OFFSET_SIGNED:
        set_base(row, row->base, times(bytes_take_signed(from), factor));
        break;
    case DEFINE_CFA_EXPRESSION:
        row->cfa = rule_of_expression(IS_EXPRESSION, bytes_take_block(from));
        break;
    case GNU_ARGUMENTS:
        bytes_take_unsigned(from);
        break;
    default: /* SET_LOCATION, which no compiler uses, and what is newer */
        from->failed = true;
    }
}

/* Until it says what holds behind `wanted`. */
static bool run(struct machine *machine, struct bytes from) {
    while (from.at < from.end && !from.failed && machine->code <= machine->wanted) {
        unsigned byte = (unsigned)bytes_take(&from, 1);
        unsigned low = byte & 0x3f;
        if (byte >> 6 == ADVANCE)
            machine->code += low * machine->entry->code_factor;
        else if (byte >> 6 == OFFSET)
            set_rule_at(machine, low, (int64_t)bytes_take_unsigned(&from), AT_OFFSET);
        else if (byte >> 6 == RESTORE)
            restore(machine, low);
        else if (!run_rule(machine, &from, low))
            run_other(machine, &from, low);
    }
    return !from.failed;
}

/* --- the stack -------------------------------------------------------------------------------- */

/* What may be read. */
struct stack {
    uintptr_t start, end;
    bool failed;
    bool lacks; /* for want of a register */
};

static uint64_t read_stack(struct stack *stack, uintptr_t address) {
    uint64_t value = 0;
    if (address < stack->start || address > stack->end - sizeof value ||
        address % sizeof value != 0) {
        stack->failed = true;
        return 0;
    }
    memcpy(&value, (const void *)address, sizeof value);
    return value;
}

static uint64_t get_register(const struct os_frame *frame, uint64_t number, struct stack *stack) {
    if (number == UNWIND_RETURN_REGISTER)
        return frame->code;
    if (number >= UNWIND_REGISTERS || (frame->known >> number & 1) == 0) {
        stack->failed = stack->lacks = true;
        return 0;
    }
    return frame->registers[number];
}

enum {
    OP_DEREF = 0x06,
    OP_CONST1U = 0x08,
    OP_CONST1S,
    OP_CONST2U,
    OP_CONST2S,
    OP_AND = 0x1a,
    OP_MINUS = 0x1c,
    OP_PLUS = 0x22,
    OP_PLUS_UCONST,
    OP_SHIFT_LEFT,
    OP_GREATER_OR_EQUAL = 0x2a,
    OP_LIT0 = 0x30,
    OP_BREG0 = 0x70,
    OP_BREG_LAST = 0x8f,
    VALUES_MAX = 8,
};

/* As much as entries of realigned stacks and of signal frames have. `first` is what it begins
 * with. */
static uint64_t evaluate(struct bytes from, const struct os_frame *frame, uint64_t first,
                         struct stack *stack) {
    uint64_t values[VALUES_MAX] = {first};
    unsigned count = 1;
    while (from.at < from.end && !from.failed && !stack->failed) {
        unsigned op = (unsigned)bytes_take(&from, 1);
        uint64_t *top = &values[count - 1];
        if (op >= OP_BREG0 && op <= OP_BREG_LAST && count < VALUES_MAX)
            values[count++] = get_register(frame, op - OP_BREG0, stack) +
                              (uint64_t)bytes_take_signed(&from);
        else if (op >= OP_LIT0 && op < OP_LIT0 + 32 && count < VALUES_MAX)
            values[count++] = op - OP_LIT0;
        else if ((op == OP_CONST1U || op == OP_CONST2U) && count < VALUES_MAX)
            values[count++] = bytes_take(&from, op == OP_CONST1U ? 1 : 2);
        else if (op == OP_CONST1S && count < VALUES_MAX)
            values[count++] = (uint64_t)(int64_t)(int8_t)bytes_take(&from, 1);
        else if (op == OP_CONST2S && count < VALUES_MAX)
            values[count++] = (uint64_t)(int64_t)(int16_t)bytes_take(&from, 2);
        else if (op == OP_DEREF)
            *top = read_stack(stack, *top);
        else if (op == OP_PLUS_UCONST)
            *top += bytes_take_unsigned(&from);
        else if ((op == OP_PLUS || op == OP_MINUS || op == OP_AND || op == OP_SHIFT_LEFT ||
                  op == OP_GREATER_OR_EQUAL) &&
                 count > 1) {
            top[-1] = op == OP_PLUS         ? top[-1] + *top
                      : op == OP_MINUS      ? top[-1] - *top
                      : op == OP_AND        ? top[-1] & *top
                      : op == OP_SHIFT_LEFT ? top[-1] << (*top & 63)
                                            : (uint64_t)((int64_t)top[-1] >= (int64_t)*top);
            count--;
        } else {
            from.failed = true;
        }
    }
    stack->failed |= from.failed;
    return values[count - 1];
}

static bool find_register(const struct os_frame *frame, const struct rule *rule, unsigned number,
                          uintptr_t cfa, struct stack *stack, uintptr_t *value) {
    switch (rule->kind) {
    case SAME:
        *value = frame->registers[number];
        return (frame->known >> number & 1) != 0;
    case AT_OFFSET:
        *value = read_stack(stack, cfa + (uintptr_t)rule->offset);
        break;
    case IS_OFFSET:
        *value = cfa + (uintptr_t)rule->offset;
        break;
    case AT_EXPRESSION:
        *value = read_stack(stack, evaluate(expression_of(rule), frame, cfa, stack));
        break;
    case IS_EXPRESSION:
        *value = evaluate(expression_of(rule), frame, cfa, stack);
        break;
    case IS_REGISTER:
        *value = get_register(frame, (uint64_t)rule->offset, stack);
        break;
    default:
        return false;
    }
    return !stack->failed;
}

/* Into the caller's frame. */
static enum os_unwound apply(struct os_frame *frame, const struct row *row, uintptr_t end) {
    struct os_frame caller = {0};
    uintptr_t now = os_frame_stack(frame);
    /* In an interrupted function's end, tables have registers where they were popped from. */
    struct stack stack = {now - (frame->is_exact ? RED_ZONE_BYTES : 0), end, end <= now, false};
    if (end - now > OS_FRAME_BYTES_MAX)
        stack.end = now + OS_FRAME_BYTES_MAX;
    uintptr_t cfa = row->cfa.kind == IS_EXPRESSION
                        ? evaluate(expression_of(&row->cfa), frame, 0, &stack)
                        : get_register(frame, row->base, &stack) + (uintptr_t)row->cfa.offset;
    if (stack.lacks && frame->has_left_out)
        return UNWIND_LACKS;
    if (stack.failed || cfa <= now || cfa > stack.end)
        return UNWIND_NOT_KNOWN;
    caller.is_careful = frame->is_careful;
    caller.has_left_out = frame->has_left_out;
    for (unsigned i = 0; i < UNWIND_REGISTERS; i++) {
        bool failed_before = stack.failed;
        if (find_register(frame, &row->rules[i], i, cfa, &stack, &caller.registers[i]))
            caller.known |= (uint32_t)1 << i;
        if (i != REGISTER_RETURN)
            stack.failed = failed_before; /* it is not known, then */
    }
    if (row->rules[REGISTER_STACK].kind == SAME) {
        caller.registers[REGISTER_STACK] = cfa;
        caller.known |= 1 << REGISTER_STACK;
    }
    if ((caller.known >> REGISTER_RETURN & 1) == 0 || (caller.known >> REGISTER_STACK & 1) == 0)
        return row->rules[REGISTER_RETURN].kind == LOST ? UNWIND_IS_END
               : stack.lacks && frame->has_left_out     ? UNWIND_LACKS
                                                        : UNWIND_NOT_KNOWN;
    if (os_frame_stack(&caller) <= now)
        return UNWIND_NOT_KNOWN; /* it would not end; and below it is no stack */
    caller.code = caller.registers[REGISTER_RETURN];
    caller.known &= ~((uint32_t)1 << REGISTER_RETURN);
    *frame = caller;
    return caller.code < 4096 ? UNWIND_IS_END : UNWOUND;
}

/* --- what was found before -------------------------------------------------------------------- */

enum { WORD = 8 };

/* False: it is more than the two offsets. */
static bool is_simple(const struct row *row, struct unwind_known *known) {
    const struct rule *back = &row->rules[REGISTER_RETURN];
    const struct rule *saved = &row->rules[REGISTER_FRAME];
    uint64_t offset = (uint64_t)row->cfa.offset;
    uint64_t below = saved->kind == AT_OFFSET ? -(uint64_t)saved->offset : 0;
    *known = (struct unwind_known){.is_end = back->kind == LOST};
    if (known->is_end)
        return true;
    known->by_frame = row->base == REGISTER_FRAME;
    known->offset = (uint32_t)(offset / WORD);
    known->saved_below = (uint32_t)(below / WORD);
    return row->cfa.kind == IS_OFFSET && row->rules[REGISTER_STACK].kind == SAME &&
           (known->by_frame || row->base == REGISTER_STACK) && back->kind == AT_OFFSET &&
           back->offset == -WORD && (saved->kind == SAME || below != 0) &&
           ((offset | below) & (WORD - 1)) == 0 && (offset | below) <= OS_FRAME_BYTES_MAX;
}

/* As apply; of other registers than these two nothing is known in the caller. */
static enum os_unwound apply_known(struct os_frame *frame, const struct unwind_known *known,
                                   uintptr_t end) {
    uintptr_t now = os_frame_stack(frame);
    uintptr_t frame_pointer = os_frame_pointer(frame);
    uintptr_t cfa = (known->by_frame ? frame_pointer : now) + known->offset * WORD;
    uintptr_t below = known->saved_below * WORD;
    if (known->is_end)
        return UNWIND_IS_END;
    if (known->by_frame && (frame->known >> REGISTER_FRAME & 1) == 0)
        return frame->has_left_out ? UNWIND_LACKS : UNWIND_NOT_KNOWN;
    if (end <= now || cfa <= now || cfa > end || cfa - now > OS_FRAME_BYTES_MAX ||
        below > cfa - now || cfa % WORD != 0)
        return UNWIND_NOT_KNOWN;
    frame->code = ((const uintptr_t *)cfa)[-1];
    frame->registers[REGISTER_STACK] = cfa;
    frame->known &= 1 << REGISTER_STACK | 1 << REGISTER_FRAME;
    frame->has_left_out = true;
    if (below != 0) {
        frame->registers[REGISTER_FRAME] = *(const uintptr_t *)(cfa - below);
        frame->known |= 1 << REGISTER_FRAME;
    }
    return frame->code < 4096 ? UNWIND_IS_END : UNWOUND;
}

/* By what the tables say. */
static COLD enum os_unwound unwind_anew(struct os_frame *frame, uintptr_t code,
                                        const struct os_object *object, uintptr_t end) {
    struct unwind_entry entry;
    struct machine machine;
    struct unwind_known known;
    if (!unwind_find(object, code, &entry))
        return UNWIND_NOT_KNOWN;
    memset(&machine, 0, sizeof machine);
    machine.entry = &entry;
    machine.wanted = UINTPTR_MAX;
    if (!run(&machine, entry.first))
        return UNWIND_NOT_KNOWN;
    machine.first = machine.row;
    machine.code = entry.start;
    machine.wanted = code;
    if (!run(&machine, entry.own))
        return UNWIND_NOT_KNOWN;
    if (!entry.is_signal_frame && is_simple(&machine.row, &known))
        unwind_remember(code, object, &known);
    enum os_unwound unwound = apply(frame, &machine.row, end);
    if (unwound == UNWIND_NOT_KNOWN && entry.is_signal_frame)
        return UNWIND_IS_END;
    frame->is_exact = unwound == UNWOUND && entry.is_signal_frame;
    return unwound;
}

enum os_unwound os_unwind(struct os_frame *frame, uintptr_t end) {
    struct os_object object;
    struct unwind_known known;
    uintptr_t code = frame->is_exact ? frame->code : frame->code - 1;
    if (!os_object_find(code, &object))
        return UNWIND_NOT_KNOWN;
    if (LIKELY(!frame->is_exact) && LIKELY(!frame->is_careful) &&
        LIKELY(unwind_recall(code, &object, &known)))
        return apply_known(frame, &known, end);
    return unwind_anew(frame, code, &object, end);
}

#else

enum os_unwound os_unwind(struct os_frame *frame, uintptr_t end) {
    (void)frame, (void)end;
    return UNWIND_NOT_KNOWN;
}

#endif
