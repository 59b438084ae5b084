/* Hides AVX-512 and AMX from a program, so that it runs as on a smaller CPU of the same make.
 *
 *   gcc -O1 -shared -fPIC tools/fewer_instructions.c -o /tmp/fewer.so
 *   LD_PRELOAD=/tmp/fewer.so python ...
 *
 * For measurements on x86-64 Linux with CPUID faulting. AVX2 remains, and AVX-VNNI (products of 8
 * bits) where the CPU has it; HIDE_VNNI=1 hides that too. Libraries ask the instruction `cpuid` what
 * the CPU can do. The kernel makes it a fault here, whose handler answers.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#define SET_CPUID 0x1012 /* of arch_prctl */
#define BIT(n) (1u << (n))

static int hide_vnni;

static long allow_cpuid(long allowed) { return syscall(SYS_arch_prctl, SET_CPUID, allowed); }

static void answer(int number, siginfo_t *info, void *context) {
  greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;
  const uint8_t *code = (const uint8_t *)registers[REG_RIP];
  if (code[0] != 0x0f || code[1] != 0xa2) { /* a real fault: it comes again, and ends the program */
    signal(number, SIG_DFL);
    return;
  }
  uint32_t leaf = registers[REG_RAX], part = registers[REG_RCX], a, b, c, d;
  allow_cpuid(1);
  __asm__ volatile("cpuid" : "=a"(a), "=b"(b), "=c"(c), "=d"(d) : "a"(leaf), "c"(part));
  allow_cpuid(0);
  if (leaf == 7 && part == 0) {
    /* avx512: f, dq, ifma, pf, er, cd, bw, vl */
    b &= ~(BIT(16) | BIT(17) | BIT(21) | BIT(26) | BIT(27) | BIT(28) | BIT(30) | BIT(31));
    /* avx512: vbmi, vbmi2, vnni, bitalg, vpopcntdq */
    c &= ~(BIT(1) | BIT(6) | BIT(11) | BIT(12) | BIT(14));
    /* avx512: 4vnniw, 4fmaps, vp2intersect, fp16; amx: bf16, tile, int8 */
    d &= ~(BIT(2) | BIT(3) | BIT(8) | BIT(23) | BIT(22) | BIT(24) | BIT(25));
  } else if (leaf == 7 && part == 1) {
    a &= ~(BIT(5) | BIT(21)); /* avx512_bf16, amx_fp16 */
    if (hide_vnni) a &= ~BIT(4);
  }
  registers[REG_RAX] = a;
  registers[REG_RBX] = b;
  registers[REG_RCX] = c;
  registers[REG_RDX] = d;
  registers[REG_RIP] += 2;
}

__attribute__((constructor)) static void begin(void) {
  struct sigaction action = {0};
  action.sa_sigaction = answer;
  action.sa_flags = SA_SIGINFO | SA_NODEFER;
  hide_vnni = getenv("HIDE_VNNI") != NULL;
  sigaction(SIGSEGV, &action, NULL);
  if (allow_cpuid(0) != 0) {
    fputs("fewer_instructions: this CPU or kernel cannot hide instructions\n", stderr);
    exit(1);
  }
}
