/** Code that takes the place of functions of a vDSO (x86-64; System V psABI, syscall(2)). */
import { viewOf } from "../linux/struct.ts";

/** Goes on at `target` with all arguments as they are: mov rax, target; jmp rax. */
export function jumpTo(target: number): Uint8Array {
  const code = Uint8Array.of(0x48, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xe0);
  viewOf(code).setBigUint64(2, BigInt(target), true);
  return code;
}

/** Makes the system call instead: mov eax, nr; syscall; ret. */
export function callInstead(nr: number): Uint8Array {
  const code = Uint8Array.of(0xb8, 0, 0, 0, 0, 0x0f, 0x05, 0xc3);
  viewOf(code).setUint32(1, nr, true);
  return code;
}

/** Returns a value: mov rax, value; ret. */
export function giveBack(value: number): Uint8Array {
  const code = Uint8Array.of(0x48, 0xc7, 0xc0, 0, 0, 0, 0, 0xc3);
  viewOf(code).setInt32(3, value, true);
  return code;
}

/**
 * getrandom of the vDSO works on a state whose layout is its own: the system call is made instead, and to the question
 * for the layout (fifth argument -1) the answer is that there is no such function.
 */
export function callGetrandom(nr: number, refusal: number): Uint8Array {
  const call = callInstead(nr);
  // cmp r8, -1; je behind the call
  return Uint8Array.of(0x49, 0x83, 0xf8, 0xff, 0x74, call.length, ...call, ...giveBack(refusal));
}
