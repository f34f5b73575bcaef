/* SPDX-License-Identifier: MIT */
/* start.S - entry by Multiboot, traps, calls with all registers known, the instructions that the
 * ROM's calls stand for, user code. */

	.section .text.start, "ax"
	.balign 4
	.long 0x1badb002, 0, -0x1badb002
	.globl _start
_start:
	mov $stack_end, %esp
	mov 16(%ebx), %eax
	mov %eax, multiboot_cmdline
	call main
1:	cli
	hlt
	jmp 1b

	.bss
	.balign 16
	.globl multiboot_cmdline, fault_esp
multiboot_cmdline:
	.space 4
fault_esp:
	.space 4
out_regs:
	.space 4
target:
	.space 4
saved_esp:
	.space 4
results:
	.space 4 * 9
	.space 8192
stack_end:

/* ---- calls with all registers known ---- */

	.text
/* bool do_call(const struct regs *in, struct regs *out, u32 target, const u32 stack[2]) */
	.globl do_call
do_call:
	push %ebp
	push %ebx
	push %esi
	push %edi
	mov 24(%esp), %eax
	mov %eax, out_regs
	mov 28(%esp), %eax
	mov %eax, target
	mov 20(%esp), %ebx
	mov 32(%esp), %eax
	mov %esp, fault_esp
	push 4(%eax)
	push (%eax)
	mov %esp, saved_esp
	push 28(%ebx)
	mov (%ebx), %eax
	mov 4(%ebx), %ecx
	mov 8(%ebx), %edx
	mov 16(%ebx), %ebp
	mov 20(%ebx), %esi
	mov 24(%ebx), %edi
	mov 12(%ebx), %ebx
	popf
	call *target
	pushf
	popl results + 28
	mov %eax, results
	mov %ecx, results + 4
	mov %edx, results + 8
	mov %ebx, results + 12
	mov %ebp, results + 16
	mov %esi, results + 20
	mov %edi, results + 24
	mov %esp, %eax
	sub saved_esp, %eax
	mov %eax, results + 32
	cld
	cli
	mov out_regs, %edi
	mov $results, %esi
	mov $9, %ecx
	rep movsl
	mov $1, %eax
	mov fault_esp, %esp
	pop %edi
	pop %esi
	pop %ebx
	pop %ebp
	ret

/* void bench_loop(const struct regs *in, u32 target, u32 count, u32 stack0): calls; target 0: the
 * loop alone. */
	.globl bench_loop
bench_loop:
	push %ebp
	push %ebx
	push %esi
	push %edi
	mov 20(%esp), %ebp
	mov 24(%esp), %eax
	mov %eax, target
	mov 28(%esp), %ebx
	push 32(%esp)
	test %eax, %eax
	jz 2f
1:	mov (%ebp), %eax
	mov 4(%ebp), %ecx
	mov 8(%ebp), %edx
	mov 20(%ebp), %esi
	mov 24(%ebp), %edi
	push %ebx
	push 4(%esp)
	call *target
	pop %ebx
	pop %ebx
	dec %ebx
	jnz 1b
	jmp 3f
2:	mov (%ebp), %eax
	mov 4(%ebp), %ecx
	mov 8(%ebp), %edx
	mov 20(%ebp), %esi
	mov 24(%ebp), %edi
	push %ebx
	push 4(%esp)
	pop %ebx
	pop %ebx
	dec %ebx
	jnz 2b
3:	pop %eax
	cli
	pop %edi
	pop %esi
	pop %ebx
	pop %ebp
	ret

	.globl fault_resume
fault_resume:
	cld
	xor %eax, %eax
	mov fault_esp, %esp
	pop %edi
	pop %esi
	pop %ebx
	pop %ebp
	ret

/* void run_user(u32 eip, u32 esp) */
	.globl run_user
run_user:
	push %ebp
	push %ebx
	push %esi
	push %edi
	mov 20(%esp), %eax
	mov 24(%esp), %ecx
	mov %esp, fault_esp
	mov $0x23, %edx
	mov %edx, %ds
	mov %edx, %es
	push %edx
	push %ecx
	push $0x202
	push $0x1b
	push %eax
	iret

/* ---- traps ---- */

	.macro trap_stub n
9:	.if !(\n == 8 || (\n >= 10 && \n <= 14) || \n == 17)
	push $0
	.endif
	push $\n
	jmp trap_common
	.pushsection .rodata
	.long 9b
	.popsection
	.endm
	.section .rodata
	.globl trap_stubs
	.balign 4
trap_stubs:
	.text
	n = 0
	.altmacro
	.rept 256
	trap_stub %n
	n = n + 1
	.endr
	.noaltmacro

trap_common:
	push %ds
	push %edi
	push %esi
	push %ebp
	push %ebx
	push %edx
	push %ecx
	push %eax
	mov $0x10, %eax
	mov %eax, %ds
	mov %eax, %es
	cld
	push %esp
	call trap
	add $4, %esp
	jmp resume

	.globl task_resume
task_resume:
	mov 4(%esp), %esp
resume:
	pop %eax
	pop %ecx
	pop %edx
	pop %ebx
	pop %ebp
	pop %esi
	pop %edi
	push %eax
	mov 4(%esp), %eax
	mov %eax, %ds
	mov %eax, %es
	pop %eax
	lea 12(%esp), %esp
	.balign 8
	.globl iret_site
iret_site:
771:	iret
	.balign 8, 0x90
772:	.pushsection .sites, "aw"
	.long 771b, 772b - 771b, 33, -1
	.popsection

/* ---- what kernels do without the ROM ---- */

	.macro native name, insn:vararg
	.globl native_\name
native_\name:
	\insn
	ret
	.endm
	native CPUID, cpuid
	native WRMSR, wrmsr
	native RDMSR, rdmsr
	native SetLDT, lldt %ax
	native SetIDT, lidt (%eax)
	native SetTR, ltr %ax
	native GetGDT, sgdt (%eax)
	native GetLDT, sldt %eax
	native GetIDT, sidt (%eax)
	native GetTR, str %eax
	native SetCR0, mov %eax, %cr0
	native SetCR2, mov %eax, %cr2
	native SetCR3, mov %eax, %cr3
	native SetCR4, mov %eax, %cr4
	native GetCR0, mov %cr0, %eax
	native GetCR2, mov %cr2, %eax
	native GetCR3, mov %cr3, %eax
	native GetCR4, mov %cr4, %eax
	native RDPMC, rdpmc
	native RDTSC, rdtsc
	native CLTS, clts
	native WBINVD, wbinvd
	native INVD, invd
	native Pause, pause
	native EnableInterrupts, sti
	native DisableInterrupts, cli
	native InvalPage, invlpg (%eax)
	native INL, in %dx, %eax
	native INB, in %dx, %al
	native INW, in %dx, %ax
	native INSL, rep insl
	native INSB, rep insb
	native INSW, rep insw
	native OUTL, out %eax, %dx
	native OUTB, out %al, %dx
	native OUTW, out %ax, %dx
	native OUTSL, rep outsl
	native OUTSB, rep outsb
	native OUTSW, rep outsw
	native APICWrite, mov %edx, (%eax)
	native APICRead, mov (%eax), %eax
	native IODelay, out %al, $0x80
	native Nothing, nop
	native SetPxE13, mov %edx, (%eax)
	native SetPxE3, mov %eax, (%edx)

	.globl native_SetGDT, native_WriteGDTEntry, native_UpdateKernelStack3
	.globl native_UpdateKernelStack13, native_SetDR, native_GetDR, native_GetInterruptMask
	.globl native_SetInterruptMask, native_IRET, native_Halt, native_SetPxELong3
	.globl native_SetPxELong13, native_SwapPxE, native_SwapPxELong, native_ClearPxELong
	.globl native_SetBit, native_ClearBit, native_FlushTLB, native_SetIOPLMask, native_One
	.globl native_Empty, native_AlarmPIT, native_WallclockCMOS
native_SetGDT:
	lgdt (%eax)
	ljmp $0x08, $1f
1:	mov %ds, %eax
	mov %eax, %ds
	mov %es, %eax
	mov %eax, %es
	mov %ss, %eax
	mov %eax, %ss
	mov %fs, %eax
	mov %eax, %fs
	mov %gs, %eax
	mov %eax, %gs
	ret
native_WriteGDTEntry:
	mov %ecx, (%eax,%edx,8)
	mov 4(%esp), %ecx
	mov %ecx, 4(%eax,%edx,8)
	ret
native_UpdateKernelStack3:
	mov %edx, tss + 4
	mov %eax, tss + 8
	ret
native_UpdateKernelStack13:
	mov %edx, 4(%eax)
	ret
native_SetDR:
	cmp $1, %eax
	jb 0f
	je 1f
	cmp $7, %eax
	je 7f
	mov %edx, %dr6
	ret
0:	mov %edx, %dr0
	ret
1:	mov %edx, %dr1
	ret
7:	mov %edx, %dr7
	ret
native_GetDR:
	cmp $1, %eax
	jb 0f
	je 1f
	cmp $7, %eax
	je 7f
	mov %dr6, %eax
	ret
0:	mov %dr0, %eax
	ret
1:	mov %dr1, %eax
	ret
7:	mov %dr7, %eax
	ret
native_GetInterruptMask:
	pushf
	pop %eax
	and $0x200, %eax
	ret
native_SetInterruptMask:
	push %eax
	pushf
	andl $~0x200, (%esp)
	and $0x200, %eax
	or %eax, (%esp)
	popf
	pop %eax
	ret
native_IRET:
	add $4, %esp
	iret
native_Halt:
	sti
	hlt
	ret
native_SetPxELong3:
	mov %edx, 4(%ecx)
	mov %eax, (%ecx)
	ret
native_SetPxELong13:
	mov %ecx, 4(%eax)
	mov %edx, (%eax)
	ret
native_SwapPxE:
	xchg %edx, (%eax)
	mov %edx, %eax
	ret
native_SwapPxELong:
	push %ebx
	mov %eax, %ebx
	mov (%ebx), %eax
	mov %edx, (%ebx)
	mov 4(%ebx), %edx
	mov %ecx, 4(%ebx)
	pop %ebx
	ret
native_ClearPxELong:
	push %ebx
	mov %eax, %ebx
	mov (%ebx), %eax
	mov 4(%ebx), %edx
	movl $0, (%ebx)
	movl $0, 4(%ebx)
	pop %ebx
	ret
native_SetBit:
	bts %edx, (%eax)
	setc %al
	movzbl %al, %eax
	ret
native_ClearBit:
	btr %edx, (%eax)
	setc %al
	movzbl %al, %eax
	ret
native_FlushTLB:
	test $2, %al
	jz 1f
	mov %cr4, %ecx
	mov %ecx, %edx
	and $~0x80, %edx
	mov %edx, %cr4
	mov %ecx, %cr4
1:	mov %cr3, %eax
	mov %eax, %cr3
	ret
native_SetIOPLMask:
	pushf
	and $0x3000, %eax
	andl $~0x3000, (%esp)
	or %eax, (%esp)
	popf
	ret
native_Empty:
	ret
/* An interrupt in some milliseconds, by the PIT: mode 0 and a count. */
native_AlarmPIT:
	mov $0x30, %al
	out %al, $0x43
	mov $0xff, %al
	out %al, $0x40
	out %al, $0x40
	ret
/* Year, month, day, hour, minute, second from the real-time clock. */
native_WallclockCMOS:
	mov $6, %ecx
1:	mov %cl, %al
	out %al, $0x70
	in $0x71, %al
	loop 1b
	ret
native_One:
	mov $1, %eax
	ret

/* IRET as a call: a frame to the instruction behind, then whatever `iret_target` does. */
	.globl call_iret, call_iret_jump, iret_target
	.data
iret_target:
	.long 0
	.text
call_iret:			/* 13.0, native: called, the return address is dropped */
	pushf
	push $0x08
	push $1f
	call *iret_target
	ud2
1:	ret
call_iret_jump:			/* 3.0: jumped to */
	pushf
	push $0x08
	push $1f
	jmp *iret_target
1:	ret

/* ---- user code ---- */

	.section .user, "ax"
	.balign 4096
	.globl user_code, user_code_end, user_int80
user_code:
/* Back to the kernel with EAX and the flags as they are. */
user_int80:
	int $0x80

/* A task: EBX = its number, EBP -> a word shared with the kernel (how often it was chosen), ESI ->
 * memory that comes with the first touch, EDI = rounds, bit 31: always gives the CPU away. */
	.globl user_task
user_task:
	xor %ecx, %ecx
1:	mov %ecx, %eax			/* work: a page that is new each round, and an old one */
	and $31, %eax
	shl $12, %eax
	add %esi, %eax
	lea (%ebx,%ecx,8), %edx
	mov %edx, (%eax)
	add (%esi), %edx
	push (%ebp)
	mov $1, %eax			/* tell: round, sum */
	int $0x80
	pop %edx
	test %edi, %edi
	js 3f
	test $1, %cl
	jnz 3f
2:	cmp (%ebp), %edx		/* wait to be chosen again: busily */
	je 2b
	jmp 4f
3:	mov $2, %eax			/* or in the kernel */
	int $0x80
4:	inc %ecx
	mov %edi, %edx
	and $0x7fffffff, %edx
	cmp %edx, %ecx
	jb 1b
	mov $3, %eax			/* the end */
	int $0x80
	ud2
	.balign 4096
user_code_end:
	.section .note.GNU-stack, "", @progbits
