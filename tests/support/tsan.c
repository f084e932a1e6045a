/* Debian's Lua leaves a protected call with glibc's __longjmp_chk, which the thread sanitizer
   does not intercept: its record of the call stack then keeps the frames that were left, and
   grows with each error that is raised, as does what it saves of every stack. longjmp it does
   intercept. */
#include <setjmp.h>

#ifdef __SANITIZE_THREAD__
_Noreturn void __longjmp_chk(struct __jmp_buf_tag env[1], int value);
_Noreturn void __longjmp_chk(struct __jmp_buf_tag env[1], int value) { longjmp(env, value); }
#endif
