/** The next multiple of `to` that is not below `value`. */
export function alignUp(value: number, to: number): number {
  return Math.ceil(value / to) * to;
}

/** The next multiple of `to` that is not above `value`. */
export function alignDown(value: number, to: number): number {
  return value - (value % to);
}
