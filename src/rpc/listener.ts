/** The client of an RPC as one who is told of the stages of the work: each is a message, and waits for an answer. */
import { type Action, ActionError, type Listener } from "../actions.ts";
import { type CriuReq, CriuReqType } from "../images/schema/generated/rpc.ts";
import { log } from "../log.ts";
import { ClientGoneError, type Connection, RequestError } from "./connection.ts";

export class ClientListener implements Listener {
  constructor(
    private readonly connection: Connection,
    readonly takesMasters: boolean,
  ) {}

  notify(action: Action, about: { readonly pid?: number; readonly fd?: number }): void {
    this.#ask(action, about);
  }

  queryExternal(): readonly string[] {
    const external = this.#ask("query-ext-files", {}).opts?.external ?? [];
    for (const each of external) log.info("rpc", `the client adds the external resource ${each}`);
    return external;
  }

  #ask(action: Action, { pid, fd }: { readonly pid?: number; readonly fd?: number }): CriuReq {
    log.debug("rpc", `telling the client of ${action}`);
    const notify = { script: action, ...(pid === undefined ? {} : { pid }) };
    let answer: CriuReq | undefined;
    try {
      this.connection.send({ type: CriuReqType.NOTIFY, success: true, notify }, fd);
      answer = this.connection.receive();
    } catch (error) {
      if (!(error instanceof ClientGoneError) && !(error instanceof RequestError)) throw error;
      throw new ActionError(`no answer of the client to ${action}: ${error.message}`);
    }
    if (answer === undefined) throw new ActionError(`the client has gone, without an answer to ${action}`);
    if (answer.type !== CriuReqType.NOTIFY || answer.notify_success !== true)
      throw new ActionError(`the client does not want the work to go on at ${action}`);
    return answer;
  }
}
