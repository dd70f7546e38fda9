/* Purpose: unwind_assembly.h. */
#include "unwind_assembly.h"

#if defined(__x86_64__)

#define FUNCTION(name) ".globl " #name "\n.type " #name ", @function\n" #name ":\n"
#define BEGIN(name) FUNCTION(name) ".cfi_startproc\n"
#define END(name) ".cfi_endproc\n.size " #name ", . - " #name "\n"
#define PUSH_FRAME "pushq %rbp\n.cfi_def_cfa_offset 16\n.cfi_offset %rbp, -16\nmovq %rsp, %rbp\n"

/* clang-format off */
__asm__(".text\n"
        /* States remembered in states, a frame's address from rbx. */
        BEGIN(unwind_states)
        PUSH_FRAME
        "pushq %rbx\n.cfi_offset %rbx, -24\n"
        "movq %rsp, %rbx\n.cfi_def_cfa %rbx, 24\n"
        ".cfi_remember_state\n.cfi_def_cfa %rsp, 4096\n.cfi_remember_state\n"
        ".cfi_undefined %rip\n.cfi_offset %rbp, -64\nnop\n.cfi_restore %rip\n.cfi_restore_state\n"
        "nop\n.cfi_restore_state\n"
        "subq $40, %rsp\ncallq *%rsi\nmovq %rbx, %rsp\npopq %rbx\n.cfi_restore %rbx\n"
        "popq %rbp\n.cfi_def_cfa %rsp, 8\nret\n"
        END(unwind_states)
        /* All by expressions: the frame's address, where rbp is, what the return address is. */
        BEGIN(unwind_expressions)
        PUSH_FRAME
        ".cfi_escape 0x0f, 2, 0x76, 16\n"
        ".cfi_escape 0x10, 6, 2, 0x76, 0\n"
        ".cfi_escape 0x16, 16, 3, 0x76, 8, 0x06\n"
        "subq $32, %rsp\ncallq *%rsi\nleave\n.cfi_def_cfa %rsp, 8\nret\n"
        END(unwind_expressions)
        /* ((rbp + 1000 - 990 + 20 - 10 - 4 + 8 - 4 - 4 + 15) & -1) - 15 + 0: rbp + 16. */
        BEGIN(unwind_arithmetic)
        PUSH_FRAME
        ".cfi_escape 0x0f, 33, 0x76, 0, 0x0a, 0xe8, 0x03, 0x22, 0x0b, 0x22, 0xfc, 0x22\n"
        ".cfi_escape 0x08, 20, 0x22, 0x3a, 0x1c, 0x09, 0xfc, 0x22, 0x23, 8, 0x34, 0x1c\n"
        ".cfi_escape 0x34, 0x1c, 0x23, 15, 0x09, 0xff, 0x1a, 0x3f, 0x1c, 0x30, 0x22\n"
        "subq $32, %rsp\ncallq *%rsi\nleave\n.cfi_def_cfa %rsp, 8\nret\n"
        END(unwind_arithmetic)
        /* Offsets with signs, in factors; the stack pointer's rule; sizes of arguments. */
        BEGIN(unwind_signed)
        "pushq %rbp\nmovq %rsp, %rbp\n"
        ".cfi_escape 0x12, 6, 0x7f\n.cfi_escape 0x13, 0x7e\n" /* CFA: rbp + 8, no, 16 */
        ".cfi_escape 0x11, 6, 2\n.cfi_escape 0x05, 16, 1\n"   /* rbp at -16, rip at -8 */
        ".cfi_escape 0x15, 7, 0\n.cfi_escape 0x14, 12, 3\n"   /* rsp is CFA; r12 is less 24 */
        ".cfi_escape 0x2e, 13\n.cfi_escape 0x08, 12\n.cfi_escape 0x06, 12\n"
        ".cfi_escape 0x07, 12\n.cfi_escape 0x08, 40\n"
        "subq $32, %rsp\ncallq *%rsi\nleave\n.cfi_def_cfa %rsp, 8\nret\n"
        END(unwind_signed)
        /* rbp is in r12, and r12 on the stack. */
        BEGIN(unwind_in_registers)
        "pushq %r12\n.cfi_def_cfa_offset 16\n.cfi_offset %r12, -16\n"
        "movq %rbp, %r12\n.cfi_register %rbp, %r12\nxorl %ebp, %ebp\n"
        "subq $64, %rsp\n.cfi_def_cfa_offset 80\ncallq *%rsi\naddq $64, %rsp\n"
        ".cfi_def_cfa_offset 16\nmovq %r12, %rbp\n.cfi_restore %rbp\n"
        "popq %r12\n.cfi_def_cfa_offset 8\nret\n"
        END(unwind_in_registers)
        /* Advances of one, two and four bytes. */
        BEGIN(unwind_far)
        "pushq %rax\n.cfi_def_cfa_offset 16\njmp 1f\n.skip 200, 0x90\n"
        "1: pushq %rax\n.cfi_def_cfa_offset 24\njmp 2f\n.skip 2000, 0x90\n"
        "2: pushq %rax\n.cfi_def_cfa_offset 32\njmp 3f\n.skip 70000, 0x90\n"
        "3: subq $16, %rsp\n.cfi_def_cfa_offset 48\ncallq *%rsi\n"
        "addq $40, %rsp\n.cfi_def_cfa_offset 8\nret\n"
        END(unwind_far)
        /* The return address is where the common entry has it, again. */
        BEGIN(unwind_restores)
        ".cfi_undefined %rip\nnop\n.cfi_restore %rip\n"
        ".cfi_undefined %rip\nnop\n.cfi_escape 0x06, 16\n"
        "subq $8, %rsp\n.cfi_def_cfa_offset 16\ncallq *%rsi\naddq $8, %rsp\n"
        ".cfi_def_cfa_offset 8\nret\n"
        END(unwind_restores)
        /* Its caller's stack pointer is 4096 below the frame's address, its table says. */
        BEGIN(unwind_falls)
        ".cfi_escape 0x14, 7, 0x80, 0x04\nret\n"
        END(unwind_falls)
        FUNCTION(unwind_no_table_framed)
        "pushq %rbp\nmovq %rsp, %rbp\nsubq $32, %rsp\ncallq *%rsi\nleave\nret\n"
        FUNCTION(unwind_no_table)
        "pushq %rbp\nxorl %ebp, %ebp\ncallq *%rsi\npopq %rbp\nret\n"
        BEGIN(unwind_faults)
        "movq (%rdi), %rax\n"
        ".globl unwind_faults_behind\nunwind_faults_behind: ret\n"
        END(unwind_faults)
        BEGIN(unwind_traps)
        "ud2\n"
        ".globl unwind_traps_behind\nunwind_traps_behind: ret\n"
        END(unwind_traps)
        BEGIN(unwind_faults_framed)
        "pushq %rbp\n.cfi_def_cfa_offset 16\n.cfi_offset %rbp, -16\nmovq %rsi, %rbp\n"
        "movq (%rdi), %rax\n"
        ".globl unwind_faults_framed_behind\nunwind_faults_framed_behind:\n"
        "popq %rbp\n.cfi_def_cfa_offset 8\nret\n"
        END(unwind_faults_framed));
/* clang-format on */

#endif
