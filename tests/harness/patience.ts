/** So many milliseconds more where the machine is slow: TEST_SLOWNESS=5 in the environment says how many times as slow. */
export function patience(milliseconds: number): number {
  return milliseconds * Number(process.env.TEST_SLOWNESS ?? 1);
}
