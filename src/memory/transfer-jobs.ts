/**
 * Much memory is moved by two threads: ours, and one aside (linux/helper-thread.ts). What is to be done is cut into jobs, tables of
 * calls that fill a window of ours and empty it again; whoever is free takes the next one.
 */
import { HelperThread } from "../linux/helper-thread.ts";
import { Meter } from "../progress.ts";

/** So many bytes stand in a window at a time, of each thread: little enough to be in the processor's cache still. */
export const WINDOW = 512 << 10;
/** A job moves so many bytes at the most. */
export const JOB_BYTES = 8 << 20;
/** Calls of a job, at the most. */
const CALLS = 1024;
/** A transfer moves so many pieces at the most, with a call for each and one more. */
export const PIECES = CALLS / 2;
/** Transfers of a job, at the most: each may have two descriptors of its own, of the usual 1024. */
const MOST = 32;
/** The most that a call finds behind a pointer, in bytes. */
const ARGUMENT = 64;

/** What is filled and emptied together. */
export interface Transfer {
  /** Its call `call`, from 0, is the first not to have given what it should. Does it over, or throws what is the matter. */
  failed(call: number, result: number): void;
  /** It is over, whatever came of it. Never throws. */
  end(): void;
}

/** A transfer and its calls, by what each has to give. */
interface Laid {
  readonly transfer: Transfer;
  readonly first: number;
  readonly expected: number[];
}

interface Failed {
  readonly transfer: Transfer;
  readonly call: number;
  readonly result: number;
}

/** A table with its window. */
class Job extends HelperThread {
  readonly window = this.address + this.dataAt;
  #laid: Laid[] = [];
  #calls = 0;
  #arguments = 0;

  constructor() {
    super(CALLS, WINDOW + CALLS * ARGUMENT);
  }

  get calls(): number {
    return this.#calls;
  }

  begin(transfer: Transfer): void {
    this.#laid.push({ transfer, first: this.#calls, expected: [] });
  }

  call(expected: number, nr: number, args: readonly number[]): void {
    this.entryWith(this.#calls++, nr, args);
    this.#laid.at(-1)?.expected.push(expected);
  }

  argument(bytes: Uint8Array): number {
    const at = this.dataAt + WINDOW + this.#arguments++ * ARGUMENT;
    this.bytes.set(bytes, at);
    return this.address + at;
  }

  /** Waits for it, and is empty again. Gives what has not been done as it should, of which {@link Transfer.end} is to be called. */
  take(): readonly Failed[] {
    this.await();
    const failed: Failed[] = [];
    for (const { transfer, first, expected } of this.#laid) {
      const call = expected.findIndex((value, i) => value !== this.resultOf(first + i));
      if (call >= 0) failed.push({ transfer, call, result: this.resultOf(first + call) });
      else transfer.end();
    }
    this.#laid = [];
    this.#calls = 0;
    this.#arguments = 0;
    return failed;
  }
}

/** The two are kept from one run to the next. */
let jobs: { filling: Job; aside: Job } | undefined;

/** Both jobs at work. Who uses them calls {@link settle} or {@link abandon} in the end. */
export class TransferJobs {
  readonly #meter = new Meter("memory");
  #size = 0;
  #transfers = 0;

  /** `meanwhile` is asked, while a job waits for the other thread, to do something of use; false: it has nothing to do. */
  constructor(private readonly meanwhile: () => boolean = () => false) {}

  /** Begins a transfer of so many bytes, WINDOW at the most, by `calls` calls. Gives the window's address. @throws as {@link settle} */
  begin(transfer: Transfer, bytes: number, calls: number): number {
    const { filling } = this.#jobs();
    if (this.#size + bytes > JOB_BYTES || filling.calls + calls > CALLS || this.#transfers === MOST)
      this.#submit();
    this.#size += bytes;
    this.#transfers++;
    this.#meter.moved(bytes);
    const job = this.#jobs().filling;
    job.begin(transfer);
    return job.window;
  }

  /** Adds a call to the transfer begun last; `expected` is its result if all goes well. */
  call(expected: number, nr: number, ...args: number[]): void {
    this.#jobs().filling.call(expected, nr, args);
  }

  /** Lays what a call finds behind a pointer, ARGUMENT bytes at the most; gives its address. */
  argument(bytes: Uint8Array): number {
    return this.#jobs().filling.argument(bytes);
  }

  /** Waits until all is done. @throws what {@link Transfer.failed} throws */
  settle(): void {
    if (this.#transfers > 0) this.#runHere();
    if (jobs !== undefined) this.#conclude(jobs.aside);
    this.#meter.end();
  }

  /** Waits for what is being done; the rest is not. Never throws. */
  abandon(): void {
    for (const job of jobs === undefined ? [] : [jobs.aside, jobs.filling])
      for (const { transfer } of job.take()) transfer.end();
    this.#forget();
    this.#meter.end();
  }

  #jobs(): { filling: Job; aside: Job } {
    jobs ??= { filling: new Job(), aside: new Job() };
    return jobs;
  }

  /** Has the job done by the other thread if that is free, or else here. */
  #submit(): void {
    const { filling, aside } = this.#jobs();
    while (aside.busy && this.meanwhile());
    if (aside.busy) {
      this.#runHere();
      return;
    }
    this.#conclude(aside);
    filling.start(filling.calls);
    jobs = { filling: aside, aside: filling };
    this.#forget();
  }

  #runHere(): void {
    const { filling } = this.#jobs();
    filling.run(filling.calls);
    this.#forget();
    this.#conclude(filling);
  }

  #forget(): void {
    this.#size = 0;
    this.#transfers = 0;
  }

  #conclude(job: Job): void {
    let failure: { readonly error: unknown } | undefined;
    for (const { transfer, call, result } of job.take()) {
      try {
        if (failure === undefined) transfer.failed(call, result);
      } catch (error) {
        failure = { error };
      } finally {
        transfer.end();
      }
    }
    if (failure !== undefined) throw failure.error;
  }
}
