/**
 * The machine programs of x86-64. Encodings: Intel SDM volume 2; calling conventions: System V psABI and syscall(2).
 * What runs is generated/x86_64.ts, made of this file: `npm run generate` after a change here.
 */
import { Assembler } from "./assembler.ts";
import { CHECK_SIZE, type Machine, OP, SLOT_SIZE, SLOT_STACK, STARTER } from "./runner.ts";

/** The C arguments rdi, rsi, rdx, rcx, r8, r9, [stack] become rax, rdi, rsi, rdx, r10, r8, r9. */
function loadCallFromC(assembler: Assembler): Assembler {
  return assembler
    .op("mov rax, rdi", 0x48, 0x89, 0xf8)
    .op("mov rdi, rsi", 0x48, 0x89, 0xf7)
    .op("mov rsi, rdx", 0x48, 0x89, 0xd6)
    .op("mov rdx, rcx", 0x48, 0x89, 0xca)
    .op("mov r10, r8", 0x4d, 0x89, 0xc2)
    .op("mov r8, r9", 0x4d, 0x89, 0xc8)
    .op("mov r9, [rsp+8]", 0x4c, 0x8b, 0x4c, 0x24, 0x08)
    .op("syscall", 0x0f, 0x05);
}

/** How a table ends inside a task: a breakpoint tells the tracer. */
function breakpoint(assembler: Assembler): Assembler {
  return assembler.op("int3", 0xcc).jump("jmp", "stop", 0xe9);
}

/** The runner proper: rbx walks the table. Only rbx and rsp survive from entry to entry. */
function runner(assembler: Assembler, end = breakpoint): Assembler {
  assembler
    .label("run")
    .op("mov eax, [rbx]", 0x8b, 0x03)
    .op("cmp eax, OP.MOVE", 0x3d, ...le32(OP.MOVE))
    .jump("jae", "special", 0x0f, 0x83)
    .op("mov rdi, [rbx+8]", 0x48, 0x8b, 0x7b, 0x08)
    .op("mov rsi, [rbx+16]", 0x48, 0x8b, 0x73, 0x10)
    .op("mov rdx, [rbx+24]", 0x48, 0x8b, 0x53, 0x18)
    .op("mov r10, [rbx+32]", 0x4c, 0x8b, 0x53, 0x20)
    .op("mov r8, [rbx+40]", 0x4c, 0x8b, 0x43, 0x28)
    .op("mov r9, [rbx+48]", 0x4c, 0x8b, 0x4b, 0x30)
    .op("syscall", 0x0f, 0x05)
    .label("result")
    .op("mov [rbx+56], rax", 0x48, 0x89, 0x43, 0x38)
    .op("cmp dword [rbx+4], 0", 0x83, 0x7b, 0x04, 0x00)
    .jump("je", "next", 0x0f, 0x84)
    .op("cmp rax, -4095", 0x48, 0x3d, 0x01, 0xf0, 0xff, 0xff)
    .jump("jae", "stop", 0x0f, 0x83)
    .label("next")
    .op("add rbx, 64", 0x48, 0x83, 0xc3, 0x40)
    .jump("jmp", "run", 0xe9)
    .label("special")
    .jump("je", "move", 0x0f, 0x84)
    .op("cmp eax, OP.DECREMENT", 0x3d, ...le32(OP.DECREMENT))
    .jump("jb", "repeat", 0x0f, 0x82)
    .jump("je", "decrement", 0x0f, 0x84)
    .op("cmp eax, OP.LEAVE", 0x3d, ...le32(OP.LEAVE))
    .jump("je", "leave", 0x0f, 0x84)
    .op("cmp eax, OP.INCREMENT", 0x3d, ...le32(OP.INCREMENT))
    .jump("je", "increment", 0x0f, 0x84)
    .op("cmp eax, OP.SPAWN", 0x3d, ...le32(OP.SPAWN))
    .jump("je", "spawn", 0x0f, 0x84)
    .op("cmp eax, OP.JUMP", 0x3d, ...le32(OP.JUMP))
    .jump("je", "jump", 0x0f, 0x84)
    .op("cmp eax, OP.TILES", 0x3d, ...le32(OP.TILES))
    .jump("je", "tiles", 0x0f, 0x84)
    .label("stop");
  return end(assembler)
    .label("move")
    .op("mov rax, [rbx+8]", 0x48, 0x8b, 0x43, 0x08)
    .op("mov rax, [rax]", 0x48, 0x8b, 0x00)
    .op("mov rcx, [rbx+16]", 0x48, 0x8b, 0x4b, 0x10)
    .op("mov [rcx], rax", 0x48, 0x89, 0x01)
    .jump("jmp", "next", 0xe9)
    .label("repeat")
    .op("mov rax, [rbx+8]", 0x48, 0x8b, 0x43, 0x08)
    .op("mov rax, [rax]", 0x48, 0x8b, 0x00)
    .op("cmp rax, [rbx+16]", 0x48, 0x3b, 0x43, 0x10)
    .jump("jle", "next", 0x0f, 0x8e)
    .op("mov rax, [rbx+24]", 0x48, 0x8b, 0x43, 0x18)
    .op("dec qword [rax]", 0x48, 0xff, 0x08)
    .jump("jz", "next", 0x0f, 0x84)
    .op("sub rbx, 64", 0x48, 0x83, 0xeb, 0x40)
    .jump("jmp", "run", 0xe9)
    .label("decrement")
    .op("mov rax, [rbx+8]", 0x48, 0x8b, 0x43, 0x08)
    .op("lock dec qword [rax]", 0xf0, 0x48, 0xff, 0x08)
    .jump("jmp", "next", 0xe9)
    .label("increment")
    .op("mov rax, [rbx+8]", 0x48, 0x8b, 0x43, 0x08)
    .op("lock inc qword [rax]", 0xf0, 0x48, 0xff, 0x00)
    .jump("jmp", "next", 0xe9)
    .label("spawn")
    .op("mov rdi, [rbx+8]", 0x48, 0x8b, 0x7b, 0x08)
    .op("mov rsi, [rbx+16]", 0x48, 0x8b, 0x73, 0x10)
    .op("mov r9, [rbx+24]", 0x4c, 0x8b, 0x4b, 0x18)
    .op("mov eax, clone3", 0xb8, ...le32(435))
    .op("syscall", 0x0f, 0x05)
    .op("test rax, rax", 0x48, 0x85, 0xc0)
    .jump("jne", "result", 0x0f, 0x85)
    .op("mov rbx, r9", 0x4c, 0x89, 0xcb)
    .jump("jmp", "run", 0xe9)
    .label("jump")
    .op("mov rax, [rbx+16]", 0x48, 0x8b, 0x43, 0x10)
    .op("mov rax, [rax]", 0x48, 0x8b, 0x00)
    .op("cmp rax, [rbx+24]", 0x48, 0x3b, 0x43, 0x18)
    .jump("jl", "continue", 0x0f, 0x8c)
    .op("cmp rax, [rbx+32]", 0x48, 0x3b, 0x43, 0x20)
    .jump("jle", "next", 0x0f, 0x8e)
    .label("continue")
    .op("mov rbx, [rbx+8]", 0x48, 0x8b, 0x5b, 0x08)
    .op("mov rbx, [rbx]", 0x48, 0x8b, 0x1b)
    .jump("jmp", "run", 0xe9)
    .label("tiles")
    .op("mov rax, [rbx+8]", 0x48, 0x8b, 0x43, 0x08)
    .op("ldtilecfg [rax]", 0xc4, 0xe2, 0x78, 0x49, 0x00)
    .op("tilezero tmm0", 0xc4, 0xe2, 0x7b, 0x49, 0xc0)
    .op("tilerelease", 0xc4, 0xe2, 0x78, 0x49, 0xc0)
    .jump("jmp", "next", 0xe9)
    .label("leave")
    .op("mov rsp, [rbx+8]", 0x48, 0x8b, 0x63, 0x08)
    .op("mov rcx, [rbx+16]", 0x48, 0x8b, 0x4b, 0x10)
    .op("mov rax, [rbx+24]", 0x48, 0x8b, 0x43, 0x18)
    .op("mov rdi, [rbx+32]", 0x48, 0x8b, 0x7b, 0x20)
    .op("mov rsi, [rbx+40]", 0x48, 0x8b, 0x73, 0x28)
    .op("jmp rcx", 0xff, 0xe1);
}

function le32(value: number): [number, number, number, number] {
  return [value & 0xff, (value >> 8) & 0xff, (value >> 16) & 0xff, (value >> 24) & 0xff];
}

/** Returns from a signal, over the frame at the stack pointer. */
function sigreturn(assembler: Assembler): Assembler {
  return assembler
    .label("sigreturn")
    .op("mov eax, rt_sigreturn", 0xb8, ...le32(15))
    .op("syscall", 0x0f, 0x05);
}

const healing = runner(new Assembler())
  .label("heal")
  .op("mov rbx, rsp", 0x48, 0x89, 0xe3)
  .op("and rbx, -SLOT_SIZE", 0x48, 0x81, 0xe3, ...le32(-SLOT_SIZE))
  // The kernel's frame: a return address, then struct ucontext with flags, link, stack.
  .op("mov rax, [rsp+24]", 0x48, 0x8b, 0x44, 0x24, 24)
  .op("mov [rbx+SLOT_STACK], rax", 0x48, 0x89, 0x43, SLOT_STACK)
  .op("mov rax, [rsp+32]", 0x48, 0x8b, 0x44, 0x24, 32)
  .op("mov [rbx+SLOT_STACK+8], rax", 0x48, 0x89, 0x43, SLOT_STACK + 8)
  .op("mov rax, [rsp+40]", 0x48, 0x8b, 0x44, 0x24, 40)
  .op("mov [rbx+SLOT_STACK+16], rax", 0x48, 0x89, 0x43, SLOT_STACK + 16)
  .op("mov rbx, [rbx]", 0x48, 0x8b, 0x1b)
  .jump("jmp", "run", 0xe9);
const program = sigreturn(healing).assemble();

/** (address of a table): runs it where it is called, and comes back. */
const batch = runner(new Assembler().op("push rbx", 0x53).op("mov rbx, rdi", 0x48, 0x89, 0xfb), (assembler) =>
  assembler.op("pop rbx", 0x5b).op("ret", 0xc3),
);

/** (leaf, subleaf, address of four 32-bit words): cpuid's eax, ebx, ecx, edx go there. */
const cpuid = new Assembler()
  .op("push rbx", 0x53)
  .op("mov r8, rdx", 0x49, 0x89, 0xd0)
  .op("mov eax, edi", 0x89, 0xf8)
  .op("mov ecx, esi", 0x89, 0xf1)
  .op("cpuid", 0x0f, 0xa2)
  .op("mov [r8], eax", 0x41, 0x89, 0x00)
  .op("mov [r8+4], ebx", 0x41, 0x89, 0x58, 0x04)
  .op("mov [r8+8], ecx", 0x41, 0x89, 0x48, 0x08)
  .op("mov [r8+12], edx", 0x41, 0x89, 0x50, 0x0c)
  .op("pop rbx", 0x5b)
  .op("ret", 0xc3);

/** One of four registers that cpuid sets is compared with what a check tells, masked. */
function compare(assembler: Assembler, register: string, and: number[], cmp: number[], at: number): void {
  assembler
    .op(`and ${register}, [rsi+${at}]`, ...and, at)
    .op(`cmp ${register}, [rsi+${at + 16}]`, ...cmp, at + 16)
    .jump("jne", "otherwise", 0x0f, 0x85);
}

const starting = new Assembler()
  .op("lea rbp, [rip+STARTER.DATA-7]", 0x48, 0x8d, 0x2d, ...le32(STARTER.DATA - 7))
  .op("lea rax, [rsp+8]", 0x48, 0x8d, 0x44, 0x24, 0x08)
  .op("mov [rbp+STARTER.ARGV], rax", 0x48, 0x89, 0x45, STARTER.ARGV)
  .op("mov rcx, [rsp]", 0x48, 0x8b, 0x0c, 0x24)
  .op("lea rax, [rsp+rcx*8+16]", 0x48, 0x8d, 0x44, 0xcc, 0x10)
  .op("mov [rbp+STARTER.ENVP], rax", 0x48, 0x89, 0x45, STARTER.ENVP)
  .op("lea rsi, [rbp+STARTER.CHECKS]", 0x48, 0x8d, 0x75, STARTER.CHECKS)
  .label("check")
  .op("mov eax, [rsi]", 0x8b, 0x06)
  .op("mov ecx, [rsi+4]", 0x8b, 0x4e, 0x04)
  .op("cmp eax, -1", 0x83, 0xf8, 0xff)
  .jump("je", "checked", 0x0f, 0x84)
  .op("cpuid", 0x0f, 0xa2);
compare(starting, "eax", [0x23, 0x46], [0x3b, 0x46], 8);
compare(starting, "ebx", [0x23, 0x5e], [0x3b, 0x5e], 12);
compare(starting, "ecx", [0x23, 0x4e], [0x3b, 0x4e], 16);
compare(starting, "edx", [0x23, 0x56], [0x3b, 0x56], 20);
starting
  .op("add rsi, CHECK_SIZE", 0x48, 0x83, 0xc6, CHECK_SIZE)
  .jump("jmp", "check", 0xe9)
  .label("checked")
  .op("mov rbx, [rbp+STARTER.TABLE]", 0x48, 0x8b, 0x5d, STARTER.TABLE)
  .jump("jmp", "run", 0xe9)
  .label("otherwise")
  .op("mov rbx, [rbp+STARTER.OTHERWISE]", 0x48, 0x8b, 0x5d, STARTER.OTHERWISE);

const starter = sigreturn(runner(starting, (assembler) => assembler.jump("jmp", "otherwise", 0xe9)))
  // Where whoever dumps such a process comes in (gadgets.ts).
  .op("syscall", 0x0f, 0x05)
  .op("ret", 0xc3)
  .assemble();

const idle = sigreturn(new Assembler().op("ret", 0xc3)).assemble();

function labelOf({ labels }: { readonly labels: ReadonlyMap<string, number> }, name: string): number {
  const offset = labels.get(name);
  if (offset === undefined) throw new Error(`no entry point ${name}`);
  return offset;
}

export const x86_64: Machine = {
  name: "x86_64",
  syscallThunk: loadCallFromC(new Assembler()).op("ret", 0xc3).assemble().code,
  batchThunk: batch.assemble().code,
  idleHandler: { code: idle.code, restorer: labelOf(idle, "sigreturn") },
  cpuidThunk: cpuid.assemble().code,
  starter: { code: starter.code, sigreturn: labelOf(starter, "sigreturn") },
  runner: {
    code: program.code,
    run: labelOf(program, "run"),
    heal: labelOf(program, "heal"),
    sigreturn: labelOf(program, "sigreturn"),
  },
  gadgets: {
    call: Uint8Array.of(0x0f, 0x05),
    callAndReturn: Uint8Array.of(0x0f, 0x05, 0xc3),
    sigreturn: [
      Uint8Array.of(0x48, 0xc7, 0xc0, 0x0f, 0, 0, 0, 0x0f, 0x05),
      Uint8Array.of(0xb8, 0x0f, 0, 0, 0, 0x0f, 0x05),
    ],
  },
};
