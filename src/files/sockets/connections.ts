/**
 * The connections of a dump: locked all at once, then each taken in repair. Where the tree ends they stay in repair until it is
 * gone, so that their peers hear nothing; where it runs on, or the dump fails, or we are killed, all is put back.
 */
import { Fd } from "../../linux/fd.ts";
import { NR } from "../../linux/nr.ts";
import { AF, SO, SOL, setInt } from "../../linux/socket.ts";
import { TCP } from "../../linux/socket-options.ts";
import { s32 } from "../../linux/struct.ts";
import { repairOff, repairOn } from "../../linux/tcp.ts";
import { type Connection, NftablesLock } from "../../namespaces/network-lock.ts";
import { call, type UndoStep } from "../../undo/calls.ts";
import type { Undo, UndoEntry } from "../../undo/undo.ts";
import { saveConnection, type SavedConnection } from "./tcp.ts";
