/** What a client of the RPC that has dumped itself finds in its connection when it is restored. */
import { CriuReqType, CriuResp } from "./schema/generated/rpc.ts";
import { encode } from "./wire.ts";

/** The packet, as the process that serves it would have sent it. */
export function restoredAnswer(): Uint8Array {
  return encode(CriuResp, { type: CriuReqType.DUMP, success: true, dump: { restored: true } });
}
