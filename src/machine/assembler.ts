/**
 * A very small assembler: bytes, labels and 32-bit relative references. The instruction encodings themselves stand in
 * the file of each architecture, where they are used, with the mnemonic beside them.
 */
export class Assembler {
  readonly #bytes: number[] = [];
  readonly #labels = new Map<string, number>();
  readonly #references: { at: number; label: string }[] = [];

  /** Appends instruction bytes. The mnemonic is for the reader. */
  op(_mnemonic: string, ...bytes: number[]): this {
    this.#bytes.push(...bytes);
    return this;
  }

  label(name: string): this {
    if (this.#labels.has(name)) throw new Error(`label ${name} stands twice`);
    this.#labels.set(name, this.#bytes.length);
    return this;
  }

  /** Appends an instruction that ends in a 32-bit displacement relative to the next instruction. */
  jump(_mnemonic: string, label: string, ...opcode: number[]): this {
    this.#bytes.push(...opcode);
    this.#references.push({ at: this.#bytes.length, label });
    this.#bytes.push(0, 0, 0, 0);
    return this;
  }

  /** Resolves all references; returns the code and where each label stands in it. */
  assemble(): { code: Uint8Array; labels: ReadonlyMap<string, number> } {
    const code = Uint8Array.from(this.#bytes);
    const view = new DataView(code.buffer);
    for (const { at, label } of this.#references) {
      const target = this.#labels.get(label);
      if (target === undefined) throw new Error(`no label ${label}`);
      view.setInt32(at, target - (at + 4), true);
    }
    return { code, labels: this.#labels };
  }
}
