/** Clients that work as long as a server is dumped and restored: each a loop over one connection that checks every answer. */

/** One round of a client's work, numbered from 0. */
export type Round = (round: number) => Promise<void>;

export class Load {
  #stopping = false;
  readonly #clients: { readonly name: string; rounds: number; done: Promise<void> }[] = [];
  readonly failures: string[] = [];

  /** Starts a client: `round` is called again and again. What it throws ends it, and fails the test. */
  add(name: string, round: Round, finish: () => Promise<void> | void = () => {}): void {
    const client = { name, rounds: 0, done: Promise.resolve() };
    client.done = this.#run(client, round, finish);
    this.#clients.push(client);
  }

  async #run(
    client: { name: string; rounds: number },
    round: Round,
    finish: () => Promise<void> | void,
  ): Promise<void> {
    try {
      while (!this.#stopping) {
        await round(client.rounds);
        client.rounds++;
        await Bun.sleep(1);
      }
      await finish();
    } catch (error) {
      this.failures.push(
        `${client.name}: round ${client.rounds}: ${error instanceof Error ? error.message : String(error)}`,
      );
    }
  }

  /** Waits until every client has done some more rounds, or one has failed. */
  async goesOn(rounds: number, patience = 60_000): Promise<void> {
    const before = this.#clients.map((client) => client.rounds);
    const end = Date.now() + patience;
    const isBehind = () => this.#clients.filter((client, i) => client.rounds < (before[i] ?? 0) + rounds);
    while (this.failures.length === 0 && isBehind().length > 0) {
      if (Date.now() > end) {
        this.failures.push(`stand still: ${isBehind().map(({ name }) => name)}`);
        return;
      }
      await Bun.sleep(5);
    }
  }

  /** Lets the clients come to an end; how many rounds they have done. */
  async stop(): Promise<number> {
    this.#stopping = true;
    await Promise.all(this.#clients.map(({ done }) => done));
    return this.#clients.reduce((sum, { rounds }) => sum + rounds, 0);
  }
}
